//! Fresh randomness for ciphertexts under the peer's key (rule 2 of the design).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::ciphertext::SendableCiphertexts;
use crate::error::Error;
use crate::fixed_base::FixedBase;
use crate::kernel::{self, Residues};
use crate::key::{PublicKey, random_unit};
use crate::packing::Packed;
use crate::plaintext::Plaintext;
use crate::random;

/// Statistical security of a whole job, in bits.
pub const STATISTICAL_BITS: u32 = 40;

/// A mask exactly uniform in Z_N for one packed ciphertext.
///
/// The sum of a plaintext and the mask modulo N is uniform whatever the plaintext is: hiding is
/// perfect. The party that adds it reads its share, the [`digit`](Self::digit)s, beforehand. Used by
/// being consumed, neither `Clone` nor serialisable, wiped on drop:
///
/// ```compile_fail,E0382
/// # use paillier::{Packed, PublicKey, Sanitiser, UniformMask};
/// # fn twice(s: &Sanitiser, a: Vec<Packed>, b: Vec<Packed>, rng: &mut impl rand::CryptoRng) {
/// let mask = UniformMask::random(s.key(), rng);
/// let masks = vec![mask];
/// s.mask_and_sanitise(a, masks, rng).unwrap();
/// s.mask_and_sanitise(b, masks, rng).unwrap(); // used after being moved
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # use paillier::UniformMask;
/// # fn copy(mask: UniformMask) -> UniformMask {
/// mask.clone()
/// # }
/// ```
pub struct UniformMask(Plaintext);

impl UniformMask {
    /// Draws a mask exactly uniform in 0 ≤ R < N, by rejection sampling.
    pub fn random<R: CryptoRng + ?Sized>(key: &PublicKey, rng: &mut R) -> Self {
        Self(Plaintext::random(key, rng))
    }

    /// ⌊R / 2^(slot_bits·index)⌋ mod 2^low_bits: what the masking party subtracts for this slot.
    pub fn digit(&self, index: usize, slot_bits: u32, low_bits: u32) -> u128 {
        self.0.digit(index, slot_bits, low_bits)
    }
}

impl fmt::Debug for UniformMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UniformMask(..)")
    }
}

/// Makes ciphertexts under a peer's key fit to be sent: encrypts, and masks and sanitises.
///
/// Randomness is ĝ^s with ĝ = (−y²)^N mod N² (Damgård, Jurik and Nielsen, 2010), y uniform in Z_N* drawn by
/// **this** party, who does not trust a generator of the key's owner, and s uniform below
/// 2^(|N| + 40 + ⌈log2 uses⌉), always of that length. −y² generates a group of order below 2^|N|, so s
/// reduced modulo that order is within 2^−(40 + ⌈log2 uses⌉) of uniform: over all uses the randomness
/// differs from uniform in that group by at most 2^−40 in statistical distance. Multiplying by it
/// hides which product of the key owner's ciphertexts was computed.
pub struct Sanitiser {
    key: PublicKey,
    powers: FixedBase,
    exponent_bits: usize,
    uses: AtomicU64,
    uses_log2: u32,
}

impl Sanitiser {
    /// Draws the generator for a peer's key and computes the tables. At most 2^`uses_log2` ciphertexts
    /// (uses_log2 ≤ 63) can be made with it.
    pub fn new<R: CryptoRng + ?Sized>(key: &PublicKey, uses_log2: u32, rng: &mut R) -> Self {
        let h = key.bits().limbs();
        let uses_log2 = uses_log2.min(63);
        let mut y = random_unit(key, rng);
        let n = key.modulus();
        let square = y.clone();
        n.multiply_plain(&mut y, &square, &mut crate::montgomery::Scratch::new());
        n.negate(&mut y);
        // An N-th power modulo N² depends on the base modulo N only.
        y.resize(2 * h, 0);
        let kernel = key.shared_kernel();
        let base = kernel::power(kernel.as_ref(), &kernel.import(&y).words, n.modulus());
        let exponent_bits = (key.bits().bits() + STATISTICAL_BITS + uses_log2) as usize;
        let powers = FixedBase::new(kernel, &base.words, exponent_bits);
        Self { key: key.clone(), powers, exponent_bits, uses: AtomicU64::new(0), uses_log2 }
    }

