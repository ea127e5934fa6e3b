//! Drives the mini-batches of both roles over the channel.
//!
//! A batch is cut into chunks of at most [`CHUNK_ROWS`] rows that pass through the states of
//! [`crate::train`]; the model changes when all chunks of the batch are done. [`IN_FLIGHT`] chunks, a
//! [`Window`], are under way together, step by step, so that on a long line an answer to the first is
//! there when the last was sent.
//!
//! A window takes three messages each way, which both sides send at the same time: scores, masked
//! scores, errors. What the error step needs beside the scores ([`super::correlate`]) is made up to two
//! windows ahead, while this side waits for one of the three, and travels when the line has nothing
//! better to do.
//!
//! After a batch both sides tell each other its chain hash without waiting: the peer's arrives ahead of
//! its next scores, and the batch is logged once the hashes are the same.

use std::collections::VecDeque;

use paillier::{
    Ciphertexts, EncryptedVector, PackLayout, PublicKey, SendableCiphertexts, SparseMatrix,
};
use rand::CryptoRng;

use super::{
    channel::Channel,
    checkpoint::Model,
    correlate::Correlate,
    course::{Course, Judge},
    error::SessionError,
    setup::Ready,
    work::Work,
};
use crate::{
    plan::Plan,
    ring::Ring,
    shares::Shares,
    step::Step,
    train::{
        batch::Intercept,
        error_ciphertexts::{ErrorShares, NegatedErrors},
        forward::{ForwardSent, send_scores},
        masked_scores::{Masked, MaskedScores},
        order::Batches,
    },
};

/// Most rows that pass through the protocol at once; bounds memory and the size of messages.
pub const CHUNK_ROWS: usize = 1024;

/// Chunks of a window. Up to three windows have correlations: at B about 5 MB a chunk with the short
/// series, 14 with the long one. Tests see several windows in a mini-batch that is not too large for them.
const IN_FLIGHT: usize = if cfg!(test) { 2 } else { 4 };

/// Windows whose correlations are begun before they are needed.
const AHEAD: usize = 2;

/// Chunks of one mini-batch that are under way together.
#[derive(Debug)]
pub(crate) struct Window {
    /// The mini-batch.
    pub(crate) step: u32,
    rows: Vec<u32>,
    /// Whether the mini-batch ends with it.
    last: bool,
}

impl Window {
    /// Row numbers of each chunk.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[u32]> {
        self.rows.chunks(CHUNK_ROWS)
    }
}

/// The windows of all mini-batches that are left.
struct Windows<'a> {
    plan: &'a Plan,
    batches: Batches,
    step: u32,
    /// Rows of the mini-batch that are in earlier windows.
    taken: usize,
}

impl Iterator for Windows<'_> {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        if self.step == self.plan.steps() {
            return None;
        }
        let step = self.step;
        let batch = self.batches.get(step);
        let end = batch.len().min(self.taken + IN_FLIGHT * CHUNK_ROWS);
        let window =
            Window { step, rows: batch[self.taken..end].to_vec(), last: end == batch.len() };
        (self.step, self.taken) = if window.last { (step + 1, 0) } else { (step, end) };
        Some(window)
    }
}

/// What a party trains with.
pub(crate) struct Training<'a, R> {
    /// Seed of the row order.
    pub(crate) rows_seed: &'a [u8; 32],
    /// Its correlations.
    pub(crate) role: R,
    /// What decides after an epoch, at B.
    pub(crate) judge: Option<&'a Judge>,
}

