//! Products and reductions of eight numbers at a time.

use core::arch::x86_64::*;

use zeroize::Zeroize;

use super::{
    BLOCK, Block, Cpu, Digit, Group, LIMB_BITS, LIMB_MASK, wipe, with_features, zero_digit,
};

/// What the reductions modulo n need of n: its limbs, −n⁻¹ modulo 2^52, and the limbs of a number
/// from which a quotient is subtracted.
pub(in super::super) struct Modulus<const K: usize> {
    n: [[u64; BLOCK]; K],
    n_inv: u64,
    /// Limbs dᵢ + 2^52 − 1, where d ≤ n and d + R − 1 is a multiple of n: subtracting the limbs of q < R
    /// from them one by one gives limbs of a number ≡ −q that are not negative.
    surplus: [[u64; BLOCK]; K],
    /// 2n, for [`Modulus::halve_range`].
    twice: [[u64; BLOCK]; K],
}

impl<const K: usize> Modulus<K> {
    /// From the limbs (radix 2^52) of n, of d = (1 − R) mod n and of 2n, and −n⁻¹ modulo 2^52.
    pub(in super::super) fn new(n: &[u64], n_inv: u64, d: &[u64], twice: &[u64]) -> Self {
        let blocks = |limbs: &[u64]| -> [[u64; BLOCK]; K] {
            let blocks = limbs.as_chunks().0;
            blocks.try_into().expect("a digit has K blocks")
        };
        let mut surplus = blocks(d);
        surplus.as_flattened_mut().iter_mut().for_each(|limb| *limb += LIMB_MASK);
        Self { n: blocks(n), n_inv, surplus, twice: blocks(twice) }
    }
}

impl<const K: usize> Drop for Modulus<K> {
    fn drop(&mut self) {
        self.n.zeroize();
        self.n_inv.zeroize();
        self.surplus.zeroize();
        self.twice.zeroize();
    }
}

/// Intermediate results of one product, wiped when a batch is done.
pub(in super::super) struct Workspace<const K: usize> {
    cpu: Cpu,
    /// Quotient of the first digit's reduction.
    quotient: Digit<K>,
    /// Quotient of the second digit's.
    other: Digit<K>,
    low: Digit<K>,
    high: Digit<K>,
}

impl<const K: usize> Workspace<K> {
    pub(in super::super) fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            quotient: zero_digit(),
            other: zero_digit(),
            low: zero_digit(),
            high: zero_digit(),
        }
    }
}

impl<const K: usize> Drop for Workspace<K> {
    fn drop(&mut self) {
        for digit in [&mut self.quotient, &mut self.other, &mut self.low, &mut self.high] {
            wipe(digit);
        }
    }
}

// SAFETY of all calls below: a `Workspace` holds a `Cpu`, which proves the features.
impl<const K: usize> Modulus<K> {
    /// `a = a·b·R⁻¹` in digit form. Digits up to 4n come in, digits below 2n go out.
    pub(in super::super) fn multiply(&self, a: &mut Group<K>, b: &Group<K>, w: &mut Workspace<K>) {
        let first = Operands { x: &a.low, y: &b.low, z: &a.low, w: &b.low };
        let second = Operands { x: &a.low, y: &b.high, z: &a.high, w: &b.low };
        unsafe {
            reduce::<K, PRODUCT, false>(self, &mut w.low, &mut w.quotient, first, &a.low);
            reduce::<K, CROSS, true>(self, &mut w.high, &mut w.other, second, &w.quotient);
        }
        a.low = w.low;
        a.high = w.high;
    }

    /// `a = a²·R⁻¹` in digit form, with the bounds of [`Self::multiply`].
    pub(in super::super) fn square(&self, a: &mut Group<K>, w: &mut Workspace<K>) {
        let first = Operands { x: &a.low, y: &a.low, z: &a.low, w: &a.low };
        let second = Operands { x: &a.low, y: &a.high, z: &a.low, w: &a.high };
        unsafe {
            reduce::<K, SQUARE, false>(self, &mut w.low, &mut w.quotient, first, &a.low);
            reduce::<K, TWICE, true>(self, &mut w.high, &mut w.other, second, &w.quotient);
        }
        a.low = w.low;
        a.high = w.high;
    }

