//! Multi-limb arithmetic on little-endian `u64` slices, in time that depends on lengths only.
//!
//! The three inner loops of the crate live here: the product of two numbers, the square, and the
//! Montgomery reduction that also returns its quotient. All three walk the operands in *strips* of
//! `W` rows: within a strip, each column is summed in a three-limb accumulator (product scanning),
//! so a partial result is loaded and stored once for `W` products. `W` is fixed at compile time and
//! the number of columns is not, which keeps the loop body small enough for the instruction cache.

/// The most limbs an operand may have: one base-N digit of a 3072-bit key.
pub(crate) const MAX_LIMBS: usize = 48;

/// A running column sum below 2^192.
#[derive(Clone, Copy)]
struct Column([u64; 3]);

impl Column {
    const ZERO: Self = Self([0; 3]);

    /// Adds one product. The sum must stay below 2^192, which 2^64 products cannot exceed.
    #[inline(always)]
    fn add_product(&mut self, a: u64, b: u64) {
        let product = u128::from(a) * u128::from(b);
        let (lo, carry) = self.0[0].carrying_add(product as u64, false);
        let (mid, carry) = self.0[1].carrying_add((product >> 64) as u64, carry);
        self.0 = [lo, mid, self.0[2].carrying_add(0, carry).0];
    }

    /// Adds one word to a sum below 2^128 − 2^64, as it is right after [`Self::shift`].
    #[inline(always)]
    fn add_word(&mut self, word: u64) {
        let (lo, carry) = self.0[0].carrying_add(word, false);
        self.0[0] = lo;
        self.0[1] = self.0[1].carrying_add(0, carry).0;
    }

    /// Adds another column sum.
    #[inline(always)]
    fn add(&mut self, other: Self) {
        let (lo, carry) = self.0[0].carrying_add(other.0[0], false);
        let (mid, carry) = self.0[1].carrying_add(other.0[1], carry);
        self.0 = [lo, mid, self.0[2].carrying_add(other.0[2], carry).0];
    }

    /// Twice a sum below 2^191.
    #[inline(always)]
    fn doubled(self) -> Self {
        let [lo, mid, hi] = self.0;
        Self([lo << 1, (mid << 1) | (lo >> 63), (hi << 1) | (mid >> 63)])
    }

    /// Takes the lowest limb out and moves on to the next column.
    #[inline(always)]
    fn shift(&mut self) -> u64 {
        let [lo, mid, hi] = self.0;
        self.0 = [mid, hi, 0];
        lo
    }
}

/// `t[..a.len() + W] += a · b + carry · 2^(64·a.len())`; returns the carry out.
#[inline(always)]
fn add_strip<const W: usize>(t: &mut [u64], a: &[u64], b: &[u64; W], carry: u64) -> u64 {
    let h = a.len();
    let mut column = Column::ZERO;
    let mut head = Column::ZERO;
    for j in 0..W - 1 {
        head.add_word(t[j]);
        for k in 0..=j {
            head.add_product(b[k], a[j - k]);
        }
        t[j] = head.shift();
    }
    column.add(head);
    finish_strip(&mut t[W - 1..h + W], a, b, column, carry)
}

/// The columns of a strip from the first one that has all `W` products. `t` starts there.
#[inline(always)]
fn finish_strip<const W: usize>(
    t: &mut [u64],
    a: &[u64],
    b: &[u64; W],
    mut column: Column,
    carry: u64,
) -> u64 {
    let (full, tail) = t.split_at_mut(a.len() + 1 - W);
    for (t, window) in full.iter_mut().zip(a.windows(W)) {
        let window: &[u64; W] = window.try_into().expect("windows(W) has W limbs");
        column.add_word(*t);
        for k in 0..W {
            column.add_product(b[k], window[W - 1 - k]);
        }
        *t = column.shift();
    }
    let last: &[u64; W] = a.last_chunk().expect("an operand has at least W limbs");
    let tail: &mut [u64; W] = tail.try_into().expect("a strip is W limbs longer than its operand");
    column.add(Column([carry, 0, 0]));
    for j in 0..W {
        column.add(Column([tail[j], 0, 0]));
        for k in j + 1..W {
            column.add_product(b[k], last[W + j - k]);
        }
        tail[j] = column.shift();
    }
    column.0[0]
}

