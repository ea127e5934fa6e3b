//! The three messages of the intersection.

use rayon::prelude::*;

use super::group::Element;
use crate::wire::{DecodeError, Message, Reader, Writer};

/// Bytes of a group element on the wire.
const POINT_BYTES: usize = 32;

/// Bytes of a [`Fingerprint`].
pub(super) const FINGERPRINT_BYTES: usize = 16;

/// Short name of a doubly encrypted id.
pub(super) type Fingerprint = [u8; FINGERPRINT_BYTES];

/// How many ids the sender has: 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetSize(pub(super) u32);

impl SetSize {
    /// Length of the encoding.
    pub const BYTES: usize = 4;
}

impl Message for SetSize {
    /// The limit on sizes belongs to the receiving state, which names it in its error.
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let size = reader.u32("set size")?;
        reader.finish()?;
        Ok(Self(size))
    }
}

/// A chunk of the sender's ids as `H(id)^sender`, in the sender's secret random order: 32 bytes each.
///
/// A decoded point is canonical and not the identity, so it generates the whole prime-order group and
/// raising it reveals nothing of the exponent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blinded(pub(super) Vec<Element>);

impl Blinded {
    /// Length of the encoding of `count` points.
    pub const fn bytes(count: usize) -> usize {
        count * POINT_BYTES
    }
    /// Whether the chunk has no points; such a chunk is not sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Message for Blinded {
    /// The number of points.
    type Params<'a> = usize;

    fn encode(&self, out: &mut Writer) {
        self.0.iter().for_each(|element| out.bytes(element.encoding()));
    }

    fn decode(body: &[u8], count: usize) -> Result<Self, DecodeError> {
        chunks::<POINT_BYTES>(body, "blinded ids", count)?
            .par_iter()
            .map(|bytes| {
                Element::decode(bytes).ok_or(DecodeError::OutOfRange { field: "blinded id" })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The receiver's answer to a [`Blinded`] chunk, in the same order: the fingerprint of each point
/// raised to the receiver's exponent, 16 bytes each. Every value is a valid one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubled(pub(super) Vec<Fingerprint>);

impl Doubled {
    /// Length of the encoding of `count` fingerprints.
    pub const fn bytes(count: usize) -> usize {
        count * FINGERPRINT_BYTES
    }
    /// Whether the chunk has no fingerprints; such a chunk is not sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Message for Doubled {
    /// The number of fingerprints.
    type Params<'a> = usize;

    fn encode(&self, out: &mut Writer) {
        out.bytes(self.0.as_flattened());
    }

    fn decode(body: &[u8], count: usize) -> Result<Self, DecodeError> {
        chunks::<FINGERPRINT_BYTES>(body, "fingerprints", count).map(|all| Self(all.to_vec()))
    }
}

/// The body as exactly `count` arrays, checked before anything is allocated.
fn chunks<'a, const N: usize>(
    body: &'a [u8],
    field: &'static str,
    count: usize,
) -> Result<&'a [[u8; N]], DecodeError> {
    match body.as_chunks::<N>() {
        (all, []) if all.len() == count => Ok(all),
        _ => {
            Err(DecodeError::Length { field, expected: count.saturating_mul(N), found: body.len() })
        }
    }
}
