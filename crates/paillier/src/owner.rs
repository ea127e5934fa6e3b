//! Encryption by the key's owner.

use std::fmt;
use std::sync::Arc;

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use crate::ciphertext::SendableCiphertexts;
use crate::error::Error;
use crate::fixed_base::FixedBase;
use crate::kernel;
use crate::key::{Factors, Half, PublicKey, Recombination, SecretKey};
use crate::limbs;
use crate::montgomery::Scratch;
use crate::plaintext::Plaintext;
use crate::random;

/// Encrypts under one's own key, several times faster than the textbook.
///
/// # Distribution
///
/// The randomness is **exactly** that of r^N mod N² with r uniform in Z_N*; no assumption on short
/// exponents is made. Modulo p², x ↦ x^N depends on x mod p only (N is a multiple of p) and maps Z_p*
/// one to one to the subgroup of order p − 1, because gcd(N, p − 1) = 1; so r^N mod p² is uniform in
/// that cyclic group. Here it is drawn as g^e with g a generator and e exactly uniform below p − 1
/// (rejection sampling); likewise and independently modulo q². The two are combined by the Chinese
/// remainder theorem.
pub struct OwnerEncryptor {
    factors: Arc<Factors>,
    p: FixedBase,
    q: FixedBase,
}

impl OwnerEncryptor {
    /// Draws generators and computes the tables, a fraction of a second.
    pub fn new<R: CryptoRng + ?Sized>(key: &SecretKey, rng: &mut R) -> Self {
        let factors = Arc::clone(key.factors());
        let p = tables(&factors.p, rng);
        let q = tables(&factors.q, rng);
        Self { factors, p, q }
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.factors.public
    }

    /// Encrypts a batch with fresh randomness each, in time independent of values and randomness.
    ///
    /// # Errors
    /// [`Error::Length`] if a plaintext has the width of another key size.
    pub fn encrypt<R: CryptoRng + ?Sized>(
        &self,
        plaintexts: &[Plaintext],
        rng: &mut R,
    ) -> Result<SendableCiphertexts, Error> {
        // Before any work: a wrong width is the caller's mistake.
        plaintexts.iter().try_for_each(|plaintext| self.public().check_width(plaintext))?;
        self.obfuscators(plaintexts.len(), rng).encrypt(self.public(), plaintexts)
    }

    /// The randomness of `count` ciphertexts.
    pub(crate) fn obfuscators<R: CryptoRng + ?Sized>(
        &self,
        count: usize,
        rng: &mut R,
    ) -> Obfuscators {
        let h = self.factors.p.field.len();
        let mut exponents = [(); 2].map(|()| Zeroizing::new(Vec::with_capacity(h * count)));
        for _ in 0..count {
            exponents[0].extend_from_slice(&random::below(&self.factors.p.order, rng));
            exponents[1].extend_from_slice(&random::below(&self.factors.q.order, rng));
        }
        let [p, q] = exponents;
        let modulo_p = self.p.powers(&p, h).words;
        let modulo_q = self.q.powers(&q, h).words;
        let mut canonical = Zeroizing::new(vec![0; 4 * h * count]);
        let Factors { p, q, .. } = &*self.factors;
        let size = kernel::chunk(p.kernel.as_ref(), count);
        canonical
            .par_chunks_mut(4 * h * size)
            .zip(modulo_p.par_chunks(p.kernel.stride() * size))
            .zip(modulo_q.par_chunks(q.kernel.stride() * size))
            .for_each(|((out, modulo_p), modulo_q)| {
                let (a, b) = (p.kernel.export(modulo_p), q.kernel.export(modulo_q));
                let mut w = Recombination::new();
                let pairs = a.chunks_exact(2 * h).zip(b.chunks_exact(2 * h));
                for (x, (a, b)) in out.chunks_exact_mut(4 * h).zip(pairs) {
                    self.factors.combine_digits(x, a, b, &mut w);
                }
            });
        Obfuscators { canonical, stride: 4 * h }
    }