/// `t += a · b` on `2·h` limbs; returns the carry out. All lengths are multiples of `W`.
#[inline(never)]
fn add_product_strips<const W: usize>(t: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    let h = a.len();
    let mut carry = 0;
    for (i, rows) in b.as_chunks::<W>().0.iter().enumerate() {
        carry = add_strip(&mut t[i * W..i * W + h + W], a, rows, carry);
    }
    carry
}

/// Montgomery reduction in strips; see [`reduce`].
#[inline(never)]
fn reduce_strips<const W: usize>(
    t: &mut [u64],
    n: &[u64],
    n_inv: u64,
    quotient: &mut [u64],
) -> u64 {
    let h = n.len();
    let low: &[u64; W] = n.first_chunk().expect("a modulus has at least W limbs");
    let mut carry = 0;
    for (i, q) in quotient.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        let t = &mut t[i * W..i * W + h + W];
        let mut column = Column::ZERO;
        // The low W columns become zero; each decides one limb of the quotient.
        for j in 0..W {
            column.add_word(t[j]);
            for k in 0..j {
                column.add_product(q[k], low[j - k]);
            }
            q[j] = column.0[0].wrapping_mul(n_inv);
            column.add_product(q[j], low[0]);
            t[j] = column.shift();
        }
        carry = finish_strip(&mut t[W..], &n[1..], q, column, carry);
    }
    carry
}

/// The square in strips; see [`square`].
#[inline(never)]
fn square_strips<const W: usize>(t: &mut [u64], a: &[u64]) {
    let h = a.len();
    t.fill(0);
    let blocks = a.as_chunks::<W>().0;
    // Products of limbs in different blocks, once. Strip i ends at limb h + (i + 1)·W, which is
    // where the next one takes the carry in.
    let mut carry = 0;
    for (i, rows) in blocks[..blocks.len() - 1].iter().enumerate() {
        let strip = &mut t[(2 * i + 1) * W..h + (i + 1) * W];
        carry = add_strip(strip, &a[(i + 1) * W..], rows, carry);
    }
    t[2 * h - W] = carry;
    // Double them, and add the squares of the blocks.
    let mut column = Column::ZERO;
    for (t, block) in t.chunks_exact_mut(2 * W).zip(blocks) {
        for j in 0..2 * W {
            let mut once = Column([t[j], 0, 0]);
            for k in (j + 1).saturating_sub(W)..j.div_ceil(2) {
                once.add_product(block[k], block[j - k]);
            }
            column.add(once.doubled());
            if j % 2 == 0 {
                column.add_product(block[j / 2], block[j / 2]);
            }
            t[j] = column.shift();
        }
    }
}

/// `t += a · b`, where `t` is twice as long as `a` and `b`; returns the carry out.
///
/// Lengths are multiples of 4 of at least 8.
pub(crate) fn add_product(t: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    debug_assert!(a.len() == b.len() && t.len() == 2 * a.len());
    if a.len().is_multiple_of(6) {
        add_product_strips::<6>(t, a, b)
    } else {
        add_product_strips::<4>(t, a, b)
    }
}

/// `t = a · b`, where `t` is twice as long as `a` and `b`.
pub(crate) fn multiply(t: &mut [u64], a: &[u64], b: &[u64]) {
    t.fill(0);
    add_product(t, a, b);
}

/// `t = a²`, where `t` is twice as long as `a`.
pub(crate) fn square(t: &mut [u64], a: &[u64]) {
    debug_assert!(t.len() == 2 * a.len());
    if a.len().is_multiple_of(6) { square_strips::<6>(t, a) } else { square_strips::<4>(t, a) }
}

/// Montgomery reduction: finds `q` below R = 2^(64·h) with `t + q·n ≡ 0 (mod R)`, writes `q` to
/// `quotient` and replaces `t` by `t + q·n`, of which the low half is then zero.
///
/// Returns the carry out of the `2·h` limbs of `t`. `n_inv` is −n⁻¹ modulo 2^64.
pub(crate) fn reduce(t: &mut [u64], n: &[u64], n_inv: u64, quotient: &mut [u64]) -> u64 {
    debug_assert!(t.len() == 2 * n.len() && quotient.len() == n.len());
    if n.len().is_multiple_of(6) {
        reduce_strips::<6>(t, n, n_inv, quotient)
    } else {
        reduce_strips::<4>(t, n, n_inv, quotient)
    }
}

/// −n⁻¹ modulo 2^64 of an odd number, by Newton's iteration.
pub(crate) fn negated_inverse_of_limb(n: u64) -> u64 {
    let mut x = n; // correct to 3 bits
    for _ in 0..5 {
        x = x.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(x)));
    }
    x.wrapping_neg()
}

