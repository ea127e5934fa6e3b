//! Secret keys: generation, storage, Chinese remaindering and decryption.

use std::fmt;
use std::sync::Arc;

use rand::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::prime;
use super::public::{ModulusBits, PublicKey};
use crate::ciphertext::Ciphertexts;
use crate::error::{Error, KeyError};
use crate::kernel::{self, Choice, Kernel};
use crate::limbs;
use crate::montgomery::{Montgomery, Scratch};
use crate::plaintext::Plaintext;

/// A Paillier key pair: N = p·q of two safe primes. Not `Clone`, not serialisable except by
/// [`to_secret_bytes`](Self::to_secret_bytes); wiped on drop.
pub struct SecretKey {
    inner: Arc<Factors>,
}

/// What the factors of N give: arithmetic modulo p² and q², and the way between them and N².
///
/// Owned by the secret key and by the encryptor made from it; wiped when the last one is dropped.
pub(crate) struct Factors {
    pub(crate) public: PublicKey,
    pub(crate) p: Half,
    pub(crate) q: Half,
}

/// One prime p of N = p·q, with q the other one. All numbers modulo p have h limbs, half of N's.
pub(crate) struct Half {
    /// Modulo p², in base-p digits.
    pub(crate) kernel: Arc<dyn Kernel>,
    /// Modulo p.
    pub(crate) field: Montgomery,
    /// p − 1: the order of the group of N-th residues modulo p².
    pub(crate) order: Zeroizing<Vec<u64>>,
    /// q, in Montgomery form modulo p.
    cofactor: Zeroizing<Vec<u64>>,
    /// q⁻¹, in Montgomery form modulo p.
    inverse_cofactor: Zeroizing<Vec<u64>>,
    /// R = 2^(64·h) modulo p², in the kernel's form.
    radix: Zeroizing<Vec<u64>>,
}

impl Half {
    fn new(p: &[u64], q: &[u64], choice: Choice) -> Option<Self> {
        let h = p.len();
        let field = Montgomery::new(p);
        let kernel = kernel::choose(choice, p);
        let mut order = Zeroizing::new(p.to_vec());
        order[0] ^= 1;
        let mut scratch = Scratch::new();
        let mut cofactor = Zeroizing::new(q.to_vec());
        let mut inverse_cofactor = field.invert(&field.residue(q, &mut scratch))?;
        field.enter(&mut cofactor, &mut scratch);
        field.enter(&mut inverse_cofactor, &mut scratch);
        // p ≥ R/2, so R = (R mod p) + 1·p.
        let mut radix = Zeroizing::new(field.one().to_vec());
        radix.push(1);
        radix.resize(2 * h, 0);
        let radix = kernel.import(&radix).words;
        Some(Self { kernel, field, order, cofactor, inverse_cofactor, radix })
    }

    /// Brings c = c0 + c1·N, given by its base-N digits, to the kernel's form modulo p².
    ///
    /// One reduction gives c0 = y·R − t·p, hence c0·R⁻¹ ≡ y + p·(−t·R⁻¹ mod p), and c1·N = p·(c1·q)
    /// adds c1·q·R⁻¹ to the second digit. Multiplying by R undoes the R⁻¹.
    fn lift(&self, ciphertexts: &[u64]) -> Zeroizing<Vec<u64>> {
        let h = self.field.len();
        let mut scratch = Scratch::new();
        let mut digits = Zeroizing::new(Vec::with_capacity(ciphertexts.len() / 2));
        for c in ciphertexts.chunks_exact(4 * h) {
            let (c0, c1) = c.split_at(2 * h);
            let (y, t, carry) = self.field.reduce_with_quotient(c0, &mut scratch);
            let mut high = self.field.reduce(&t, &mut scratch);
            self.field.negate(&mut high);
            let mut one = Zeroizing::new(vec![0; h]);
            one[0] = carry;
            self.field.add(&mut high, &one);
            // REDC(c1) = c1·R⁻¹; times the form q·R gives c1·q·R⁻¹.
            let mut term = self.field.reduce(c1, &mut scratch);
            self.field.multiply(&mut term, &self.cofactor, &mut scratch);
            self.field.add(&mut high, &term);
            digits.extend_from_slice(&y);
            digits.extend_from_slice(&high);
        }
        let mut lifted = self.kernel.import(&digits).words;
        let radix = Zeroizing::new(self.radix.repeat(ciphertexts.len() / (4 * h)));
        self.kernel.multiply(&mut lifted, &radix);
        lifted
    }