    /// [`Self::multiply`] by factors whose second digit is zero: 4h² limb products, not 5h².
    pub(in super::super) fn multiply_short(
        &self,
        a: &mut Group<K>,
        b: &Digit<K>,
        w: &mut Workspace<K>,
    ) {
        let first = Operands { x: &a.low, y: b, z: &a.low, w: b };
        let second = Operands { x: &a.high, y: b, z: &a.high, w: b };
        unsafe {
            reduce::<K, PRODUCT, false>(self, &mut w.low, &mut w.quotient, first, &a.low);
            reduce::<K, PRODUCT, true>(self, &mut w.high, &mut w.other, second, &w.quotient);
        }
        a.low = w.low;
        a.high = w.high;
    }

    /// `a = a·b·R⁻¹ mod n`, of single digits with a·b ≤ n·R; below 2n.
    pub(in super::super) fn multiply_digit(
        &self,
        a: &mut Digit<K>,
        b: &Digit<K>,
        w: &mut Workspace<K>,
    ) {
        let operands = Operands { x: a, y: b, z: a, w: b };
        unsafe { reduce::<K, PRODUCT, false>(self, &mut w.low, &mut w.quotient, operands, a) };
        *a = w.low;
    }

    /// `a = a + b` on digits below 2n; below 2n.
    pub(in super::super) fn add(&self, a: &mut Digit<K>, b: &Digit<K>, w: &Workspace<K>) {
        let Cpu(()) = w.cpu;
        unsafe {
            add_limbs(a, b);
            carry(a);
            subtract_once(a, &self.twice);
        }
    }

    /// `a += b`, limb by limb without carries: see [`Self::carry`].
    pub(in super::super) fn add_lazily(&self, a: &mut Digit<K>, b: &Digit<K>, w: &Workspace<K>) {
        let Cpu(()) = w.cpu;
        unsafe { add_limbs(a, b) };
    }

    /// Brings limbs back below 2^52; the number must be below R.
    pub(in super::super) fn carry(&self, a: &mut Digit<K>, w: &Workspace<K>) {
        let Cpu(()) = w.cpu;
        unsafe { carry(a) };
    }

    /// The canonical representative of a digit below 2n.
    pub(in super::super) fn canonical_digit(&self, a: &mut Digit<K>, w: &Workspace<K>) {
        let Cpu(()) = w.cpu;
        unsafe { subtract_once(a, &self.n) };
    }

    /// The canonical digits of residues whose first digit is below 2n and second below 2n − 1: where n is
    /// taken off the first digit, 1 is added to the second.
    pub(in super::super) fn canonical(&self, a: &mut Group<K>, w: &Workspace<K>) {
        let Cpu(()) = w.cpu;
        unsafe {
            let not_less = subtract_once(&mut a.low, &self.n);
            add_one(&mut a.high, not_less);
            subtract_once(&mut a.high, &self.n);
        }
    }
}

/// `$body` for the constant `$i` from 0 to 9.
macro_rules! unroll {
    ($i:ident => $body:expr) => {{
        {
            const $i: usize = 0;
            $body
        }
        {
            const $i: usize = 1;
            $body
        }
        {
            const $i: usize = 2;
            $body
        }
        {
            const $i: usize = 3;
            $body
        }
        {
            const $i: usize = 4;
            $body
        }
        {
            const $i: usize = 5;
            $body
        }
        {
            const $i: usize = 6;
            $body
        }
        {
            const $i: usize = 7;
            $body
        }
        {
            const $i: usize = 8;
            $body
        }
        {
            const $i: usize = 9;
            $body
        }
    }};
}

/// `column += ` the low or high half of a 52 × 52 bit product.
macro_rules! add_low {
    ($column:expr, $a:expr, $b:expr) => {
        $column = _mm512_madd52lo_epu64($column, $a, $b)
    };
}
macro_rules! add_high {
    ($column:expr, $a:expr, $b:expr) => {
        $column = _mm512_madd52hi_epu64($column, $a, $b)
    };
}

/// Adds the product of two blocks to 20 columns.
macro_rules! tile {
    ($acc:ident, $a:expr, $b:expr) => {{
        let (a, b): (&Block, &Block) = ($a, $b);
        unroll!(I => {
            unroll!(J => add_low!($acc[I + J], a[I], b[J]));
            unroll!(J => add_high!($acc[I + J + 1], a[I], b[J]));
        });
    }};
}

