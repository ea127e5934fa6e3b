//! The ring of integers modulo 2^bits, in which all of training takes place.

use std::fmt;

/// Integers modulo 2^`bits`, 1 to 120 bits, as `u128` in canonical range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    bits: u32,
}

impl Ring {
    /// Largest supported width; leaves room for one signed product with a small factor.
    pub const MAX_BITS: u32 = 120;

    /// The ring modulo 2^`bits`, or `None` outside 1 ..= [`Ring::MAX_BITS`].
    pub const fn new(bits: u32) -> Option<Self> {
        if bits >= 1 && bits <= Self::MAX_BITS { Some(Self { bits }) } else { None }
    }
    /// log2 of the modulus.
    pub const fn bits(self) -> u32 {
        self.bits
    }
    /// Bytes of one element on the wire.
    pub const fn bytes(self) -> usize {
        self.bits.div_ceil(8) as usize
    }
    /// The representative in 0 .. 2^bits.
    pub const fn reduce(self, v: u128) -> u128 {
        v & ((1 << self.bits) - 1)
    }
    /// The class of a signed integer.
    pub const fn from_signed(self, v: i128) -> u128 {
        self.reduce(v as u128)
    }
    /// a + b.
    pub const fn add(self, a: u128, b: u128) -> u128 {
        self.reduce(a.wrapping_add(b))
    }
    /// a − b.
    pub const fn sub(self, a: u128, b: u128) -> u128 {
        self.reduce(a.wrapping_sub(b))
    }
    /// The representative in −2^(bits−1) .. 2^(bits−1).
    pub const fn to_signed(self, v: u128) -> i128 {
        let up = 128 - self.bits;
        ((v << up) as i128) >> up
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "integers modulo 2^{}", self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_integers_modulo_a_power_of_two(bits in 1u32..=120, a: u128, b: u128) {
            let r = Ring::new(bits).unwrap();
            let m = num_bigint::BigUint::from(1u8) << bits;
            let big = |v: u128| num_bigint::BigUint::from(v);
            prop_assert_eq!(big(r.add(r.reduce(a), r.reduce(b))), (big(a) + big(b)) % &m);
            prop_assert_eq!(r.add(r.sub(a, b), b), r.reduce(a));
            let s = r.to_signed(r.reduce(a));
            prop_assert_eq!(r.from_signed(s), r.reduce(a));
            prop_assert!(s >= -(1i128 << (bits - 1)) && s < 1i128 << (bits - 1));
        }
    }

    #[test]
    fn widths_are_bounded() {
        assert!(Ring::new(0).is_none() && Ring::new(121).is_none());
        assert_eq!(Ring::new(60).map(Ring::bytes), Some(8));
    }
}