    /// m mod p of each ciphertext: c^(p−1) ≡ 1 + p·(−m·q) (mod p²), so the second digit is −m·q mod p.
    fn decrypt(&self, ciphertexts: &[u64]) -> Vec<Zeroizing<Vec<u64>>> {
        let h = self.field.len();
        let lifted = self.lift(ciphertexts);
        let powers = self.kernel.power(&lifted, &self.order);
        let mut scratch = Scratch::new();
        self.kernel
            .export(&powers.words)
            .chunks_exact(2 * h)
            .map(|digits| {
                let mut m = Zeroizing::new(digits[h..].to_vec());
                self.field.negate(&mut m);
                self.field.multiply(&mut m, &self.inverse_cofactor, &mut scratch);
                m
            })
            .collect()
    }
}

/// What recombination computes on its way, wiped on drop: one for a whole batch, because clearing it
/// takes as long as the arithmetic.
pub(crate) struct Recombination {
    scratch: Scratch,
    temporary: Zeroizing<limbs::Temporary>,
    numbers: Zeroizing<[[u64; limbs::MAX_LIMBS]; 4]>,
}

impl Recombination {
    pub(crate) fn new() -> Self {
        Self {
            scratch: Scratch::new(),
            temporary: Zeroizing::new([0; 2 * limbs::MAX_LIMBS + 1]),
            numbers: Zeroizing::new([[0; limbs::MAX_LIMBS]; 4]),
        }
    }
}

impl Half {
    /// `out = (a − b)/(other prime) mod p` for `a` modulo p and `b` modulo the other one.
    fn divide_difference(&self, out: &mut [u64], a: &[u64], b: &[u64], scratch: &mut Scratch) {
        // Both primes have their top bit set, so b < 2p.
        out.copy_from_slice(b);
        limbs::sub_assign_if_not_less(out, &mut 0, self.field.modulus());
        self.field.negate(out);
        self.field.add(out, a);
        self.field.multiply(out, &self.inverse_cofactor, scratch);
    }
}

impl Factors {
    /// The number below N that is a modulo p and b modulo q.
    pub(crate) fn combine(
        &self,
        a: &[u64],
        b: &[u64],
        w: &mut Recombination,
    ) -> Zeroizing<Vec<u64>> {
        let mut x = Zeroizing::new(vec![0; 2 * a.len()]);
        let [t, ..] = &mut *w.numbers;
        let t = &mut t[..a.len()];
        self.garner(&mut x, t, a, b, &mut w.scratch, &mut w.temporary);
        x
    }

    /// `x = a + p·t` with `t = (b − a)/p mod q` (Garner).
    fn garner(
        &self,
        x: &mut [u64],
        t: &mut [u64],
        a: &[u64],
        b: &[u64],
        scratch: &mut Scratch,
        temporary: &mut limbs::Temporary,
    ) {
        self.q.divide_difference(t, b, a, scratch);
        limbs::multiply(x, self.p.field.modulus(), t, temporary);
        limbs::add_assign(x, a);
    }

    /// Base-N digits of the number that is a0 + a1·p modulo p² and b0 + b1·q modulo q².
    ///
    /// x0 = a0 + p·t = b0 + q·s. Then x1 = (x − x0)/N is (a1 − t)/q modulo p and (b1 − s)/p modulo q.
    pub(crate) fn combine_digits(
        &self,
        x: &mut [u64],
        a: &[u64],
        b: &[u64],
        w: &mut Recombination,
    ) {
        let h = self.p.field.len();
        let ((a0, a1), (b0, b1)) = (a.split_at(h), b.split_at(h));
        let (x0, x1) = x.split_at_mut(2 * h);
        let Recombination { scratch, temporary, numbers } = w;
        let [t, s, high_p, high_q] = numbers.each_mut().map(|number| &mut number[..h]);
        self.garner(x0, t, a0, b0, scratch, temporary);
        self.p.divide_difference(s, a0, b0, scratch);
        self.p.divide_difference(high_p, a1, t, scratch);
        self.q.divide_difference(high_q, b1, s, scratch);
        self.garner(x1, t, high_p, high_q, scratch, temporary);
    }
}

impl SecretKey {
    /// Generates a key pair: safe primes p = 2p' + 1, q = 2q' + 1 of |N|/2 bits each with their two top
    /// bits set, so that p ≡ q ≡ 3 (mod 4) and N has exactly its length; |p − q| ≥ 2^(|N|/2 − 100); and
    /// gcd(N, φ(N)) = 1, which follows from the lengths.
    ///
    /// The search takes seconds; its time depends on discarded candidates only.
    pub fn generate<R: CryptoRng + ?Sized>(bits: ModulusBits, rng: &mut R) -> Self {
        Self::generate_with_progress(bits, rng, &mut |_| {})
    }

    /// As [`Self::generate`]; `progress` is called now and then with the number of candidates tested so
    /// far. About a dozen thousand are tested on average, without an upper bound.
    pub fn generate_with_progress<R: CryptoRng + ?Sized>(
        bits: ModulusBits,
        rng: &mut R,
        progress: &mut dyn FnMut(u64),
    ) -> Self {
        let mut total = 0u64;
        let mut tested = |count: usize| {
            total += count as u64;
            progress(total);
        };
        loop {
            let p = prime::safe_prime(bits.limbs() / 2, rng, &mut tested);
            let q = prime::safe_prime(bits.limbs() / 2, rng, &mut tested);
            if let Ok(key) = Self::assemble(bits, &p, &q, Choice::Fastest) {
                return key;
            }
        }
    }

