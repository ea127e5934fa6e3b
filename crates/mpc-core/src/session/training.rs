//! Drives the mini-batches of both roles over the channel.
//!
//! A batch is cut into chunks of at most [`CHUNK_ROWS`] rows that pass through the states of
//! [`crate::train`] one after the other; the model changes when all chunks of the batch are done.

use paillier::{
    Ciphertexts, EncryptedVector, PublicKey, SendableCiphertexts, SparseMatrix,
    accumulate_transpose,
};
use rand::CryptoRng;

use super::{channel::Channel, error::SessionError, setup::Ready, work::Work};
use crate::{
    binding::Binding,
    ot::{
        AwaitingSeeds, ChoiceBits, Corrections, ExtensionMessage, ExtensionReceiver,
        ExtensionSender, OleShape, OtError, SetupReply, SetupRequest, TreeDepth, ots_needed,
    },
    plan::Plan,
    step::Step,
    train::{
        batch::Intercept,
        error_ciphertexts::{ErrorShares, NegatedErrors},
        feature_holder::FeatureScores,
        forward::{ForwardSent, peer_score_ciphertexts, send_scores},
        label_holder::LabelScores,
        order::epoch_batches,
        series::ErrorSeries,
    },
};

/// Most rows that pass through the protocol at once; bounds memory and the size of messages.
pub const CHUNK_ROWS: usize = 1024;

/// Upper bound of one message of the correlation steps.
const MAX_CORRELATION_BYTES: usize = 64 << 20;

/// A role's part in one chunk after the forward step.
pub(crate) trait ErrorRole {
    /// Turns shares of the scores into shares of the negated errors.
    fn error_shares(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        step: u32,
        rows: &[u32],
        forward: ForwardOpened,
    ) -> Result<ErrorShares, SessionError>;

    /// Prepares the correlations of one chunk, before its scores are known.
    fn correlate(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        rows: usize,
    ) -> Result<(), SessionError>;
}

/// Shares of the joint scores of one chunk.
pub(crate) struct ForwardOpened(pub(crate) crate::shares::Shares);

/// The feature holder's correlations.
pub(crate) struct FeatureRole {
    extension: ExtensionReceiver,
    pool: Option<crate::ot::RandomOtsReceiver>,
}

/// The label holder's correlations and labels.
pub(crate) struct LabelRole<'a> {
    extension: ExtensionSender,
    pool: Option<crate::ot::RandomOtsSender>,
    labels: &'a [bool],
    series: Option<(u32, ErrorSeries)>,
}

impl FeatureRole {
    pub(crate) fn start(
        channel: &mut Channel<'_>,
        binding: &Binding,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SessionError> {
        let step = Step::BaseOt;
        let request = channel.receive_message::<SetupRequest>(step, MAX_CORRELATION_BYTES, ())?;
        let (extension, reply) =
            ExtensionReceiver::start(binding, TreeDepth::default(), &request, rng);
        channel.send_message(step, &reply)?;
        Ok(Self { extension, pool: None })
    }
}

impl ErrorRole for FeatureRole {
    fn correlate(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        rows: usize,
    ) -> Result<(), SessionError> {
        let step = Step::OtExtension;
        let count = ots_needed(rows, plan.terms());
        let (pool, message) = self.extension.extend(count).map_err(|e| internal(step, e))?;
        self.pool = Some(pool);
        channel.send_message(step, &message)
    }

    fn error_shares(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        step: u32,
        rows: &[u32],
        forward: ForwardOpened,
    ) -> Result<ErrorShares, SessionError> {
        let at = Step::ErrorOle;
        let pool = self.pool.take().ok_or_else(|| internal(at, OtError::Ended))?;
        let (chosen, choices) =
            FeatureScores::new(forward.0).choose(plan, step, pool).map_err(|e| internal(at, e))?;
        channel.send_message(at, &choices)?;
        let shape = shape(plan, rows.len()).map_err(|e| internal(at, e))?;
        let corrections =
            channel.receive_message::<Corrections>(at, MAX_CORRELATION_BYTES, shape)?;
        chosen.finish(plan, &corrections).map_err(|e| channel.bad(at, e))
    }
}

impl<'a> LabelRole<'a> {
    pub(crate) fn start(
        channel: &mut Channel<'_>,
        binding: &Binding,
        labels: &'a [bool],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SessionError> {
        let step = Step::BaseOt;
        let depth = TreeDepth::default();
        let (waiting, request): (AwaitingSeeds, _) = ExtensionSender::start(binding, depth, rng);
        channel.send_message(step, &request)?;
        let reply = channel.receive_message::<SetupReply>(step, MAX_CORRELATION_BYTES, depth)?;
        let extension = waiting.finish(&reply).map_err(|e| channel.bad(step, e))?;
        Ok(Self { extension, pool: None, labels, series: None })
    }
}

impl ErrorRole for LabelRole<'_> {
    fn correlate(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        rows: usize,
    ) -> Result<(), SessionError> {
        let step = Step::OtExtension;
        let count = ots_needed(rows, plan.terms());
        let message = channel.receive_message::<ExtensionMessage>(
            step,
            MAX_CORRELATION_BYTES,
            (self.extension.depth(), count),
        )?;
        self.pool = Some(self.extension.extend(count, &message).map_err(|e| channel.bad(step, e))?);
        Ok(())
    }

