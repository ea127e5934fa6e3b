//! Public keys.

use std::fmt;
use std::sync::Arc;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::prime;
use crate::ciphertext::Ciphertexts;
use crate::error::{Error, KeyError};
use crate::kernel::{self, Choice, Kernel};
use crate::montgomery::Montgomery;
use crate::plaintext::Plaintext;
use crate::{limbs, random};

/// The supported lengths of N.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModulusBits {
    /// 112-bit security (NIST SP 800-57); allowed.
    B2048,
    /// 128-bit security; the default.
    B3072,
}

impl ModulusBits {
    /// |N| in bits; N has exactly this length.
    pub const fn bits(self) -> u32 {
        match self {
            ModulusBits::B2048 => 2048,
            ModulusBits::B3072 => 3072,
        }
    }

    /// The size with this number of bits.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            2048 => Some(ModulusBits::B2048),
            3072 => Some(ModulusBits::B3072),
            _ => None,
        }
    }

    /// |N| in bytes: the width of a plaintext and of a ciphertext's digit.
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }

    /// Bytes of one encoded ciphertext.
    pub const fn ciphertext_bytes(self) -> usize {
        2 * self.bytes()
    }

    /// |N| in 64-bit limbs.
    pub(crate) const fn limbs(self) -> usize {
        self.bits() as usize / 64
    }
}

/// A Paillier public key: a modulus N that its owner generated, or whose
/// [proof](crate::ModulusProof) was verified. Clones share one allocation.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    bits: ModulusBits,
    modulus: Montgomery,
    kernel: Arc<dyn Kernel>,
}

impl PublicKey {
    /// For callers that made N or verified its proof: N is odd and has exactly `bits` bits.
    pub(super) fn new_trusted(bits: ModulusBits, n: &[u64], choice: Choice) -> Self {
        let kernel = kernel::choose(choice, n);
        Self(Arc::new(Inner { bits, modulus: Montgomery::new(n), kernel }))
    }

    /// The key whose [`to_bytes`](Self::to_bytes) this party stored after it had verified the proof.
    /// Only for bytes from authenticated storage of its own: the proof is not checked again.
    ///
    /// # Errors
    /// [`KeyError::WrongLength`] unless N has exactly `bits` bits, [`KeyError::SmallFactor`] if it is even.
    pub fn from_stored_bytes(bits: ModulusBits, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != bits.bytes() || bytes.last().is_none_or(|top| top >> 7 == 0) {
            return Err(KeyError::WrongLength);
        }
        if bytes[0] & 1 == 0 {
            return Err(KeyError::SmallFactor);
        }
        Ok(Self::new_trusted(bits, &limbs::from_le_bytes(bytes), Choice::Fastest))
    }

    /// The length of N.
    pub fn bits(&self) -> ModulusBits {
        self.0.bits
    }

    /// N, little-endian, [`ModulusBits::bytes`] wide: what a peer needs besides the proof.
    pub fn to_bytes(&self) -> Vec<u8> {
        limbs::to_le_bytes(self.modulus_limbs())
    }

    /// The name of the arithmetic kernel in use, for logs and benchmark reports.
    pub fn kernel_name(&self) -> &'static str {
        self.0.kernel.name()
    }

    pub(crate) fn modulus(&self) -> &Montgomery {
        &self.0.modulus
    }

    pub(crate) fn modulus_limbs(&self) -> &[u64] {
        self.0.modulus.modulus()
    }

    pub(crate) fn kernel(&self) -> &dyn Kernel {
        self.0.kernel.as_ref()
    }

    pub(crate) fn shared_kernel(&self) -> Arc<dyn Kernel> {
        Arc::clone(&self.0.kernel)
    }

    pub(crate) fn ensure_same(&self, other: &Self) -> Result<(), Error> {
        let same = self == other;
        debug_assert!(!same || self.kernel_name() == other.kernel_name(), "forms would mix");
        if same { Ok(()) } else { Err(Error::KeyMismatch) }
    }

    /// Paillier's encryption as first published: (1 + m·N)·r^N mod N² with r uniform in Z_N*, one full
    /// exponentiation each. The reference against which the faster ways are tested.
    ///
    /// # Errors
    /// [`Error::Length`] if a plaintext has the width of another key size.
    pub fn encrypt_reference<R: CryptoRng + ?Sized>(
        &self,
        plaintexts: &[Plaintext],
        rng: &mut R,
    ) -> Result<Ciphertexts, Error> {
        let h = self.bits().limbs();
        let mut randomness = Zeroizing::new(Vec::with_capacity(2 * h * plaintexts.len()));
        for _ in plaintexts {
            randomness.extend_from_slice(&random_unit(self, rng));
            randomness.extend(std::iter::repeat_n(0, h));
        }
        self.encrypt_with_randomness(plaintexts, &randomness)
    }

    /// As [`Self::encrypt_reference`] with r given as canonical residues modulo N².
    pub(crate) fn encrypt_with_randomness(
        &self,
        plaintexts: &[Plaintext],
        randomness: &[u64],
    ) -> Result<Ciphertexts, Error> {
        let mut m = Zeroizing::new(Vec::new());
        for plaintext in plaintexts {
            self.check_width(plaintext)?;
            m.extend_from_slice(plaintext.limbs());
        }
        let kernel = self.kernel();
        let r = kernel.import(randomness);
        let mut c = kernel.power(&r.words, self.modulus_limbs());
        kernel.add_plain(&mut c.words, &m);
        Ok(Ciphertexts::new(self.clone(), c))
    }

    pub(crate) fn check_width(&self, plaintext: &Plaintext) -> Result<(), Error> {
        let (expected, found) = (self.bits().limbs(), plaintext.limbs().len());
        if expected == found { Ok(()) } else { Err(Error::Length { expected, found }) }
    }
}

/// A number uniform in Z_N* (a factor of N would turn up by chance with probability 2^−1000).
pub(crate) fn random_unit<R: CryptoRng + ?Sized>(
    key: &PublicKey,
    rng: &mut R,
) -> Zeroizing<Vec<u64>> {
    loop {
        let r = random::below(key.modulus_limbs(), rng);
        if key.modulus().invert(&r).is_some() {
            return r;
        }
    }
}

/// The smallest prime of Jacobi symbol −1 modulo N. Public, like N.
///
/// N ≡ 1 (mod 4), so (2/N) follows from N modulo 8, and for odd r reciprocity gives (r/N) = (N/r), which
/// Euler's criterion tells.
pub(crate) fn non_residue(key: &PublicKey) -> u64 {
    let n = key.modulus_limbs();
    if n[0] & 7 == 5 {
        return 2;
    }
    let is_non_residue = |&r: &u32| {
        let (modulus, mut base, mut power) = (u64::from(r), u64::from(prime::remainder(n, r)), 1);
        let mut exponent = modulus / 2;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = power * base % modulus;
            }
            base = base * base % modulus;
            exponent >>= 1;
        }
        power == modulus - 1
    };
    let found = prime::small_primes().iter().copied().find(is_non_residue);
    found.expect("N is not a square").into()
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.modulus_limbs() == other.modulus_limbs()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = blake3::hash(&self.to_bytes());
        write!(f, "PublicKey({} bits, {})", self.0.bits.bits(), &id.to_hex()[..16])
    }
}