/// Adds the product of a block that all lanes share and one of their own.
macro_rules! shared_tile {
    ($acc:ident, $n:expr, $b:expr) => {{
        let (n, b): (&[u64; BLOCK], &Block) = ($n, $b);
        unroll!(I => {
            let limb = _mm512_set1_epi64(n[I] as i64);
            unroll!(J => add_low!($acc[I + J], limb, b[J]));
            unroll!(J => add_high!($acc[I + J + 1], limb, b[J]));
        });
    }};
}

/// Products of a block's different limbs, each once.
macro_rules! triangle {
    ($acc:ident, $a:expr) => {{
        let a: &Block = $a;
        unroll!(I => {
            unroll!(J => if J > I { add_low!($acc[I + J], a[I], a[J]); });
            unroll!(J => if J > I { add_high!($acc[I + J + 1], a[I], a[J]); });
        });
    }};
}

/// Squares of a block's limbs.
macro_rules! diagonal {
    ($acc:ident, $a:expr) => {{
        let a: &Block = $a;
        unroll!(I => {
            add_low!($acc[2 * I], a[I], a[I]);
            add_high!($acc[2 * I + 1], a[I], a[I]);
        });
    }};
}

/// Finds ten limbs of the quotient, which make the low ten columns zero modulo 2^52, and carries what
/// is left of them upwards.
macro_rules! quotient_chain {
    ($acc:ident, $n:expr, $n_inv:expr, $q:expr) => {{
        let (n, q): (&[u64; BLOCK], &mut Block) = ($n, $q);
        unroll!(I => {
            let limb = _mm512_madd52lo_epu64(_mm512_setzero_si512(), $acc[I], $n_inv);
            q[I] = limb;
            add_low!($acc[I], limb, _mm512_set1_epi64(n[0] as i64));
            add_high!($acc[I + 1], limb, _mm512_set1_epi64(n[0] as i64));
            unroll!(J => if J > 0 { add_low!($acc[I + J], limb, _mm512_set1_epi64(n[J] as i64)); });
            let carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>($acc[I]);
            $acc[I + 1] = _mm512_add_epi64($acc[I + 1], carry);
            unroll!(J => if J > 0 {
                add_high!($acc[I + J + 1], limb, _mm512_set1_epi64(n[J] as i64));
            });
        });
    }};
}

/// What [`reduce`] adds up: x·y, x·y + z·w, x² or 2·x·y.
const PRODUCT: u8 = 0;
const CROSS: u8 = 1;
const SQUARE: u8 = 2;
const TWICE: u8 = 3;

/// Factors of the sum; a mode reads those that it names.
#[derive(Clone, Copy)]
struct Operands<'a, const K: usize> {
    x: &'a Digit<K>,
    y: &'a Digit<K>,
    z: &'a Digit<K>,
    w: &'a Digit<K>,
}

