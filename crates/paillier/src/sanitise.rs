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
use crate::key::{PublicKey, non_residue, random_unit};
use crate::montgomery::Scratch;
use crate::packing::Packed;
use crate::plaintext::Plaintext;
use crate::{limbs, random};

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
/// Randomness is ĝ^s·ĥ^b modulo N², statistically close to that of the key owner's own ciphertexts:
///
/// - ĝ = (−y²)^N (Damgård, Jurik and Nielsen, 2010) with y uniform in Z_N* drawn by **this** party, who does
///   not trust a generator of the key's owner. Its powers are N-th residues of Jacobi symbol +1, half of
///   all N-th residues.
/// - s is uniform below 2^(|N| + 40 + ⌈log2 uses⌉), always of that length. The order of ĝ is below 2^|N|, so s
///   modulo it is within 2^−(40 + ⌈log2 uses⌉) of uniform: 2^−40 over all uses.
/// - b is a fair coin and ĥ = r^N, with r the smallest prime of Jacobi symbol −1 modulo N, so that ĝ^s·ĥ^b
///   reaches the other half too. Without it the symbol of a returned ciphertext, which is the
///   product of the symbols of the owner's, would tell the owner a parity of this party's data.
///
/// Multiplying by it hides which product of the key owner's ciphertexts was computed.
pub struct Sanitiser {
    key: PublicKey,
    powers: FixedBase,
    exponent_bits: usize,
    /// 1 and ĥ.
    coset: Residues,
    uses: AtomicU64,
    uses_log2: u32,
}

impl Sanitiser {
    /// Draws the generator for a peer's key and computes the tables. At most 2^`uses_log2` ciphertexts
    /// (uses_log2 ≤ 63) can be made with it.
    pub fn new<R: CryptoRng + ?Sized>(key: &PublicKey, uses_log2: u32, rng: &mut R) -> Self {
        let h = key.bits().limbs();
        let uses_log2 = uses_log2.min(63);
        let mut bases = random_unit(key, rng);
        let n = key.modulus();
        let y = bases.clone();
        n.multiply_plain(&mut bases, &y, &mut Scratch::new());
        n.negate(&mut bases);
        // An N-th power modulo N² depends on the base modulo N only.
        bases.resize(4 * h, 0);
        bases[2 * h] = non_residue(key);
        let kernel = key.shared_kernel();
        let bases = kernel.power(&kernel.import(&bases).words, n.modulus());
        let mut coset = Residues::ones(kernel.as_ref(), 1);
        coset.words.extend_from_slice(bases.get(1));
        let exponent_bits = (key.bits().bits() + STATISTICAL_BITS + uses_log2) as usize;
        let powers = FixedBase::new(kernel, bases.get(0), exponent_bits);
        let uses = AtomicU64::new(0);
        Self { key: key.clone(), powers, exponent_bits, coset, uses, uses_log2 }
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
    /// c·(1 + N)^R·ĝ^s·ĥ^b mod N². The plaintext becomes uniform in Z_N, the randomness that of a fresh
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

    /// ĝ^s·ĥ^b for `count` fresh s and b.
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
        let mut coset = Residues::ones(self.key.kernel(), count);
        for factor in coset.words.chunks_exact_mut(self.coset.stride) {
            let mut coin = Zeroizing::new([0]);
            random::fill_bits(coin.as_mut_slice(), 1, rng);
            limbs::select(factor, &self.coset.words, coin[0]);
        }
        let mut powers = self.powers.powers(&exponents, self.exponent_limbs());
        kernel::multiply_parallel(self.key.kernel(), &mut powers.words, &coset.words);
        Ok(powers)
    }

    /// ĝ and ĥ, in canonical digits.
    #[cfg(test)]
    pub(crate) fn generators(&self) -> [Zeroizing<Vec<u64>>; 2] {
        let mut exponent = vec![0; self.exponent_limbs()];
        exponent[0] = 1;
        let kernel = self.key.kernel();
        let g = self.powers.powers(&exponent, self.exponent_limbs());
        [kernel.export(&g.words), kernel.export(self.coset.get(1))]
    }

    pub(crate) fn exponent_limbs(&self) -> usize {
        self.exponent_bits.div_ceil(64)
    }

    /// Exponents uniform below 2^(|N| + 40 + ⌈log2 uses⌉).
    pub(crate) fn exponents<R: CryptoRng + ?Sized>(
        &self,
        count: usize,
        rng: &mut R,
    ) -> Zeroizing<Vec<u64>> {
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
            .par_chunks(stride * kernel::chunk(self.key.kernel(), residues.len()))
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
