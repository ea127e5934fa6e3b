//! The kernel for any 64-bit machine: safe Rust, 64 × 64 → 128 bit products, one residue at a time.
//!
//! # Digit form
//!
//! x modulo n² is kept as its two base-n digits, x = x0 + x1·n with 0 ≤ x0, x1 < n, of x·R mod n² where
//! R = 2^(64·h) and h is the length **of n**. A Montgomery reduction of a0·b0 gives q < R with
//!
//! ```text
//! a0·b0 = c0·R − q·n,   c0 < 2n,
//! ```
//!
//! and since n·n vanishes,
//!
//! ```text
//! a·b ≡ c0·R + n·(a0·b1 + a1·b0 − q)                       (mod n²)
//! a·b·R⁻¹ ≡ c0 + n·[(a0·b1 + a1·b0 − q)·R⁻¹ mod n]          (mod n²).
//! ```
//!
//! Both halves are reductions modulo n of h limbs: 3h² limb products for the three multiplications
//! and 2h² for the two reductions, where plain Montgomery multiplication modulo the 2h limbs of n² takes
//! 8h²; squaring takes h²/2 + h² + 2h² = 3.5h². One level of Karatsuba from 32 limbs on makes that
//! 4.25h² and 3.25h². When c0 ≥ n it is written as c0' + n, and the n is a one in
//! the second digit: n·1 is already on the scale of the result.
//!
//! To stay non-negative, R − q enters the second sum in place of −q (if q ≠ 0), and the surplus R
//! becomes a surplus 1 after the reduction: the reduced value is then a positive multiple of R
//! divided by R, so taking the 1 off again cannot make it negative.

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::{Kernel, Powers, Residues};
use crate::fixed_base::ScannedTable;
use crate::limbs::{self, MAX_LIMBS};
use crate::montgomery::{Montgomery, Scratch};

pub(super) const NAME: &str = "portable";

/// See the module.
pub(crate) struct Portable {
    modulus: Montgomery,
    /// The form of 1: R mod n² = (R − n) + 1·n.
    one: Zeroizing<Vec<u64>>,
    /// The form of R: R² mod n².
    r2: Zeroizing<Vec<u64>>,
    /// The residue 1 itself, with which multiplying leaves Montgomery form.
    unit: Vec<u64>,
}

impl fmt::Debug for Portable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portable").field("modulus", &self.modulus).finish_non_exhaustive()
    }
}

/// Intermediate results of one product, wiped when a batch is done.
struct Workspace {
    wide: [u64; 2 * MAX_LIMBS],
    other: [u64; 2 * MAX_LIMBS],
    temporary: limbs::Temporary,
    quotient: [u64; MAX_LIMBS],
    low: [u64; MAX_LIMBS],
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.wide.zeroize();
        self.other.zeroize();
        self.temporary.zeroize();
        self.quotient.zeroize();
        self.low.zeroize();
    }
}

impl Workspace {
    fn new() -> Self {
        Self {
            wide: [0; 2 * MAX_LIMBS],
            other: [0; 2 * MAX_LIMBS],
            temporary: [0; 2 * MAX_LIMBS + 1],
            quotient: [0; MAX_LIMBS],
            low: [0; MAX_LIMBS],
        }
    }
}

impl Portable {
    /// Prepares n². As [`Montgomery::new`] demands, and n ≥ R/2.
    pub(crate) fn new(n: &[u64]) -> Self {
        let h = n.len();
        assert!(n[h - 1] >> 63 == 1, "the modulus of a kernel fills its limbs");
        let modulus = Montgomery::new(n);
        let mut one = Zeroizing::new(vec![0; 2 * h]);
        one[..h].copy_from_slice(modulus.one());
        one[h] = 1;
        let mut unit = vec![0; 2 * h];
        unit[0] = 1;
        let mut this = Self { modulus, r2: one.clone(), one, unit };
        // As in `Montgomery::new`: R is 2^(odd·2^s).
        let squarings = (64 * h).trailing_zeros();
        let mut r2 = this.one.clone();
        for _ in 0..(64 * h) >> squarings {
            double(&mut r2, n);
        }
        this.square(&mut r2, squarings as usize);
        this.r2 = r2;
        this
    }

