//! Integers of any width up to 120 bits, packed without padding, lowest bit first.

use zeroize::Zeroize;

/// Widest field.
pub(super) const MAX_WIDTH: usize = 120;

/// Appends fields to a byte buffer.
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Fewer than 8 bits that do not fill a byte yet.
    pending: u128,
    used: usize,
}

impl BitWriter {
    pub(super) fn with_capacity(bits: usize) -> Self {
        Self { bytes: Vec::with_capacity(bits.div_ceil(8)), pending: 0, used: 0 }
    }

    /// Appends the `width` low bits of `value`, whose other bits are 0.
    pub(super) fn push(&mut self, value: u128, width: usize) {
        debug_assert!(width <= MAX_WIDTH && value >> width == 0, "field fits its width");
        self.pending |= value << self.used;
        self.used += width;
        let whole = self.used / 8;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..whole]);
        self.pending = if whole == 16 { 0 } else { self.pending >> (8 * whole) };
        self.used %= 8;
    }

    /// The buffer, its last byte filled up with zero bits.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.used > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.pending.zeroize();
        self.bytes
    }
}

/// Reads fields from a buffer of the right length.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next `width` bits; bits past the end are 0.
    pub(super) fn pull(&mut self, width: usize) -> u128 {
        debug_assert!(width <= MAX_WIDTH, "field fits a word");
        let (start, shift) = (self.position / 8, self.position % 8);
        self.position += width;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let mut window = [0u8; 16];
        let n = rest.len().min(16);
        window[..n].copy_from_slice(&rest[..n]);
        (u128::from_le_bytes(window) >> shift) & low_bits(width)
    }
}

/// A mask of the `width` ≤ 127 low bits.
pub(super) const fn low_bits(width: usize) -> u128 {
    (1 << width) - 1
}

/// Whether the bits after the first `bits` of the last byte are 0.
pub(super) fn padding_is_zero(bytes: &[u8], bits: usize) -> bool {
    match (bits % 8, bytes.last()) {
        (0, _) | (_, None) => true,
        (used, Some(last)) => last >> used == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_round_trip_at_every_width_and_alignment() {
        for first in 0..8 {
            for width in 1..=MAX_WIDTH {
                let value = 0x0123_4567_89ab_cdef_8796_a5b4_c3d2_e1f0 & low_bits(width);
                let mut w = BitWriter::with_capacity(first + 2 * width);
                w.push(0, first);
                w.push(value, width);
                w.push(low_bits(width), width);
                let bytes = w.finish();
                assert_eq!(bytes.len(), (first + 2 * width).div_ceil(8));
                assert!(padding_is_zero(&bytes, first + 2 * width));
                let mut r = BitReader::new(&bytes);
                assert_eq!(r.pull(first), 0);
                assert_eq!(r.pull(width), value, "width {width} at bit {first}");
                assert_eq!(r.pull(width), low_bits(width), "width {width} at bit {first}");
            }
        }
    }
}