/// `a += b`; returns the carry. `b` may be shorter than `a`.
pub(crate) fn add_assign(a: &mut [u64], b: &[u64]) -> u64 {
    let (low, high) = a.split_at_mut(b.len());
    let mut carry = false;
    for (x, y) in low.iter_mut().zip(b) {
        (*x, carry) = x.carrying_add(*y, carry);
    }
    for x in high {
        (*x, carry) = x.carrying_add(0, carry);
    }
    u64::from(carry)
}

/// `a *= 2`; returns the carry.
pub(crate) fn double(a: &mut [u64]) -> u64 {
    let mut carry = 0;
    for x in a {
        (*x, carry) = ((*x << 1) | carry, *x >> 63);
    }
    carry
}

/// `a -= b`; returns the borrow. `b` may be shorter than `a`.
pub(crate) fn sub_assign(a: &mut [u64], b: &[u64]) -> u64 {
    let (low, high) = a.split_at_mut(b.len());
    let mut borrow = false;
    for (x, y) in low.iter_mut().zip(b) {
        (*x, borrow) = x.borrowing_sub(*y, borrow);
    }
    for x in high {
        (*x, borrow) = x.borrowing_sub(0, borrow);
    }
    u64::from(borrow)
}

/// 1 where `a < b`, else 0.
pub(crate) fn is_less(a: &[u64], b: &[u64]) -> u64 {
    let mut borrow = false;
    for (x, y) in a.iter().zip(b) {
        (_, borrow) = x.borrowing_sub(*y, borrow);
    }
    u64::from(borrow)
}

/// 1 where all limbs are zero, else 0.
pub(crate) fn is_zero(a: &[u64]) -> u64 {
    let any = a.iter().fold(0, |any, x| any | x);
    1 ^ ((any | any.wrapping_neg()) >> 63)
}

/// All ones where `bit` is 1, zero where it is 0. The compiler cannot see which.
#[inline]
pub(crate) fn mask(bit: u64) -> u64 {
    core::hint::black_box(bit).wrapping_neg()
}

/// `a += b` where `bit` is 1; returns the carry.
pub(crate) fn add_assign_if(a: &mut [u64], b: &[u64], bit: u64) -> u64 {
    let mask = mask(bit);
    let mut carry = false;
    for (x, y) in a.iter_mut().zip(b) {
        (*x, carry) = x.carrying_add(*y & mask, carry);
    }
    u64::from(carry)
}

/// Subtracts `n` once from the number `top·2^(64·h) + a` if it is not below `n`; returns whether it
/// did as 0 or 1.
pub(crate) fn sub_assign_if_not_less(a: &mut [u64], top: &mut u64, n: &[u64]) -> u64 {
    let less = is_less(a, n) & is_zero(&[*top]);
    let mask = mask(1 ^ less);
    let mut borrow = false;
    for (x, y) in a.iter_mut().zip(n) {
        (*x, borrow) = x.borrowing_sub(*y & mask, borrow);
    }
    *top = top.wrapping_sub(u64::from(borrow));
    1 ^ less
}

/// Copies block `pick` of `table` to `out`, reading every block: which one shows in neither the
/// addresses nor the branches. A block has the length of `out`.
pub(crate) fn select(out: &mut [u64], table: &[u64], pick: u64) {
    out.fill(0);
    for (i, block) in table.chunks_exact(out.len()).enumerate() {
        let mask = mask(is_zero(&[pick ^ i as u64]));
        for (o, x) in out.iter_mut().zip(block) {
            *o |= x & mask;
        }
    }
}

/// The `width` ≤ 32 bits of `x` from bit `position` on; bits past the end are zero.
pub(crate) fn bits(x: &[u64], position: usize, width: usize) -> u64 {
    let limb = |i: usize| u128::from(x.get(i).copied().unwrap_or(0));
    let pair = limb(position / 64) | (limb(position / 64 + 1) << 64);
    (pair >> (position % 64)) as u64 & ((1 << width) - 1)
}

/// Little-endian bytes, eight a limb.
pub(crate) fn to_le_bytes(x: &[u64]) -> Vec<u8> {
    x.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

/// The limbs of little-endian bytes; missing high bytes are zero.
pub(crate) fn from_le_bytes(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut limb = [0; 8];
            limb[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(limb)
        })
        .collect()
}
