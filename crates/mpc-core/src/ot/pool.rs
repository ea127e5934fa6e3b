//! Random oblivious transfers in memory, consumed by use.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::error::OtError;

/// A's random transfers: choice bits and the pad of the chosen slot of each.
///
/// Lives in memory only: not Clone, not Serialize, redacted in Debug, wiped on drop. Transfers are
/// numbered within a session so that both sides can tell they use the same ones.
///
/// ```compile_fail,E0382
/// use mpc_core::ot::{OleShape, RandomOtsReceiver, ole};
/// fn twice(shape: OleShape, x: &[i16], ots: RandomOtsReceiver) {
///     let first = ole::choose(x, shape, ots);
///     let second = ole::choose(x, shape, ots); // moved
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::ot::RandomOtsReceiver>();
/// ```
pub struct RandomOtsReceiver {
    first: u64,
    /// One byte a transfer, 0 or 1.
    choices: Zeroizing<Vec<u8>>,
    pads: Zeroizing<Vec<u128>>,
    /// Transfers already taken from the front, and wiped.
    taken: usize,
}

/// B's random transfers: both pads of each. Same rules as [`RandomOtsReceiver`].
///
/// ```compile_fail,E0382
/// use mpc_core::ot::{ChoiceBits, OleShape, RandomOtsSender, ole};
/// fn twice(shape: OleShape, y: &[[i64; 2]], ots: RandomOtsSender, choices: &ChoiceBits) {
///     let first = ole::respond(y, shape, ots, choices);
///     let second = ole::respond(y, shape, ots, choices); // moved
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn copies<T: Clone>() {}
/// copies::<mpc_core::ot::RandomOtsSender>();
/// ```
pub struct RandomOtsSender {
    first: u64,
    pads: Zeroizing<Vec<[u128; 2]>>,
    taken: usize,
}

impl RandomOtsReceiver {
    pub(super) fn new(first: u64, choices: Zeroizing<Vec<u8>>, pads: Zeroizing<Vec<u128>>) -> Self {
        debug_assert_eq!(choices.len(), pads.len(), "one choice a pad");
        #[cfg(test)]
        crate::spy::saw(crate::spy::Secret::TransferPad, &pads, 16);
        Self { first, choices, pads, taken: 0 }
    }

    /// Transfers left.
    pub fn len(&self) -> usize {
        self.pads.len() - self.taken
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the next transfer within the session.
    pub fn position(&self) -> u64 {
        self.first + self.taken as u64
    }

    /// Splits off the next `n`, which this pool no longer has.
    ///
    /// # Errors
    /// [`OtError::Exhausted`] if fewer are left; the pool is unchanged then.
    pub fn take(&mut self, n: usize) -> Result<RandomOtsReceiver, OtError> {
        let first = self.position();
        let range = reserve(&mut self.taken, self.pads.len(), n)?;
        let choices = move_out(&mut self.choices[range.clone()]);
        Ok(Self::new(first, choices, move_out(&mut self.pads[range])))
    }

    /// Appends transfers that directly follow this pool's.
    ///
    /// # Errors
    /// [`OtError::OutOfStep`] if they do not; this pool is unchanged then, `more` is dropped.
    pub fn append(&mut self, mut more: RandomOtsReceiver) -> Result<(), OtError> {
        in_sequence(self.first + self.pads.len() as u64, more.position())?;
        let (own, other) = (self.taken, more.taken);
        self.choices = concat(&mut self.choices[own..], &mut more.choices[other..]);
        self.pads = concat(&mut self.pads[own..], &mut more.pads[other..]);
        self.first += own as u64;
        self.taken = 0;
        Ok(())
    }

    /// Moves the choice bits, one byte each, and the pads out, for a protocol that is not in this crate.
    /// Whoever has them uses each once.
    #[cfg(feature = "raw-transfers")]
    pub fn into_parts(self) -> (Zeroizing<Vec<u8>>, Zeroizing<Vec<u128>>) {
        let Self { mut choices, mut pads, taken, .. } = self;
        (move_out(&mut choices[taken..]), move_out(&mut pads[taken..]))
    }

    pub(super) fn choices(&self) -> &[u8] {
        &self.choices[self.taken..]
    }

    pub(super) fn pads(&self) -> &[u128] {
        &self.pads[self.taken..]
    }

    #[cfg(test)]
    pub(super) fn wiped_front(&self) -> &[u128] {
        &self.pads[..self.taken]
    }
}

impl RandomOtsSender {
    pub(super) fn new(first: u64, pads: Zeroizing<Vec<[u128; 2]>>) -> Self {
        #[cfg(test)]
        crate::spy::saw(crate::spy::Secret::TransferPad, pads.as_flattened(), 16);
        Self { first, pads, taken: 0 }
    }

