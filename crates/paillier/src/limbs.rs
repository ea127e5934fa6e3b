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
    // Products of different limbs, once. Strip i takes block i with itself and with what follows it;
    // it ends at limb h + (i + 1)·W, which is where the next one takes the carry in.
    let mut carry = 0;
    for (i, block) in a.as_chunks::<W>().0.iter().enumerate() {
        let rest = &a[(i + 1) * W..];
        let t = &mut t[2 * i * W..h + (i + 1) * W];
        let mut column = Column::ZERO;
        for j in 0..W {
            column.add_word(t[j]);
            for k in 0..j.div_ceil(2) {
                column.add_product(block[k], block[j - k]);
            }
            t[j] = column.shift();
        }
        let head = if rest.is_empty() { W } else { W - 1 };
        for j in 0..head {
            column.add_word(t[W + j]);
            for k in j + 1..(W + j).div_ceil(2) {
                column.add_product(block[k], block[W + j - k]);
            }
            if !rest.is_empty() {
                for k in 0..=j {
                    column.add_product(block[k], rest[j - k]);
                }
            }
            t[W + j] = column.shift();
        }
        if rest.is_empty() {
            // The last strip is the top of the number: what it carries in goes to its upper half.
            add_assign(&mut t[W..], &[carry]);
        } else {
            carry = finish_strip(&mut t[2 * W - 1..], rest, block, column, carry);
        }
    }
    // Double them, and add the squares of the limbs.
    let (mut shifted, mut carry) = (0, false);
    for (pair, &x) in t.as_chunks_mut::<2>().0.iter_mut().zip(a) {
        let square = u128::from(x) * u128::from(x);
        let [lo, hi] = *pair;
        (pair[0], carry) = ((lo << 1) | shifted).carrying_add(square as u64, carry);
        (pair[1], carry) = ((hi << 1) | (lo >> 63)).carrying_add((square >> 64) as u64, carry);
        shifted = hi >> 63;
    }
}

/// Working space of [`multiply`]; whoever owns one wipes it.
pub(crate) type Temporary = [u64; 2 * MAX_LIMBS + 1];

/// Numbers of this many limbs are multiplied by three products of half the length.
const KARATSUBA_LIMBS: usize = 32;

/// `t = a · b`, where `t` is twice as long as `a` and `b`.
///
/// Lengths are multiples of 4 of at least 8, and of 8 from [`KARATSUBA_LIMBS`] on.
pub(crate) fn multiply(t: &mut [u64], a: &[u64], b: &[u64], temporary: &mut Temporary) {
    debug_assert!(a.len() == b.len() && t.len() == 2 * a.len());
    if a.len() >= KARATSUBA_LIMBS {
        multiply_halves(t, a, b, temporary);
    } else {
        multiply_directly(t, a, b);
    }
}

fn multiply_directly(t: &mut [u64], a: &[u64], b: &[u64]) {
    t.fill(0);
    // The carry out is zero.
    if a.len().is_multiple_of(6) {
        add_product_strips::<6>(t, a, b);
    } else {
        add_product_strips::<4>(t, a, b);
    }
}

/// One level of Karatsuba and Ofman's method (1962): with a = a0 + a1·B and b = b0 + b1·B,
/// a0·b1 + a1·b0 = a0·b0 + a1·b1 + (a0 − a1)·(b1 − b0). Signs are applied by masks.
fn multiply_halves(t: &mut [u64], a: &[u64], b: &[u64], temporary: &mut Temporary) {
    let half = a.len() / 2;
    let ((a0, a1), (b0, b1)) = (a.split_at(half), b.split_at(half));
    let (product, rest) = temporary.split_at_mut(2 * half);
    // The differences are in `t` until the product of their absolute values is known.
    let (x, y) = t[..2 * half].split_at_mut(half);
    let negative = mask(absolute_difference(x, a0, a1) ^ absolute_difference(y, b1, b0));
    multiply_directly(product, x, y);
    let (low, high) = t.split_at_mut(2 * half);
    multiply_directly(low, a0, b0);
    multiply_directly(high, a1, b1);
    // middle = a0·b0 + a1·b1 ± product, where −x is !x + 1 on 2·half limbs and −1 above.
    let middle = &mut rest[..=2 * half];
    let mut carry = negative & 1 == 1;
    for (m, (p, l)) in middle.iter_mut().zip(product.iter().zip(&*low)) {
        (*m, carry) = l.carrying_add(p ^ negative, carry);
    }
    let above = u64::from(carry) + add_assign(&mut middle[..2 * half], high);
    middle[2 * half] = negative.wrapping_add(above);
    add_assign(&mut t[half..], middle);
}

/// `out = |a − b|`; returns 1 where a < b.
fn absolute_difference(out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    out.copy_from_slice(a);
    let negative = sub_assign(out, b);
    let mask = mask(negative);
    let mut carry = negative == 1;
    for x in out {
        (*x, carry) = (*x ^ mask).carrying_add(0, carry);
    }
    negative
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
