//! Drives one private set intersection over the channel.

use rand::CryptoRng;

use super::{
    channel::Channel,
    error::{SessionError, Split},
};
use crate::{
    binding::Binding,
    matrix::Table,
    psi::{Blinded, Doubled, Intersection, Next, Opening, PsiError, SetSize},
    wire::Message,
};

/// Most rows of one table.
pub const MAX_ROWS: usize = 1 << 27;

/// Aligns one table with the peer's.
pub(crate) fn intersect(
    channel: &mut Channel<'_>,
    binding: &Binding,
    split: Split,
    table: &Table,
    rng: &mut impl CryptoRng,
    mut progress: impl FnMut(usize, usize),
) -> Result<Intersection, SessionError> {
    let step = split.psi_step();
    channel.computing(step);
    let psi = |cause: PsiError| SessionError::Psi { split, cause };
    let opening = Opening::new(&table.ids, binding.tag(step.name()), MAX_ROWS, rng).map_err(psi)?;
    channel.send_message(step, &opening.size())?;
    let size = channel.receive_message::<SetSize>(step, SetSize::BYTES, ())?;
    let mut blinding = opening.receive_size(size).map_err(psi)?;
    loop {
        let (done, total) = blinding.progress();
        progress(done, total);
        let (blinded, state) = blinding.blind();
        if !blinded.is_empty() {
            channel.send_message(step, &blinded)?;
        }
        let peer = match state.expected() {
            0 => Blinded::default(),
            n => channel.receive_message(step, Blinded::bytes(n), n)?,
        };
        let (doubled, state) = state.receive(peer).map_err(psi)?;
        if !doubled.is_empty() {
            channel.send(step, doubled.to_bytes())?;
        }
        let own = match state.expected() {
            0 => Doubled::default(),
            n => channel.receive_message(step, Doubled::bytes(n), n)?,
        };
        match state.receive(own).map_err(psi)? {
            Next::Chunk(next) => blinding = next,
            Next::Match(matching) => return matching.intersect().map_err(psi),
        }
    }
}
