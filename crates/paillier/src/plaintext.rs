//! Plaintexts: residues modulo N.

use std::fmt;

use rand::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::key::{ModulusBits, PublicKey};
use crate::{limbs, random};

/// A residue modulo N, 0 ≤ m < N. Secret: wiped on drop, redacted in `Debug`, not `Clone`.
pub struct Plaintext {
    limbs: Zeroizing<Vec<u64>>,
}

impl Plaintext {
    pub(crate) fn from_limbs(limbs: Zeroizing<Vec<u64>>) -> Self {
        Self { limbs }
    }

    pub(crate) fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    /// An unsigned number, which is below every N of this size.
    pub fn from_u128(bits: ModulusBits, value: u128) -> Self {
        let mut limbs = Zeroizing::new(vec![0; bits.limbs()]);
        limbs[0] = value as u64;
        limbs[1] = (value >> 64) as u64;
        Self { limbs }
    }

    /// A signed number in −2^(range_bits − 1) ≤ value < 2^(range_bits − 1), with 1 ≤ range_bits ≤ 128;
    /// negative numbers become N + value.
    ///
    /// # Errors
    /// [`Error::PlaintextRange`] if the value is outside the range or the range is not valid.
    pub fn from_signed(key: &PublicKey, value: i128, range_bits: u32) -> Result<Self, Error> {
        let shift = 128u32.checked_sub(range_bits).filter(|&s| s < 128);
        let shift = shift.ok_or(Error::PlaintextRange)?;
        if (value << shift) >> shift != value {
            return Err(Error::PlaintextRange);
        }
        Ok(Self::from_i128(key, value))
    }

    /// A signed number; negative ones become N + value. In time independent of it.
    pub fn from_i128(key: &PublicKey, value: i128) -> Self {
        // Arithmetic on the sign's mask: no branch on a secret.
        let sign = value >> 127;
        let magnitude = (value ^ sign).wrapping_sub(sign) as u128;
        let mut this = Self::from_u128(key.bits(), magnitude);
        key.modulus().negate_if(&mut this.limbs, (sign & 1) as u64);
        this
    }

    /// A residue from its fixed-width little-endian encoding.
    ///
    /// # Errors
    /// [`Error::Length`] for another width than N's, [`Error::PlaintextRange`] if it is not below N.
    pub fn from_le_bytes(key: &PublicKey, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != key.bits().bytes() {
            return Err(Error::Length { expected: key.bits().bytes(), found: bytes.len() });
        }
        let limbs = Zeroizing::new(limbs::from_le_bytes(bytes));
        if limbs::is_less(&limbs, key.modulus_limbs()) == 0 {
            return Err(Error::PlaintextRange);
        }
        Ok(Self { limbs })
    }

    /// The fixed-width little-endian encoding, as wide as N.
    pub fn to_le_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(limbs::to_le_bytes(&self.limbs))
    }

    /// A residue exactly uniform below N.
    pub fn random<R: CryptoRng + ?Sized>(key: &PublicKey, rng: &mut R) -> Self {
        Self { limbs: random::below(key.modulus_limbs(), rng) }
    }

    /// Slot `index` reduced modulo 2^low_bits: ⌊m / 2^(slot_bits·index)⌋ mod 2^low_bits, with
    /// low_bits ≤ 128. Bits past the end of N are zero.
    pub fn digit(&self, index: usize, slot_bits: u32, low_bits: u32) -> u128 {
        let start = index.saturating_mul(slot_bits as usize);
        (0..4).fold(0, |digit, i| {
            let width = low_bits.min(128).saturating_sub(32 * i).min(32) as usize;
            let part = limbs::bits(&self.limbs, start.saturating_add(32 * i as usize), width);
            digit | (u128::from(part) << (32 * i))
        })
    }

    /// The value as an unsigned number, if it is below 2^128.
    pub fn to_u128(&self) -> Option<u128> {
        let low = u128::from(self.limbs[0]) | (u128::from(self.limbs[1]) << 64);
        (limbs::is_zero(&self.limbs[2..]) == 1).then_some(low)
    }

    /// The value as the signed number of least absolute value it is congruent to, if that fits.
    pub fn to_signed(&self, key: &PublicKey) -> Option<i128> {
        let mut negated = self.limbs.clone();
        key.modulus().negate_if(&mut negated, 1);
        let negative = limbs::is_less(&negated, &self.limbs);
        let magnitude = if negative == 1 { Self { limbs: negated } } else { self.duplicate() };
        let magnitude = i128::try_from(magnitude.to_u128()?).ok()?;
        Some(if negative == 1 { -magnitude } else { magnitude })
    }

    fn duplicate(&self) -> Self {
        Self { limbs: self.limbs.clone() }
    }
}

impl ConstantTimeEq for Plaintext {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.limbs.as_slice().ct_eq(other.limbs.as_slice())
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}