with_features! {
    /// `out = (s + surplus − owed + q·n)/R` for the sum of products s that MODE names, the quotient q < R
    /// that makes it whole, and `surplus − owed` ≡ −`owed` only where OWED.
    ///
    /// Works through the columns of the products ten at a time, from the lowest. A column is a sum
    /// of at most 2·3·60 halves of products below 2^52 and a few carries: below 2^62.
    fn reduce<const K: usize, const MODE: u8, const OWED: bool>(
        m: &Modulus<K>,
        out: &mut Digit<K>,
        quotient: &mut Digit<K>,
        operands: Operands<'_, K>,
        owed: &Digit<K>,
    ) {
        let Operands { x, y, z, w } = operands;
        let zero = _mm512_setzero_si512();
        let n_inv = _mm512_set1_epi64(m.n_inv as i64);
        let mut above = [zero; BLOCK];
        let mut carry = zero;
        for c in 0..2 * K - 1 {
            let first = (c + 1).saturating_sub(K);
            let mut acc = [zero; 2 * BLOCK];
            if MODE == PRODUCT || MODE == CROSS {
                unroll!(I => acc[I] = above[I]);
            }
            match MODE {
                PRODUCT => {
                    for i in first..c + 1 - first {
                        tile!(acc, &x[i], &y[c - i]);
                    }
                }
                CROSS => {
                    for i in first..c + 1 - first {
                        tile!(acc, &x[i], &y[c - i]);
                        tile!(acc, &z[i], &w[c - i]);
                    }
                }
                SQUARE => {
                    for i in first..c.div_ceil(2) {
                        tile!(acc, &x[i], &x[c - i]);
                    }
                    if c % 2 == 0 {
                        triangle!(acc, &x[c / 2]);
                    }
                }
                _ => {
                    for i in first..c + 1 - first {
                        tile!(acc, &x[i], &y[c - i]);
                    }
                }
            }
            if MODE == SQUARE || MODE == TWICE {
                unroll!(I => {
                    acc[I] = _mm512_add_epi64(acc[I], acc[I]);
                    acc[BLOCK + I] = _mm512_add_epi64(acc[BLOCK + I], acc[BLOCK + I]);
                });
            }
            if MODE == SQUARE && c % 2 == 0 {
                diagonal!(acc, &x[c / 2]);
            }
            if MODE == SQUARE || MODE == TWICE {
                unroll!(I => acc[I] = _mm512_add_epi64(acc[I], above[I]));
            }
            if OWED && c < K {
                unroll!(I => {
                    let surplus = _mm512_set1_epi64(m.surplus[c][I] as i64);
                    acc[I] = _mm512_add_epi64(acc[I], _mm512_sub_epi64(surplus, owed[c][I]));
                });
            }
            // An adaptor that is not inlined here would spill all columns.
            #[expect(clippy::needless_range_loop, reason = "the fastest form")]
            for i in first..c.min(K) {
                shared_tile!(acc, &m.n[c - i], &quotient[i]);
            }
            if c < K {
                quotient_chain!(acc, &m.n[0], n_inv, &mut quotient[c]);
            } else {
                carry = emit(&mut out[c - K], acc.first_chunk().expect("20 columns"), carry);
            }
            unroll!(I => above[I] = acc[BLOCK + I]);
        }
        // The result is below R, so nothing is carried out.
        emit(&mut out[K - 1], &above, carry);
    }

    /// Turns column sums into limbs; returns the carry.
    #[inline]
    fn emit(out: &mut Block, columns: &Block, mut carry: __m512i) -> __m512i {
        for (out, column) in out.iter_mut().zip(columns) {
            let sum = _mm512_add_epi64(*column, carry);
            *out = _mm512_and_si512(sum, _mm512_set1_epi64(LIMB_MASK as i64));
            carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(sum);
        }
        carry
    }

    fn add_limbs<const K: usize>(a: &mut Digit<K>, b: &Digit<K>) {
        for (x, y) in a.as_flattened_mut().iter_mut().zip(b.as_flattened()) {
            *x = _mm512_add_epi64(*x, *y);
        }
    }

    fn carry<const K: usize>(a: &mut Digit<K>) {
        let mask = _mm512_set1_epi64(LIMB_MASK as i64);
        let mut carry = _mm512_setzero_si512();
        for x in a.as_flattened_mut() {
            let sum = _mm512_add_epi64(*x, carry);
            *x = _mm512_and_si512(sum, mask);
            carry = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(sum);
        }
    }

    /// Adds 1 in the lanes of a mask.
    fn add_one<const K: usize>(a: &mut Digit<K>, lanes: __mmask8) {
        a[0][0] = _mm512_mask_add_epi64(a[0][0], lanes, a[0][0], _mm512_set1_epi64(1));
        carry(a);
    }

    /// Subtracts n once where a is not below it; returns the lanes where it did.
    fn subtract_once<const K: usize>(a: &mut Digit<K>, n: &[[u64; BLOCK]; K]) -> __mmask8 {
        let mask = _mm512_set1_epi64(LIMB_MASK as i64);
        let mut borrow = _mm512_setzero_si512();
        for (x, &n) in a.as_flattened().iter().zip(n.as_flattened()) {
            let difference = _mm512_sub_epi64(*x, _mm512_set1_epi64(n as i64));
            borrow = _mm512_srai_epi64::<{ LIMB_BITS as u32 }>(_mm512_add_epi64(difference, borrow));
        }
        // The borrow is 0 or −1.
        let not_less = _mm512_testn_epi64_mask(borrow, borrow);
        let mut borrow = _mm512_setzero_si512();
        for (x, &n) in a.as_flattened_mut().iter_mut().zip(n.as_flattened()) {
            let n = _mm512_maskz_set1_epi64(not_less, n as i64);
            let difference = _mm512_add_epi64(_mm512_sub_epi64(*x, n), borrow);
            *x = _mm512_and_si512(difference, mask);
            borrow = _mm512_srai_epi64::<{ LIMB_BITS as u32 }>(difference);
        }
        not_less
    }
}
