//! Fixed-width encoding of protocol messages: little-endian integers, no padding, no self-description.
//!
//! Lengths come from parameters that both sides agreed on, never from the bytes alone, so a decoder
//! knows what it expects before it allocates. A [`Reader`] must be [`finish`](Reader::finish)ed,
//! which refuses trailing bytes.

use thiserror::Error;

use crate::ring::Ring;

/// Why bytes from the peer are not the message that was expected. Never carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The body ended inside a field.
    #[error("message is too short: {field} is cut off")]
    Short {
        /// The field that was being read.
        field: &'static str,
    },
    /// Bytes remain after the last field.
    #[error("message has {extra} bytes more than expected")]
    Trailing {
        /// How many bytes were left.
        extra: usize,
    },
    /// A value lies outside its range.
    #[error("{field} is out of range")]
    OutOfRange {
        /// The field with the value.
        field: &'static str,
    },
    /// A count or length differs from what the parameters of the run say.
    #[error("{field} has length {found}, expected {expected}")]
    Length {
        /// The field with the length.
        field: &'static str,
        /// What the parameters say.
        expected: usize,
        /// What the message says.
        found: usize,
    },
}

/// A message with a fixed-width encoding that its own decoder validates.
pub trait Message: Sized {
    /// What the decoder must know beforehand: counts, widths, keys.
    type Params<'a>;
    /// Appends the encoding.
    fn encode(&self, out: &mut Writer);
    /// Decodes and validates one message that fills `body` exactly.
    fn decode(body: &[u8], params: Self::Params<'_>) -> Result<Self, DecodeError>;

    /// The encoding as a new buffer.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.encode(&mut out);
        out.into_bytes()
    }
}

/// Appends fixed-width fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A writer that will not reallocate below `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }
    /// Four bytes, little-endian.
    pub fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    /// Eight bytes, little-endian.
    pub fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    /// The low `bytes` bytes of `v`, little-endian; the rest must be zero.
    pub fn uint(&mut self, v: u128, bytes: usize) {
        debug_assert!(bytes == 16 || v >> (8 * bytes) == 0);
        self.0.extend_from_slice(&v.to_le_bytes()[..bytes]);
    }
    /// Elements of a ring, each in as many bytes as the ring needs.
    pub fn elements(&mut self, ring: Ring, elements: &[u128]) {
        elements.iter().for_each(|&v| self.uint(v, ring.bytes()));
    }
    /// Raw bytes without a length.
    pub fn bytes(&mut self, v: &[u8]) {
        self.0.extend_from_slice(v);
    }
    /// The finished buffer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads fixed-width fields from a received body.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(body: &'a [u8]) -> Self {
        Self(body)
    }
    /// `len` raw bytes.
    pub fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(DecodeError::Short { field })?;
        self.0 = tail;
        Ok(head)
    }
    /// A fixed-size array of bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(DecodeError::Short { field })?;
        self.0 = tail;
        Ok(*head)
    }
    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[b]| b)
    }
    /// Four bytes, little-endian.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }
    /// Eight bytes, little-endian.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }
    /// An unsigned integer of `bytes` ≤ 16 bytes, little-endian.
    pub fn uint(&mut self, bytes: usize, field: &'static str) -> Result<u128, DecodeError> {
        let mut wide = [0u8; 16];
        wide.get_mut(..bytes)
            .ok_or(DecodeError::OutOfRange { field })?
            .copy_from_slice(self.bytes(bytes, field)?);
        Ok(u128::from_le_bytes(wide))
    }
    /// `count` reduced elements of a ring, appended to `out`.
    pub fn elements(
        &mut self,
        ring: Ring,
        count: usize,
        field: &'static str,
        out: &mut Vec<u128>,
    ) -> Result<(), DecodeError> {
        out.reserve_exact(count);
        for _ in 0..count {
            let v = self.uint(ring.bytes(), field)?;
            if ring.reduce(v) != v {
                return Err(DecodeError::OutOfRange { field });
            }
            out.push(v);
        }
        Ok(())
    }
    /// Ends the message; anything left is an error.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }
}