    fn error_shares(
        &mut self,
        channel: &mut Channel<'_>,
        plan: &Plan,
        step: u32,
        rows: &[u32],
        forward: ForwardOpened,
    ) -> Result<ErrorShares, SessionError> {
        let at = Step::ErrorOle;
        let shape = shape(plan, rows.len()).map_err(|e| internal(at, e))?;
        let choices = channel.receive_message::<ChoiceBits>(at, MAX_CORRELATION_BYTES, shape)?;
        let pool = self.pool.take().ok_or_else(|| internal(at, OtError::Ended))?;
        let labels: Vec<bool> = rows.iter().map(|&i| self.labels[i as usize]).collect();
        let series = match &self.series {
            // Without a penalty the period never changes, so one fit serves the whole job.
            Some((fitted, series)) if *fitted == step || plan.hyper.l2 == 0.0 => series,
            _ => {
                &self.series.insert((step, ErrorSeries::fit(&plan.shape, plan.period_at(step).1))).1
            }
        };
        let (shares, corrections) = LabelScores::new(forward.0)
            .respond(plan, step, series, &labels, pool, &choices)
            .map_err(|e| channel.bad(at, e))?;
        channel.send_message(at, &corrections)?;
        Ok(shares)
    }
}

fn shape(plan: &Plan, rows: usize) -> Result<OleShape, OtError> {
    OleShape::new(rows, plan.terms(), plan.ole_ring.bits())
}

fn internal(step: Step, cause: impl std::fmt::Display) -> SessionError {
    SessionError::Bug { step, what: format!("{cause}") }
}

/// All mini-batches of the job; returns this party's model under the peer's key.
pub(crate) fn train(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows_seed: &[u8; 32],
    role: &mut impl ErrorRole,
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<EncryptedVector, SessionError> {
    let Ready { plan, prepared, columns, keys } = ready;
    let mut weights = EncryptedVector::zeros(&keys.peer, columns.len());
    let batch_size = plan.hyper.batch_size as usize;
    let mut step = 0;
    for epoch in 0..plan.hyper.epochs {
        for batch in epoch_batches(rows_seed, epoch, plan.rows[0], batch_size) {
            work.train(Step::Forward, step, batch_size);
            let mut updates: Vec<(SparseMatrix, NegatedErrors)> = Vec::new();
            for rows in batch.chunks(CHUNK_ROWS) {
                role.correlate(channel, plan, rows.len())?;
                let forward = columns.select(&prepared.train, rows, Intercept::forward(plan, step));
                let opened =
                    exchange_scores(channel, ready, &forward, &weights, Step::Forward, rng)?;
                let shares = role.error_shares(channel, plan, step, rows, opened)?;
                let errors = exchange_errors(channel, ready, rows.len(), shares, rng)?;
                let backward =
                    columns.select(&prepared.train, rows, Intercept::backward(plan, step));
                updates.push((backward, errors));
            }
            for (rows, errors) in &updates {
                accumulate_transpose(rows, errors.ciphertexts(), &mut weights)
                    .map_err(|e| internal(Step::ErrorCiphertexts, e))?;
            }
            step += 1;
        }
    }
    work.train(Step::Forward, step, batch_size);
    Ok(weights)
}

/// Both directions of the forward step for one chunk.
pub(crate) fn exchange_scores(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows: &SparseMatrix,
    weights: &EncryptedVector,
    step: Step,
    rng: &mut impl CryptoRng,
) -> Result<ForwardOpened, SessionError> {
    let Ready { plan, keys, .. } = ready;
    let role = channel.role();
    let (sent, packed): (ForwardSent, _) =
        send_scores(plan, role, keys, rows, weights, rng).map_err(|e| internal(step, e))?;
    send_ciphertexts(channel, step, &packed)?;
    let count = peer_score_ciphertexts(plan, role, rows.rows());
    let packed = receive_ciphertexts(channel, keys.own.public(), step, count)?;
    sent.receive(plan, keys, &packed).map(ForwardOpened).map_err(|e| internal(step, e))
}

/// Both directions of the error ciphertexts for one chunk.
fn exchange_errors(
    channel: &mut Channel<'_>,
    ready: &Ready,
    rows: usize,
    shares: ErrorShares,
    rng: &mut impl CryptoRng,
) -> Result<NegatedErrors, SessionError> {
    let step = Step::ErrorCiphertexts;
    let encrypted = shares.encrypt(&ready.keys, rng);
    send_ciphertexts(channel, step, &encrypted)?;
    // The peer encrypts its shares under its own key, which is the key of this party's model.
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