    /// Encrypts signed numbers; see [`Self::encrypt`].
    pub fn encrypt_signed<R: CryptoRng + ?Sized>(
        &self,
        values: &[i128],
        rng: &mut R,
    ) -> SendableCiphertexts {
        let plaintexts: Vec<_> =
            values.iter().map(|&v| Plaintext::from_i128(self.public(), v)).collect();
        self.encrypt(&plaintexts, rng).expect("plaintexts were made for this key size")
    }
}

/// r^N mod N² for as many r uniform in Z_N*: what one ciphertext each is made of. An r^N gives away the
/// plaintext of its ciphertext, and used twice their difference: it is moved out when it is used, and
/// wiped.
pub(crate) struct Obfuscators {
    /// Base-N digits.
    canonical: Zeroizing<Vec<u64>>,
    /// Words each.
    stride: usize,
}

impl Obfuscators {
    /// None yet, with room for `count`: a buffer that grows would leave its old content behind.
    pub(crate) fn with_capacity(key: &PublicKey, count: usize) -> Self {
        let stride = 2 * key.bits().limbs();
        Self { canonical: Zeroizing::new(Vec::with_capacity(count * stride)), stride }
    }

    pub(crate) fn len(&self) -> usize {
        self.canonical.len() / self.stride
    }

    /// Moves up to `count` of them behind those of `to`.
    pub(crate) fn move_to(&mut self, to: &mut Self, count: usize) {
        let left = self.canonical.len() - count.min(self.len()) * self.stride;
        to.canonical.extend_from_slice(&self.canonical[left..]);
        self.canonical[left..].zeroize();
        self.canonical.truncate(left);
    }

    /// One ciphertext each, (1 + m·N)·r^N.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many plaintexts, all of the key's width.
    pub(crate) fn encrypt(
        mut self,
        key: &PublicKey,
        plaintexts: &[Plaintext],
    ) -> Result<SendableCiphertexts, Error> {
        if plaintexts.len() != self.len() {
            return Err(Error::Length { expected: self.len(), found: plaintexts.len() });
        }
        let mut m = Zeroizing::new(Vec::with_capacity(self.canonical.len() / 2));
        for plaintext in plaintexts {
            key.check_width(plaintext)?;
            m.extend_from_slice(plaintext.limbs());
        }
        let size = kernel::chunk(key.kernel(), plaintexts.len());
        self.canonical
            .par_chunks_mut(self.stride * size)
            .zip(m.par_chunks(self.stride / 2 * size))
            .for_each(|(x, m)| key.kernel().add_plain_canonical(x, m));
        Ok(SendableCiphertexts::new(key.clone(), std::mem::take(&mut *self.canonical)))
    }
}

/// Tables for a random generator of the N-th residues modulo p²: x^p for a generator x of Z_p*.
///
/// With p = 2p' + 1, x generates Z_p* exactly if x^p' = −1 and x ≠ −1.
fn tables<R: CryptoRng + ?Sized>(half: &Half, rng: &mut R) -> FixedBase {
    let h = half.field.len();
    let mut scratch = Scratch::new();
    let mut minus_one = Zeroizing::new(half.field.one().to_vec());
    half.field.negate(&mut minus_one);
    let mut exponent = Zeroizing::new(vec![0; h]);
    for (i, limb) in exponent.iter_mut().enumerate() {
        // (p − 1)/2, 32 bits at a time.
        let at = 64 * i + 1;
        *limb = limbs::bits(&half.order, at, 32) | (limbs::bits(&half.order, at + 32, 32) << 32);
    }
    let x = loop {
        let x = random::below(half.field.modulus(), rng);
        let mut form = x.clone();
        half.field.enter(&mut form, &mut scratch);
        if *form != *minus_one && *half.field.pow(&form, &exponent) == *minus_one {
            break x;
        }
    };
    let mut digits = x;
    digits.resize(2 * h, 0);
    let kernel = half.kernel.as_ref();
    let generator = kernel.power(&kernel.import(&digits).words, half.field.modulus());
    FixedBase::new(Arc::clone(&half.kernel), &generator.words, 64 * h)
}

impl fmt::Debug for OwnerEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerEncryptor({:?})", self.public())
    }
}
