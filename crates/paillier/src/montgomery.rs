//! Arithmetic modulo one odd number in Montgomery form (Montgomery, 1985).

use zeroize::Zeroizing;

use crate::limbs;

/// An odd modulus n of h limbs with R/4 ≤ n < R, where R = 2^(64·h).
///
/// "Montgomery form" of x is x·R mod n. Methods take and return canonical residues (below n) and run
/// in time that depends on h only. The modulus itself may be secret and is wiped on drop.
pub(crate) struct Montgomery {
    n: Zeroizing<Vec<u64>>,
    n_inv: u64,
    /// R mod n: the form of 1.
    one: Zeroizing<Vec<u64>>,
    /// R² mod n: the form of R.
    r2: Zeroizing<Vec<u64>>,
}

/// Working space of one operation, wiped on drop because operands can be secret.
pub(crate) struct Scratch {
    product: Zeroizing<[u64; 2 * limbs::MAX_LIMBS]>,
    quotient: Zeroizing<[u64; limbs::MAX_LIMBS]>,
    temporary: Zeroizing<limbs::Temporary>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            product: Zeroizing::new([0; 2 * limbs::MAX_LIMBS]),
            quotient: Zeroizing::new([0; limbs::MAX_LIMBS]),
            temporary: Zeroizing::new([0; 2 * limbs::MAX_LIMBS + 1]),
        }
    }
}

impl Montgomery {
    /// Prepares a modulus. It must be odd and at least R/4, and its length a multiple of 4 limbs
    /// between 8 and [`limbs::MAX_LIMBS`].
    pub(crate) fn new(n: &[u64]) -> Self {
        let h = n.len();
        assert!(
            n[0] & 1 == 1 && n[h - 1] >> 62 != 0 && h >= 8 && h.is_multiple_of(4),
            "a Montgomery modulus is odd and at least a quarter of R"
        );
        // R ≤ 4n, so R − n, the two's complement of n, is below 4n.
        let mut one: Vec<u64> = n.iter().map(|x| !x).collect();
        limbs::add_assign(&mut one, &[1]);
        for _ in 0..3 {
            limbs::sub_assign_if_not_less(&mut one, &mut 0, n);
        }
        let mut this = Self {
            n: Zeroizing::new(n.to_vec()),
            n_inv: limbs::negated_inverse_of_limb(n[0]),
            r2: Zeroizing::new(one.clone()),
            one: Zeroizing::new(one),
        };
        // R = 2^(odd·2^s): double the form of 1 `odd` times, then square it s times.
        let squarings = (64 * h).trailing_zeros();
        for _ in 0..(64 * h) >> squarings {
            let mut doubled = this.r2.clone();
            this.add(&mut doubled, &this.r2);
            this.r2 = doubled;
        }
        let mut scratch = Scratch::new();
        for _ in 0..squarings {
            let mut squared = this.r2.clone();
            this.square(&mut squared, &mut scratch);
            this.r2 = squared;
        }
        this
    }

    pub(crate) fn modulus(&self) -> &[u64] {
        &self.n
    }

    pub(crate) fn limb_inverse(&self) -> u64 {
        self.n_inv
    }

    /// The number of limbs h.
    pub(crate) fn len(&self) -> usize {
        self.n.len()
    }

    /// The form of 1.
    pub(crate) fn one(&self) -> &[u64] {
        &self.one
    }

    /// `a = a·b·R⁻¹ mod n`. `b` may be any number below R.
    pub(crate) fn multiply(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        let product = &mut scratch.product[..2 * self.len()];
        limbs::multiply(product, a, b, &mut scratch.temporary);
        self.finish(a, scratch);
    }

    /// `a = a²·R⁻¹ mod n`.
    pub(crate) fn square(&self, a: &mut [u64], scratch: &mut Scratch) {
        limbs::square(&mut scratch.product[..2 * self.len()], a);
        self.finish(a, scratch);
    }

    fn finish(&self, a: &mut [u64], scratch: &mut Scratch) {
        let h = self.len();
        let product = &mut scratch.product[..2 * h];
        let mut top = limbs::reduce(product, &self.n, self.n_inv, &mut scratch.quotient[..h]);
        a.copy_from_slice(&product[h..]);
        limbs::sub_assign_if_not_less(a, &mut top, &self.n);
    }

    /// `x·R⁻¹ mod n` of a number x of up to 2h limbs below n·R.
    pub(crate) fn reduce(&self, wide: &[u64], scratch: &mut Scratch) -> Zeroizing<Vec<u64>> {
        let product = &mut scratch.product[..2 * self.len()];
        product.fill(0);
        product[..wide.len()].copy_from_slice(wide);
        let mut out = Zeroizing::new(vec![0; self.len()]);
        self.finish(&mut out, scratch);
        out
    }

