//! Additive shares modulo a power of two.

use std::fmt;

use zeroize::Zeroizing;

use crate::ring::Ring;

/// One party's additive shares, one a row, in canonical range. A share on its own is uniform; with
/// the other party's it is a secret, so it is wiped on drop, never printed, cloned or compared.
pub struct Shares {
    ring: Ring,
    values: Zeroizing<Vec<u128>>,
}

impl Shares {
    /// Reduces `values` into the ring.
    pub fn new(ring: Ring, mut values: Vec<u128>) -> Self {
        values.iter_mut().for_each(|v| *v = ring.reduce(*v));
        Self { ring, values: Zeroizing::new(values) }
    }
    /// The ring of the shares.
    pub fn ring(&self) -> Ring {
        self.ring
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// The shares; for the protocol's own arithmetic.
    pub fn expose(&self) -> &[u128] {
        &self.values
    }
    /// Adds another sharing of the same ring and length, row by row.
    pub fn plus(mut self, other: &Shares) -> Self {
        assert_eq!((self.ring, self.len()), (other.ring, other.len()), "sharings of one chunk");
        for (a, b) in self.values.iter_mut().zip(other.values.iter()) {
            *a = self.ring.add(*a, *b);
        }
        self
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares")
            .field("ring", &self.ring)
            .field("rows", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_share() {
        let shares = Shares::new(Ring::new(40).unwrap(), vec![123_456_789; 3]);
        assert!(!format!("{shares:?}").contains("123456789"));
    }
}