    /// The peer's public key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Encrypts a batch under the peer's key with fresh randomness each, in time independent of values
    /// and randomness.
    ///
    /// # Errors
    /// [`Error::Length`] if a plaintext has the width of another key size,
    /// [`Error::BudgetExhausted`].
    pub fn encrypt<R: CryptoRng + ?Sized>(
        &self,
        plaintexts: &[Plaintext],
        rng: &mut R,
    ) -> Result<SendableCiphertexts, Error> {
        let mut m = Zeroizing::new(Vec::new());
        for plaintext in plaintexts {
            self.key.check_width(plaintext)?;
            m.extend_from_slice(plaintext.limbs());
        }
        let mut c = self.randomness(plaintexts.len(), rng)?;
        self.key.kernel().add_plain(&mut c.words, &m);
        Ok(self.export(&c))
    }

    /// Adds one mask to each packed ciphertext and multiplies fresh randomness in:
    /// c·(1 + N)^R·ĝ^s mod N². The plaintext becomes uniform in Z_N, the randomness that of a fresh
    /// ciphertext; the receiver learns the masked sum and nothing else.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many masks as ciphertexts, [`Error::KeyMismatch`] if a
    /// ciphertext belongs to another key, [`Error::BudgetExhausted`]. Masks are consumed in any case.
    #[expect(clippy::needless_pass_by_value, reason = "masks are used once: consumed by type")]
    pub fn mask_and_sanitise<R: CryptoRng + ?Sized>(
        &self,
        packed: Vec<Packed>,
        masks: Vec<UniformMask>,
        rng: &mut R,
    ) -> Result<SendableCiphertexts, Error> {
        if packed.len() != masks.len() {
            return Err(Error::Length { expected: packed.len(), found: masks.len() });
        }
        let mut m = Zeroizing::new(Vec::new());
        let mut c = Residues::with_capacity(self.key.kernel(), packed.len());
        for (packed, mask) in packed.iter().zip(&masks) {
            self.key.ensure_same(packed.key())?;
            self.key.check_width(&mask.0)?;
            m.extend_from_slice(mask.0.limbs());
            c.words.extend_from_slice(packed.residue());
        }
        let fresh = self.randomness(packed.len(), rng)?;
        kernel::multiply_parallel(self.key.kernel(), &mut c.words, &fresh.words);
        self.key.kernel().add_plain(&mut c.words, &m);
        Ok(self.export(&c))
    }

    /// ĝ^s for `count` fresh s.
    fn randomness<R: CryptoRng + ?Sized>(
        &self,
        count: usize,
        rng: &mut R,
    ) -> Result<Residues, Error> {
        let limit = 1u64 << self.uses_log2;
        let spend = |used: u64| used.checked_add(count as u64).filter(|&total| total <= limit);
        self.uses
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
            .map_err(|_| Error::BudgetExhausted)?;
        let exponents = self.exponents(count, rng);
        Ok(self.powers.powers(&exponents, self.exponent_limbs()))
    }

    fn exponent_limbs(&self) -> usize {
        self.exponent_bits.div_ceil(64)
    }

    /// Exponents uniform below 2^(|N| + 40 + ⌈log2 uses⌉).
    fn exponents<R: CryptoRng + ?Sized>(&self, count: usize, rng: &mut R) -> Zeroizing<Vec<u64>> {
        let mut exponents = Zeroizing::new(vec![0; count * self.exponent_limbs()]);
        for s in exponents.chunks_exact_mut(self.exponent_limbs()) {
            random::fill_bits(s, self.exponent_bits, rng);
        }
        exponents
    }

    fn export(&self, residues: &Residues) -> SendableCiphertexts {
        let stride = residues.stride;
        let canonical = residues
            .words
            .par_chunks(stride * kernel::chunk(residues.len()))
            .flat_map_iter(|chunk| self.key.kernel().export(chunk).to_vec())
            .collect();
        SendableCiphertexts::new(self.key.clone(), canonical)
    }
}

impl fmt::Debug for Sanitiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sanitiser").field("key", &self.key).finish_non_exhaustive()
    }
}