    /// Starts a product: reduces the a0·b0 in `w.wide` to `w.low` = c0 mod n and `w.quotient` = q.
    /// Returns the 1 that the second digit is owed if c0 ≥ n.
    #[inline]
    fn reduce_low(&self, w: &mut Workspace) -> u64 {
        let n = self.modulus.modulus();
        let h = n.len();
        let wide = &mut w.wide[..2 * h];
        let low = &mut w.low[..h];
        let mut top = limbs::reduce(wide, n, self.modulus.limb_inverse(), &mut w.quotient[..h]);
        low.copy_from_slice(&wide[h..]);
        limbs::sub_assign_if_not_less(low, &mut top, n)
    }

    /// Ends a product: `w.wide` + `over`·R² holds a0·b1 + a1·b0, the rest is as `reduce_low` left it.
    /// Writes both digits to `out`.
    #[inline]
    fn reduce_high(&self, out: &mut [u64], w: &mut Workspace, over: u64, carry: u64) {
        let n = self.modulus.modulus();
        let h = n.len();
        let (wide, q) = (&mut w.wide[..2 * h], &mut w.quotient[..h]);
        // Only the low half takes part: a borrow from it is the surplus R of the module's text.
        let surplus = limbs::sub_assign(&mut wide[..h], q);
        let mut top = over + limbs::reduce(wide, n, self.modulus.limb_inverse(), q);
        let (x0, x1) = out.split_at_mut(h);
        x0.copy_from_slice(&w.low[..h]);
        x1.copy_from_slice(&wide[h..]);
        // The sum is at most R + 2(n − 1)², so x1 ≤ (R + 2(n − 1)² + (R − 1)·n)/R + 1 < 3n.
        top += limbs::add_assign(x1, &[carry]);
        top = top.wrapping_sub(limbs::sub_assign(x1, &[surplus]));
        limbs::sub_assign_if_not_less(x1, &mut top, n);
        limbs::sub_assign_if_not_less(x1, &mut top, n);
    }

    fn multiply_one(&self, a: &mut [u64], b: &[u64], w: &mut Workspace) {
        let h = self.modulus.len();
        let (a0, a1) = a.split_at(h);
        let (b0, b1) = b.split_at(h);
        limbs::multiply(&mut w.wide[..2 * h], a0, b0, &mut w.temporary);
        let carry = self.reduce_low(w);
        let (wide, other) = (&mut w.wide[..2 * h], &mut w.other[..2 * h]);
        limbs::multiply(wide, a0, b1, &mut w.temporary);
        limbs::multiply(other, a1, b0, &mut w.temporary);
        let over = limbs::add_assign(wide, other);
        self.reduce_high(a, w, over, carry);
    }

    fn square_one(&self, a: &mut [u64], w: &mut Workspace) {
        let h = self.modulus.len();
        let (a0, a1) = a.split_at(h);
        limbs::square(&mut w.wide[..2 * h], a0);
        let carry = self.reduce_low(w);
        let wide = &mut w.wide[..2 * h];
        limbs::multiply(wide, a0, a1, &mut w.temporary);
        let over = limbs::double(wide);
        self.reduce_high(a, w, over, carry);
    }
}

/// `x = 2x mod n²` on canonical digits.
pub(super) fn double(x: &mut [u64], n: &[u64]) {
    let (x0, x1) = x.split_at_mut(n.len());
    let mut top = limbs::double(x0);
    let carry = limbs::sub_assign_if_not_less(x0, &mut top, n);
    let mut top = limbs::double(x1);
    top += limbs::add_assign(x1, &[carry]);
    limbs::sub_assign_if_not_less(x1, &mut top, n);
}

