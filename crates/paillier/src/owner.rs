//! Encryption by the key's owner.

use std::fmt;
use std::sync::Arc;

use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::ciphertext::SendableCiphertexts;
use crate::error::Error;
use crate::fixed_base::FixedBase;
use crate::key::{Factors, Half, PublicKey, SecretKey};
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
        for plaintext in plaintexts {
            self.public().check_width(plaintext)?;
        }
        let h = self.factors.p.field.len();
        let mut exponents = [Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new())];
        for _ in plaintexts {
            exponents[0].extend_from_slice(&random::below(&self.factors.p.order, rng));
            exponents[1].extend_from_slice(&random::below(&self.factors.q.order, rng));
        }
        let [p, q] = exponents;
        let modulo_p = self.p.powers(&p, h).words;
        let modulo_q = self.q.powers(&q, h).words;
        let modulo_p = self.factors.p.kernel.export(&modulo_p);
        let modulo_q = self.factors.q.kernel.export(&modulo_q);
        let mut canonical = Vec::with_capacity(4 * h * plaintexts.len());
        let mut m = Zeroizing::new(Vec::with_capacity(2 * h * plaintexts.len()));
        let pairs = modulo_p.chunks_exact(2 * h).zip(modulo_q.chunks_exact(2 * h));
        for (plaintext, (a, b)) in plaintexts.iter().zip(pairs) {
            canonical.extend_from_slice(&self.factors.combine_digits(a, b));
            m.extend_from_slice(plaintext.limbs());
        }
        self.public().kernel().add_plain_canonical(&mut canonical, &m);
        Ok(SendableCiphertexts::new(self.public().clone(), canonical))
    }

    /// Encrypts unsigned numbers; see [`Self::encrypt`].
    pub fn encrypt_u128<R: CryptoRng + ?Sized>(
        &self,
        values: &[u128],
        rng: &mut R,
    ) -> SendableCiphertexts {
        let bits = self.public().bits();
        let plaintexts: Vec<_> = values.iter().map(|&v| Plaintext::from_u128(bits, v)).collect();
        self.encrypt(&plaintexts, rng).expect("plaintexts were made for this key size")
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