    /// As [`Self::reduce`], with what the reduction found on its way: x = c·R − q·n for the returned
    /// q < R, and c = result + carry·n.
    pub(crate) fn reduce_with_quotient(
        &self,
        wide: &[u64],
        scratch: &mut Scratch,
    ) -> (Zeroizing<Vec<u64>>, Zeroizing<Vec<u64>>, u64) {
        let h = self.len();
        let product = &mut scratch.product[..2 * h];
        product.fill(0);
        product[..wide.len()].copy_from_slice(wide);
        let mut quotient = Zeroizing::new(vec![0; h]);
        let mut top = limbs::reduce(product, &self.n, self.n_inv, &mut quotient);
        let mut out = Zeroizing::new(product[h..].to_vec());
        let carry = limbs::sub_assign_if_not_less(&mut out, &mut top, &self.n);
        (out, quotient, carry)
    }

    /// The canonical residue of a number x of up to 2h limbs below n·R.
    pub(crate) fn residue(&self, wide: &[u64], scratch: &mut Scratch) -> Zeroizing<Vec<u64>> {
        let mut out = self.reduce(wide, scratch);
        self.multiply(&mut out, &self.r2, scratch);
        out
    }

    /// Brings a number below R into Montgomery form.
    pub(crate) fn enter(&self, a: &mut [u64], scratch: &mut Scratch) {
        let plain = Zeroizing::new(a.to_vec());
        a.copy_from_slice(&self.r2);
        self.multiply(a, &plain, scratch);
    }

    /// The canonical residue of a number in Montgomery form.
    pub(crate) fn leave(&self, a: &mut [u64], scratch: &mut Scratch) {
        let reduced = self.reduce(a, scratch);
        a.copy_from_slice(&reduced);
    }

    /// `a = a·b mod n` on canonical residues.
    pub(crate) fn multiply_plain(&self, a: &mut [u64], b: &[u64], scratch: &mut Scratch) {
        self.multiply(a, b, scratch);
        self.multiply(a, &self.r2, scratch);
    }

    /// `a = a + b mod n`.
    pub(crate) fn add(&self, a: &mut [u64], b: &[u64]) {
        let mut top = limbs::add_assign(a, b);
        limbs::sub_assign_if_not_less(a, &mut top, &self.n);
    }

    /// `a = a − b mod n`.
    pub(crate) fn sub(&self, a: &mut [u64], b: &[u64]) {
        let borrow = limbs::sub_assign(a, b);
        limbs::add_assign_if(a, &self.n, borrow);
    }

    /// `a = −a mod n`.
    pub(crate) fn negate(&self, a: &mut [u64]) {
        self.negate_if(a, 1);
    }

    /// `a = −a mod n` where `bit` is 1.
    pub(crate) fn negate_if(&self, a: &mut [u64], bit: u64) {
        let mask = limbs::mask(bit);
        let mut negated = Zeroizing::new(vec![0; a.len()]);
        self.sub(&mut negated, a);
        for (x, y) in a.iter_mut().zip(negated.iter()) {
            *x ^= (*x ^ y) & mask;
        }
    }

    /// `base^exponent` in Montgomery form, of a base in Montgomery form. Every bit of the exponent's
    /// limbs costs the same and no table entry is addressed by it.
    pub(crate) fn pow(&self, base: &[u64], exponent: &[u64]) -> Zeroizing<Vec<u64>> {
        const WINDOW: usize = 5;
        let h = self.len();
        let mut scratch = Scratch::new();
        let mut table = Zeroizing::new(vec![0; h << WINDOW]);
        table[..h].copy_from_slice(&self.one);
        for i in 1..1 << WINDOW {
            let (done, next) = table.split_at_mut(i * h);
            next[..h].copy_from_slice(&done[(i - 1) * h..]);
            self.multiply(&mut next[..h], base, &mut scratch);
        }
        let mut acc = self.one.clone();
        let mut factor = Zeroizing::new(vec![0; h]);
        for position in (0..(64 * exponent.len()).div_ceil(WINDOW)).rev() {
            for _ in 0..WINDOW {
                self.square(&mut acc, &mut scratch);
            }
            let digit = limbs::bits(exponent, WINDOW * position, WINDOW);
            limbs::select(&mut factor, &table, digit);
            self.multiply(&mut acc, &factor, &mut scratch);
        }
        acc
    }

    /// `a⁻¹ mod n` of a canonical residue in constant time (Bernstein–Yang), `None` if a and n have
    /// a common factor.
    pub(crate) fn invert(&self, a: &[u64]) -> Option<Zeroizing<Vec<u64>>> {
        use crypto_bigint::{BoxedUint, Odd};
        let modulus = Odd::new(BoxedUint::from_words(self.n.iter().copied())).into_option()?;
        let modulus = Zeroizing::new(modulus);
        let a = Zeroizing::new(BoxedUint::from_words(a.iter().copied()));
        let inverse = Zeroizing::new(a.invert_odd_mod(&modulus).into_option()?);
        Some(Zeroizing::new(inverse.as_words().to_vec()))
    }
}

impl core::fmt::Debug for Montgomery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Montgomery").field("limbs", &self.len()).finish_non_exhaustive()
    }
}