    /// Transfers left.
    pub fn len(&self) -> usize {
        self.pads.len() - self.taken
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the next transfer within the session.
    pub fn position(&self) -> u64 {
        self.first + self.taken as u64
    }

    /// Splits off the next `n`, which this pool no longer has.
    ///
    /// # Errors
    /// [`OtError::Exhausted`] if fewer are left; the pool is unchanged then.
    pub fn take(&mut self, n: usize) -> Result<RandomOtsSender, OtError> {
        let first = self.position();
        let range = reserve(&mut self.taken, self.pads.len(), n)?;
        Ok(Self::new(first, move_out(&mut self.pads[range])))
    }

    /// Appends transfers that directly follow this pool's.
    ///
    /// # Errors
    /// [`OtError::OutOfStep`] if they do not; this pool is unchanged then, `more` is dropped.
    pub fn append(&mut self, mut more: RandomOtsSender) -> Result<(), OtError> {
        in_sequence(self.first + self.pads.len() as u64, more.position())?;
        let (own, other) = (self.taken, more.taken);
        self.pads = concat(&mut self.pads[own..], &mut more.pads[other..]);
        self.first += own as u64;
        self.taken = 0;
        Ok(())
    }

    /// Moves both pads of each transfer out; see [`RandomOtsReceiver::into_parts`].
    #[cfg(feature = "raw-transfers")]
    pub fn into_pads(self) -> Zeroizing<Vec<[u128; 2]>> {
        let Self { mut pads, taken, .. } = self;
        move_out(&mut pads[taken..])
    }

    pub(super) fn pads(&self) -> &[[u128; 2]] {
        &self.pads[self.taken..]
    }

    #[cfg(test)]
    pub(super) fn wiped_front(&self) -> &[[u128; 2]] {
        &self.pads[..self.taken]
    }
}

fn reserve(taken: &mut usize, total: usize, n: usize) -> Result<std::ops::Range<usize>, OtError> {
    let available = total - *taken;
    if n > available {
        return Err(OtError::Exhausted { needed: n, available });
    }
    let range = *taken..*taken + n;
    *taken += n;
    Ok(range)
}

fn in_sequence(expected: u64, found: u64) -> Result<(), OtError> {
    if expected == found { Ok(()) } else { Err(OtError::OutOfStep { expected, found }) }
}

/// Copies out and wipes the source.
fn move_out<T: Copy + Zeroize>(source: &mut [T]) -> Zeroizing<Vec<T>> {
    let out = Zeroizing::new(source.to_vec());
    source.iter_mut().for_each(Zeroize::zeroize);
    out
}

/// Both parts in one fresh buffer, so that no reallocation leaves an unwiped copy behind.
fn concat<T: Copy + Zeroize>(head: &mut [T], tail: &mut [T]) -> Zeroizing<Vec<T>> {
    let mut out = Zeroizing::new(Vec::with_capacity(head.len() + tail.len()));
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    head.iter_mut().chain(tail).for_each(Zeroize::zeroize);
    out
}

impl fmt::Debug for RandomOtsReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("RandomOtsReceiver", self.position(), self.len(), f)
    }
}

impl fmt::Debug for RandomOtsSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted("RandomOtsSender", self.position(), self.len(), f)
    }
}

fn redacted(name: &str, position: u64, len: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name).field("position", &position).field("len", &len).finish_non_exhaustive()
}