    /// A key pair from its primes, little-endian and |N|/2 bits wide each. Everything that
    /// [`generate`](Self::generate) promises of them is checked.
    ///
    /// # Errors
    /// [`KeyError::WrongLength`], [`KeyError::NotSafePrime`] (also if the two top bits are not set)
    /// and [`KeyError::PrimesTooClose`].
    pub fn from_primes(bits: ModulusBits, p: &[u8], q: &[u8]) -> Result<Self, KeyError> {
        if p.len() != bits.bytes() / 2 || q.len() != bits.bytes() / 2 {
            return Err(KeyError::WrongLength);
        }
        let p = Zeroizing::new(limbs::from_le_bytes(p));
        let q = Zeroizing::new(limbs::from_le_bytes(q));
        if !prime::is_safe_prime(&p) || !prime::is_safe_prime(&q) {
            return Err(KeyError::NotSafePrime);
        }
        Self::assemble(bits, &p, &q, Choice::Fastest)
    }

    /// Puts a key together from two safe primes with their two top bits set.
    pub(crate) fn assemble(
        bits: ModulusBits,
        p: &[u64],
        q: &[u64],
        choice: Choice,
    ) -> Result<Self, KeyError> {
        let mut distance = Zeroizing::new(p.to_vec());
        let borrow = limbs::sub_assign(&mut distance, q);
        if borrow == 1 {
            distance.copy_from_slice(q);
            limbs::sub_assign(&mut distance, p);
        }
        // Bits from |N|/2 − 100 up.
        let top = &distance[distance.len() - 2..];
        if top[1] == 0 && top[0] >> 28 == 0 {
            return Err(KeyError::PrimesTooClose);
        }
        let mut n = vec![0; 2 * p.len()];
        let mut temporary = Zeroizing::new([0; 2 * limbs::MAX_LIMBS + 1]);
        limbs::multiply(&mut n, p, q, &mut temporary);
        let public = PublicKey::new_trusted(bits, &n, choice);
        let factors = Half::new(p, q, choice).zip(Half::new(q, p, choice));
        let (p, q) = factors.ok_or(KeyError::NotSafePrime)?;
        Ok(Self { inner: Arc::new(Factors { public, p, q }) })
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        &self.inner.public
    }

    /// p ‖ q, little-endian: for storage that the caller encrypts. Read back by
    /// [`from_secret_bytes`](Self::from_secret_bytes).
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.public().bits().bytes()));
        for half in [&self.inner.p, &self.inner.q] {
            bytes.extend_from_slice(&Zeroizing::new(limbs::to_le_bytes(half.field.modulus())));
        }
        bytes
    }

    /// The inverse of [`to_secret_bytes`](Self::to_secret_bytes), validated as
    /// [`from_primes`](Self::from_primes) does.
    ///
    /// # Errors
    /// As [`from_primes`](Self::from_primes).
    pub fn from_secret_bytes(bits: ModulusBits, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != bits.bytes() {
            return Err(KeyError::WrongLength);
        }
        let (p, q) = bytes.split_at(bits.bytes() / 2);
        Self::from_primes(bits, p, q)
    }

    /// Decrypts a batch under this key, by CRT in constant time: the exponents p − 1 and q − 1 are
    /// processed in fixed windows whose table entries are selected by scanning.
    ///
    /// # Errors
    /// [`Error::KeyMismatch`] if the ciphertexts belong to another key.
    pub fn decrypt(&self, ciphertexts: &Ciphertexts) -> Result<Vec<Plaintext>, Error> {
        self.public().ensure_same(ciphertexts.key())?;
        let canonical = ciphertexts.canonical();
        let stride = 2 * self.public().bits().limbs();
        let size = stride * kernel::chunk(self.public().kernel(), ciphertexts.len()).min(16);
        let chunks: Vec<Vec<Plaintext>> = canonical
            .par_chunks(size)
            .map(|chunk| {
                let modulo_p = self.inner.p.decrypt(chunk);
                let modulo_q = self.inner.q.decrypt(chunk);
                let mut w = Recombination::new();
                let pairs = modulo_p.iter().zip(&modulo_q);
                pairs
                    .map(|(a, b)| Plaintext::from_limbs(self.inner.combine(a, b, &mut w)))
                    .collect()
            })
            .collect();
        Ok(chunks.into_iter().flatten().collect())
    }

    pub(crate) fn factors(&self) -> &Arc<Factors> {
        &self.inner
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?}, ..)", self.public())
    }
}