/// The mini-batches that are left of the job, and what happens between its epochs. Afterwards all of them
/// are logged.
pub(crate) fn train<R: Correlate>(
    channel: &mut Channel<'_>,
    ready: &Ready,
    training: Training<'_, R>,
    model: &mut Model<'_>,
    course: &mut Course,
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<(), SessionError> {
    let Training { rows_seed, mut role, judge } = training;
    let role = &mut role;
    let Ready { plan, prepared, columns, .. } = ready;
    let batches = Batches::new(rows_seed, plan);
    let mut windows = Windows { plan, batches, step: model.step(), taken: 0 };
    let mut ahead: VecDeque<Window> = windows.by_ref().take(AHEAD).collect();
    begin(channel, plan, &ahead, role, rng)?;
    let mut unconfirmed = None;
    let mut updates: Vec<(SparseMatrix, NegatedErrors)> = Vec::new();
    while let Some(window) = ahead.pop_front() {
        if course.is_due(plan, window.step) {
            if let Some(finished) = unconfirmed.take() {
                model.confirm(channel, finished)?;
            }
            course.end_epoch(channel, ready, model, judge, work, rng)?;
            if course.is_done(plan, model.step()) {
                // What was made ahead is never used.
                return Ok(());
            }
        }
        ahead.extend(windows.next());
        let (next, next_but_one) = (ahead.front(), ahead.get(AHEAD - 1));
        let step = window.step;
        let ring = plan.score_ring(step);
        work.train(Step::Forward, step, plan.hyper.batch_size as usize);

        let mut sent = Vec::new();
        for rows in window.chunks() {
            let x = columns.select(&prepared.train, rows, Intercept::forward(plan, step));
            let layout = (plan.score_layout, ring);
            let weights = model.weights();
            sent.push(send_own_scores(channel, ready, &x, weights, layout, Step::Forward, rng)?);
        }
        // The peer's word of the last batch is ahead of its scores.
        if let Some(finished) = unconfirmed.take() {
            model.confirm(channel, finished)?;
        }
        let masks = role.masks();
        ready_for(&window, masks.len())?;
        let mut masked = Vec::new();
        for (sent, masks) in sent.into_iter().zip(masks) {
            let scores = receive_peer_scores(channel, ready, sent, Step::Forward)?;
            let (waiting, message) = Masked::new(channel.role(), scores, masks);
            channel.send_message(Step::MaskedScores, &message)?;
            masked.push(waiting);
        }
        role.send_wraps(channel)?;
        if let Some(window) = next_but_one {
            role.send_choices(channel, plan, window, rng)?;
        }
        if let Some(window) = next {
            role.send_corrections(channel, plan, window, rng)?;
        }
        let mut opened = Vec::new();
        for masked in &masked {
            let (at, (ring, rows)) = (Step::MaskedScores, masked.expected());
            let max = ring.bytes() * rows;
            opened.push(channel.receive_message::<MaskedScores>(at, max, (ring, rows))?);
        }
        let mut shares = Vec::new();
        let factors = role.factors(channel, plan, &window)?;
        ready_for(&window, factors.len())?;
        for ((masked, peer), factors) in masked.into_iter().zip(&opened).zip(factors) {
            channel.computing(Step::MaskedScores);
            let errors = masked.receive(peer, factors);
            channel.computing(Step::ErrorCiphertexts);
            send_ciphertexts(channel, Step::ErrorCiphertexts, &errors.encrypt(&ready.keys))?;
            shares.push(errors);
        }
        if let Some(window) = next {
            role.send_top_bits(channel, plan, window)?;
        }
        if let Some(window) = next_but_one {
            role.receive_choices(channel, plan, window)?;
        }
        for (rows, shares) in window.chunks().zip(shares) {
            let errors = receive_errors(channel, ready, rows.len(), shares)?;
            let x = columns.select(&prepared.train, rows, Intercept::backward(plan, step));
            updates.push((x, errors));
        }
        if let Some(window) = next {
            role.receive_top_bits(channel, plan, window)?;
        }
        if window.last {
            unconfirmed = Some(model.finish_batch(channel, std::mem::take(&mut updates))?);
        }
    }
    work.train(Step::BatchEnd, plan.steps(), plan.hyper.batch_size as usize);
    if let Some(finished) = unconfirmed {
        model.confirm(channel, finished)?;
    }
    if course.is_due(plan, plan.steps()) {
        course.end_epoch(channel, ready, model, judge, work, rng)?;
    }
    Ok(())
}

/// Correlations are there for every chunk of the window: none may be left out or used for another.
fn ready_for(window: &Window, chunks: usize) -> Result<(), SessionError> {
    if chunks == window.chunks().count() {
        return Ok(());
    }
    Err(internal(Step::MaskedScores, "correlations of another window"))
}

/// The correlations of the first window, and the choices of all that are begun ahead.
fn begin(
    channel: &mut Channel<'_>,
    plan: &Plan,
    ahead: &VecDeque<Window>,
    role: &mut impl Correlate,
    rng: &mut impl CryptoRng,
) -> Result<(), SessionError> {
    for window in ahead {
        role.send_choices(channel, plan, window, rng)?;
    }
    for window in ahead {
        role.receive_choices(channel, plan, window)?;
    }
    if let Some(first) = ahead.front() {
        role.send_corrections(channel, plan, first, rng)?;
        role.send_top_bits(channel, plan, first)?;
        role.receive_top_bits(channel, plan, first)?;
    }
    Ok(())
}

/// Both directions of the forward step for one chunk, and this party's shares of the joint scores modulo
/// `ring`.
pub(crate) fn exchange_scores(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows: &SparseMatrix,
    weights: &EncryptedVector,
    layout: (PackLayout, Ring),
    step: Step,
    rng: &mut impl CryptoRng,
) -> Result<Shares, SessionError> {
    let sent = send_own_scores(channel, ready, rows, weights, layout, step, rng)?;
    receive_peer_scores(channel, ready, sent, step)
}

/// Masks and sends this side's partial scores of one chunk.
fn send_own_scores(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows: &SparseMatrix,
    weights: &EncryptedVector,
    (layout, ring): (PackLayout, Ring),
    step: Step,
    rng: &mut impl CryptoRng,
) -> Result<ForwardSent, SessionError> {
    channel.computing(step);
    let Ready { plan, keys, .. } = ready;
    let align = 2 * plan.feature_bits;
    let (sent, packed) = send_scores(keys, rows, weights, align, layout, ring, rng)
        .map_err(|e| internal(step, e))?;
    send_ciphertexts(channel, step, &packed)?;
    Ok(sent)
}

/// Receives the peer's partial scores of the same chunk and opens this side's share.
fn receive_peer_scores(
    channel: &mut Channel<'_>,
    ready: &Ready,
    sent: ForwardSent,
    step: Step,
) -> Result<Shares, SessionError> {
    let keys = &ready.keys;
    let packed = receive_ciphertexts(channel, keys.own.public(), step, sent.ciphertexts())?;
    sent.receive(keys, &packed).map_err(|e| internal(step, e))
}

pub(crate) fn internal(step: Step, cause: impl std::fmt::Display) -> SessionError {
    SessionError::Bug { step, what: format!("{cause}") }
}

/// Receives the peer's share of the errors of one chunk, encrypted under the peer's own key, which is the
/// key of this party's model, and adds this party's.
fn receive_errors(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows: usize,
    shares: ErrorShares,
) -> Result<NegatedErrors, SessionError> {
    let step = Step::ErrorCiphertexts;
    let peer = receive_ciphertexts(channel, &ready.keys.peer, step, rows)?;
    shares.combine(&peer).map_err(|e| internal(step, e))
}

fn send_ciphertexts(
    channel: &mut Channel<'_>,
    step: Step,
    ciphertexts: &SendableCiphertexts,
) -> Result<(), SessionError> {
    channel.ciphertexts_sent += ciphertexts.len() as u64;
    channel.send(step, ciphertexts.encode())
}

/// Receives and validates `count` ciphertexts under `key`.
fn receive_ciphertexts(
    channel: &mut Channel<'_>,
    key: &PublicKey,
    step: Step,
    count: usize,
) -> Result<Ciphertexts, SessionError> {
    let body = channel.receive_exact(step, key.bits().ciphertext_bytes() * count)?;
    channel.ciphertexts_received += count as u64;
    Ciphertexts::decode(key, &body, count).map_err(|e| channel.bad(step, e))
}