impl Kernel for Portable {
    fn name(&self) -> &'static str {
        NAME
    }

    fn stride(&self) -> usize {
        2 * self.modulus.len()
    }

    fn digit_limbs(&self) -> usize {
        self.modulus.len()
    }

    fn one(&self) -> &[u64] {
        &self.one
    }

    fn import(&self, canonical: &[u64]) -> Residues {
        let mut words = Zeroizing::new(canonical.to_vec());
        let mut w = Workspace::new();
        for x in words.chunks_exact_mut(self.stride()) {
            self.multiply_one(x, &self.r2, &mut w);
        }
        Residues { words, stride: self.stride() }
    }

    fn export(&self, residues: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(residues.to_vec());
        let mut w = Workspace::new();
        for x in words.chunks_exact_mut(self.stride()) {
            self.multiply_one(x, &self.unit, &mut w);
        }
        words
    }

    fn multiply(&self, acc: &mut [u64], operands: &[u64]) {
        let mut w = Workspace::new();
        let stride = self.stride();
        for (a, b) in acc.chunks_exact_mut(stride).zip(operands.chunks_exact(stride)) {
            self.multiply_one(a, b, &mut w);
        }
    }

    fn multiply_gather(&self, acc: &mut [u64], operands: &[u64], plan: &[(u32, u32)]) {
        let mut w = Workspace::new();
        let stride = self.stride();
        for &(a, b) in plan {
            let (a, b) = (a as usize * stride, b as usize * stride);
            self.multiply_one(&mut acc[a..a + stride], &operands[b..b + stride], &mut w);
        }
    }

    fn square(&self, acc: &mut [u64], times: usize) {
        let mut w = Workspace::new();
        for x in acc.chunks_exact_mut(self.stride()) {
            for _ in 0..times {
                self.square_one(x, &mut w);
            }
        }
    }

    fn add_plain(&self, acc: &mut [u64], m: &[u64]) {
        let h = self.modulus.len();
        let mut scratch = Scratch::new();
        for (x, m) in acc.chunks_exact_mut(2 * h).zip(m.chunks_exact(h)) {
            // (x0 + x1·n)(1 + m·n) = x0 + (x1 + m·x0)·n, in Montgomery form as well as out of it.
            let (x0, x1) = x.split_at_mut(h);
            let mut term = Zeroizing::new(m.to_vec());
            self.modulus.multiply_plain(&mut term, x0, &mut scratch);
            self.modulus.add(x1, &term);
        }
    }

    fn add_plain_canonical(&self, canonical: &mut [u64], m: &[u64]) {
        self.add_plain(canonical, m);
    }

    fn power(&self, bases: &[u64], exponent: &[u64]) -> Residues {
        const WINDOW: usize = 5;
        let lanes = bases.len();
        // Block e of the table holds the e-th powers of all bases.
        let ones = self.one.repeat(lanes / self.stride());
        let mut table = Zeroizing::new(Vec::with_capacity(lanes << WINDOW));
        table.extend_from_slice(&ones);
        for e in 1..1 << WINDOW {
            table.extend_from_within((e - 1) * lanes..);
            self.multiply(&mut table[e * lanes..], bases);
        }
        let mut acc = Zeroizing::new(ones);
        let mut factors = Zeroizing::new(vec![0; lanes]);
        for position in (0..(64 * exponent.len()).div_ceil(WINDOW)).rev() {
            self.square(&mut acc, WINDOW);
            let digit = limbs::bits(exponent, WINDOW * position, WINDOW);
            limbs::select(&mut factors, &table, digit);
            self.multiply(&mut acc, &factors);
        }
        Residues { words: acc, stride: self.stride() }
    }

    fn fixed_base(self: Arc<Self>, base: &[u64], exponent_bits: usize) -> Box<dyn Powers> {
        Box::new(ScannedTable::new(self, base, exponent_bits))
    }
}
