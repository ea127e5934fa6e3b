//! This party's model under the peer's key, and the files from which it can be had again.
//!
//! A snapshot is written when the log since the last one has become as large as it: the bytes that are
//! written a mini-batch do not grow with the number of columns, and two generations bound the disk.

use paillier::{Ciphertexts, EncryptedVector, SparseMatrix, accumulate_transpose};
use zeroize::Zeroizing;

use super::{
    RECORD_BYTES,
    history::{Generation, History, LogRecord, SnapshotHeader, chunk_rows},
    position::{ChainHash, Position},
    store::Store,
};
use crate::{
    session::{
        channel::Channel, error::SessionError, setup::Ready, training::CHUNK_ROWS,
        vault::RecordFile,
    },
    step::Step,
    train::{batch::Intercept, error_ciphertexts::NegatedErrors, order::Batches},
};

/// A log smaller than this brings no snapshot. Tests see several in a job of a few mini-batches.
const MIN_LOG_BYTES: u64 = if cfg!(test) { 60 << 10 } else { 16 << 20 };
/// Bytes of a log after which it is made durable. Not above [`MIN_LOG_BYTES`], so that a power cut
/// never throws one side back further than the other side's last two generations reach.
const SYNC_BYTES: u64 = MIN_LOG_BYTES;

/// The model and where it stands.
pub(crate) struct Model<'v> {
    pub(crate) store: Store<'v>,
    /// May be one mini-batch ahead of `done`, until the peer has confirmed that one.
    weights: EncryptedVector,
    done: Position,
    /// Number of the snapshot whose log is being written.
    generation: u32,
    /// The one before, if it is there.
    previous: Option<u32>,
    snapshot_bytes: u64,
    log_bytes: u64,
    unsynced_bytes: u64,
}

/// A mini-batch that this side has finished and the peer has not confirmed.
pub(crate) struct Finished {
    position: Position,
    errors: Vec<NegatedErrors>,
}

impl<'v> Model<'v> {
    /// The empty model, with its snapshot.
    pub(crate) fn empty(
        store: Store<'v>,
        ready: &Ready,
        start: ChainHash,
    ) -> Result<Self, SessionError> {
        let mut model = Self {
            store,
            weights: EncryptedVector::zeros(&ready.keys.peer, ready.columns.len()),
            done: Position { step: 0, hash: start },
            generation: 0,
            previous: None,
            snapshot_bytes: 0,
            log_bytes: 0,
            unsynced_bytes: 0,
        };
        model.write_snapshot()?;
        Ok(model)
    }

    /// The model at a position that both sides agreed on: its last snapshot, and a replay of what was
    /// logged after it. Everything later is removed.
    pub(crate) fn resume(
        mut store: Store<'v>,
        ready: &Ready,
        rows_seed: &[u8; 32],
        history: History,
        done: Position,
    ) -> Result<Self, SessionError> {
        let start = history.start();
        let previous = history.before(done.step);
        let Some(last) = history.rewind(&mut store, &ready.plan, done.step)? else {
            return Self::empty(store, ready, start);
        };
        let mut weights = EncryptedVector::zeros(&ready.keys.peer, ready.columns.len());
        restore(&mut store, &last, &mut weights)?;
        let log_bytes = replay(&mut store, ready, rows_seed, &last, done, &mut weights)?;
        Ok(Self {
            store,
            weights,
            done,
            generation: last.start,
            previous,
            snapshot_bytes: last.snapshot_bytes,
            log_bytes,
            // Nobody knows what an earlier process has made durable.
            unsynced_bytes: log_bytes,
        })
    }

    /// Under the peer's key; this party cannot open it.
    pub(crate) fn weights(&self) -> &EncryptedVector {
        &self.weights
    }

    /// Mini-batches that both sides have confirmed.
    pub(crate) fn step(&self) -> u32 {
        self.done.step
    }

    /// This side has the errors of a whole mini-batch: tells the peer, updates the model, and keeps the
    /// errors for the log. The peer's word of the same mini-batch is its next message.
    pub(crate) fn finish_batch(
        &mut self,
        channel: &mut Channel<'_>,
        updates: Vec<(SparseMatrix, NegatedErrors)>,
    ) -> Result<Finished, SessionError> {
        let step = self.done.step + 1;
        let hash = self.done.hash.next(step, channel.transcripts());
        let position = Position { step, hash };
        channel.send_message(Step::BatchEnd, &position)?;
        channel.computing(Step::Update);
        let mut errors = Vec::with_capacity(updates.len());
        for (rows, negated) in updates {
            accumulate_transpose(&rows, negated.ciphertexts(), &mut self.weights)
                .map_err(|e| bug(Step::ErrorCiphertexts, e))?;
            errors.push(negated);
        }
        Ok(Finished { position, errors })
    }

    /// Takes the peer's word of a finished mini-batch, and logs it once it is the same as the own.
    pub(crate) fn confirm(
        &mut self,
        channel: &mut Channel<'_>,
        finished: Finished,
    ) -> Result<(), SessionError> {
        let step = Step::BatchEnd;
        let Finished { position, errors } = finished;
        if channel.receive_message::<Position>(step, Position::BYTES, ())? != position {
            return Err(SessionError::Disagreement { what: "last mini-batch", step });
        }
        let log = RecordFile::Log(self.generation);
        for (negated, chunk) in errors.into_iter().zip(0..) {
            let record = LogRecord {
                step: position.step,
                chunk,
                hashes: [self.done.hash, position.hash],
                ciphertexts: &negated.ciphertexts().to_local_bytes(),
            };
            let record = record.encode();
            self.store.append(log, &record)?;
            self.log_bytes += record.len() as u64;
            self.unsynced_bytes += record.len() as u64;
        }
        self.done = position;
        if self.log_bytes >= self.snapshot_bytes.max(MIN_LOG_BYTES) {
            self.sync()?;
            self.write_snapshot()
        } else if self.unsynced_bytes >= SYNC_BYTES {
            self.sync()
        } else {
            Ok(())
        }
    }

    /// Makes everything confirmed so far durable.
    pub(crate) fn sync(&mut self) -> Result<(), SessionError> {
        if self.unsynced_bytes > 0 {
            self.store.sync(RecordFile::Log(self.generation))?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    /// Starts a generation at the last confirmed mini-batch and removes all but the one before.
    fn write_snapshot(&mut self) -> Result<(), SessionError> {
        let Position { step, hash } = self.done;
        let width = EncryptedVector::snapshot_bytes(self.weights.key().bits());
        let per_record = RECORD_BYTES / width;
        let records = self.weights.touched().div_ceil(per_record) as u32;
        let header = SnapshotHeader { step, hash, records }.encode();
        let mut bytes = 0;
        let count = |record: &Zeroizing<Vec<u8>>| bytes += record.len() as u64;
        let mut records =
            std::iter::once(header).chain(self.weights.snapshot(per_record)).inspect(count);
        self.store.write(RecordFile::Snapshot(step), &mut records)?;
        drop(records);
        if let Some(old) = self.previous.take() {
            self.store.remove(RecordFile::Log(old))?;
            self.store.remove(RecordFile::Snapshot(old))?;
        }
        self.previous = Some(self.generation).filter(|&generation| generation < step);
        self.generation = step;
        (self.snapshot_bytes, self.log_bytes) = (bytes, 0);
        Ok(())
    }
}

fn bug(step: Step, cause: impl std::fmt::Display) -> SessionError {
    SessionError::Bug { step, what: format!("{cause}") }
}

fn restore(
    store: &mut Store<'_>,
    generation: &Generation,
    weights: &mut EncryptedVector,
) -> Result<(), SessionError> {
    let file = RecordFile::Snapshot(generation.start);
    let mut header = true;
    let good = store.read(file, |record| {
        if std::mem::take(&mut header) {
            return Ok(());
        }
        weights.restore(record).map_err(|_| STORED)
    })?;
    if good { Ok(()) } else { Err(store.corrupt(file)) }
}

/// Adds the logged mini-batches after a generation's snapshot; returns the bytes of their records.
fn replay(
    store: &mut Store<'_>,
    ready: &Ready,
    rows_seed: &[u8; 32],
    generation: &Generation,
    done: Position,
    weights: &mut EncryptedVector,
) -> Result<u64, SessionError> {
    let Ready { plan, prepared, columns, keys } = ready;
    if done.step == generation.start {
        return Ok(0);
    }
    let file = RecordFile::Log(generation.start);
    let width = plan.modulus_bits.ciphertext_bytes();
    let chunks = chunk_rows(plan);
    let mut batches = Batches::new(rows_seed, plan);
    let (mut bytes, mut records) = (0, 0);
    let good = store.read(file, |record| {
        let (batch, chunk) = (records / chunks.len(), records % chunks.len());
        let step = generation.start + batch as u32;
        let found = LogRecord::decode(record, chunks[chunk], width)?;
        let errors = Ciphertexts::decode(&keys.peer, found.ciphertexts, chunks[chunk])
            .map_err(|_| STORED)?;
        let picked = batches.get(step).chunks(CHUNK_ROWS).nth(chunk).unwrap_or_default();
        let rows = columns.select(&prepared.train, picked, Intercept::backward(plan, step));
        accumulate_transpose(&rows, &errors, weights).map_err(|_| STORED)?;
        bytes += record.len() as u64;
        records += 1;
        Ok(())
    })?;
    let due = (done.step - generation.start) as usize * chunks.len();
    if good && records == due { Ok(bytes) } else { Err(store.corrupt(file)) }
}

/// What is stored is not what was written.
const STORED: crate::wire::DecodeError =
    crate::wire::DecodeError::OutOfRange { field: "stored ciphertext" };
