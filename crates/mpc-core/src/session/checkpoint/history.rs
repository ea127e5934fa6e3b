//! Which mini-batches a party can go back to: what its snapshots and logs hold that is good.

use zeroize::Zeroizing;

use super::{position::ChainHash, store::Store};
use crate::{
    plan::Plan,
    session::{error::SessionError, training::CHUNK_ROWS, vault::RecordFile},
    wire::{DecodeError, Reader, Writer},
};

/// The first record of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    /// Mini-batches that are in it.
    pub(crate) step: u32,
    /// The chain over them.
    pub(crate) hash: ChainHash,
    /// Records that follow.
    pub(crate) records: u32,
}

impl SnapshotHeader {
    pub(crate) fn encode(self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::default();
        out.u32(self.step);
        out.bytes(&self.hash.0);
        out.u32(self.records);
        Zeroizing::new(out.into_bytes())
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(record);
        let step = r.u32("mini-batch")?;
        let hash = ChainHash(r.array("chain hash")?);
        let records = r.u32("records")?;
        r.finish()?;
        Ok(Self { step, hash, records })
    }
}

/// A record of a log: the combined error ciphertexts of one chunk of one mini-batch, under the peer's
/// key. The mini-batch counts once all its chunks are there.
pub(crate) struct LogRecord<'a> {
    /// Mini-batches done with this one.
    pub(crate) step: u32,
    /// Which chunk of the mini-batch.
    pub(crate) chunk: u32,
    /// The chain before this mini-batch and after it.
    pub(crate) hashes: [ChainHash; 2],
    /// As [`paillier::Ciphertexts::to_local_bytes`] gives them.
    pub(crate) ciphertexts: &'a [u8],
}

impl<'a> LogRecord<'a> {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(72 + self.ciphertexts.len());
        out.u32(self.step);
        out.u32(self.chunk);
        self.hashes.iter().for_each(|hash| out.bytes(&hash.0));
        out.bytes(self.ciphertexts);
        Zeroizing::new(out.into_bytes())
    }

    /// `rows` ciphertexts of `width` bytes are due.
    pub(crate) fn decode(record: &'a [u8], rows: usize, width: usize) -> Result<Self, DecodeError> {
        let mut r = Reader::new(record);
        let step = r.u32("mini-batch")?;
        let chunk = r.u32("chunk")?;
        let hashes = [ChainHash(r.array("chain hash")?), ChainHash(r.array("chain hash")?)];
        let ciphertexts = r.bytes(rows * width, "error ciphertexts")?;
        r.finish()?;
        Ok(Self { step, chunk, hashes, ciphertexts })
    }
}

/// Rows of each chunk of a mini-batch; a chunk is a record of the log.
pub(crate) fn chunk_rows(plan: &Plan) -> Vec<usize> {
    let batch = plan.hyper.batch_size as usize;
    (0..batch).step_by(CHUNK_ROWS).map(|first| CHUNK_ROWS.min(batch - first)).collect()
}

/// A snapshot and the mini-batches that its log adds.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Mini-batches in the snapshot.
    pub(crate) start: u32,
    /// The chain after `start`, `start` + 1, … mini-batches.
    chains: Vec<ChainHash>,
    /// Bytes of the snapshot.
    pub(crate) snapshot_bytes: u64,
}

impl Generation {
    fn end(&self) -> u32 {
        self.start + self.chains.len() as u32 - 1
    }

    fn chain(&self, step: u32) -> Option<ChainHash> {
        self.chains.get(step.checked_sub(self.start)? as usize).copied()
    }
}

/// Everything good that a vault holds of the model.
#[derive(Debug)]
pub(crate) struct History {
    /// Oldest first; each reaches the start of the next one.
    generations: Vec<Generation>,
    start: ChainHash,
    /// Files that are corrupt, in full or from some record on.
    pub(crate) corrupt: Vec<RecordFile>,
}

impl History {
    /// Reads all snapshots and logs, newest first, as far as they are good and hang together.
    pub(crate) fn read(
        store: &mut Store<'_>,
        plan: &Plan,
        start: ChainHash,
    ) -> Result<Self, SessionError> {
        let files = store.list()?;
        let mut starts: Vec<u32> = files
            .iter()
            .filter_map(|file| if let RecordFile::Snapshot(s) = file { Some(*s) } else { None })
            .collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        let mut history = Self { generations: Vec::new(), start, corrupt: Vec::new() };
        for first in starts {
            let log = files.contains(&RecordFile::Log(first));
            let Some(mut older) = history.read_generation(store, plan, first, log)? else {
                continue;
            };
            if let Some(newer) = history.generations.first() {
                // The older one is of use as far as it leads to the newer one.
                if older.chain(newer.start) != newer.chain(newer.start) {
                    continue;
                }
                older.chains.truncate((newer.start - first) as usize + 1);
            }
            history.generations.insert(0, older);
        }
        Ok(history)
    }

    fn read_generation(
        &mut self,
        store: &mut Store<'_>,
        plan: &Plan,
        first: u32,
        log: bool,
    ) -> Result<Option<Generation>, SessionError> {
        let file = RecordFile::Snapshot(first);
        let (mut header, mut records, mut snapshot_bytes) = (None, 0, 0);
        let good = store.read(file, |record| {
            snapshot_bytes += record.len() as u64;
            if header.is_none() {
                header = Some(SnapshotHeader::decode(record)?);
            } else {
                records += 1;
            }
            Ok(())
        })?;
        let is_whole = |h: &SnapshotHeader| {
            good && (h.step, h.records) == (first, records)
                && h.step <= plan.steps()
                && (first > 0 || h.hash == self.start)
        };
        let Some(header) = header.filter(is_whole) else {
            self.corrupt.push(file);
            return Ok(None);
        };
        let mut chains = vec![header.hash];
        if log {
            let file = RecordFile::Log(first);
            let width = plan.modulus_bits.ciphertext_bytes();
            let rows = chunk_rows(plan);
            let mut chunk = 0;
            let good = store.read(file, |record| {
                let found = LogRecord::decode(record, rows[chunk], width)?;
                let before = chains[chains.len() - 1];
                let step = first + chains.len() as u32;
                let due = (step, chunk as u32, before);
                if (found.step, found.chunk, found.hashes[0]) != due || step > plan.steps() {
                    return Err(DecodeError::OutOfRange { field: "mini-batch" });
                }
                chunk += 1;
                if chunk == rows.len() {
                    chunk = 0;
                    chains.push(found.hashes[1]);
                }
                Ok(())
            })?;
            if !good {
                self.corrupt.push(file);
            }
        }
        Ok(Some(Generation { start: first, chains, snapshot_bytes }))
    }

    /// The earliest mini-batch from which a model can be had, apart from 0, which needs no file.
    pub(crate) fn oldest(&self) -> u32 {
        self.generations.first().map_or(0, |g| g.start)
    }

    /// The last one.
    pub(crate) fn newest(&self) -> u32 {
        self.generations.last().map_or(0, Generation::end)
    }

    /// The chain after `step` mini-batches, if that can be gone back to.
    pub(crate) fn chain(&self, step: u32) -> Option<ChainHash> {
        let known = self.generations.iter().find_map(|g| g.chain(step));
        known.or((step == 0).then_some(self.start))
    }

    /// The chain before the first mini-batch.
    pub(crate) fn start(&self) -> ChainHash {
        self.start
    }

    /// The start of the last generation but one among those up to `step`.
    pub(crate) fn before(&self, step: u32) -> Option<u32> {
        self.generations.iter().rev().filter(|g| g.start <= step).nth(1).map(|g| g.start)
    }

    /// Forgets everything after `step` mini-batches, on disk too, durably: it belongs to an attempt that
    /// the two sides go back before. Returns the last generation that is left, if there is one.
    pub(crate) fn rewind(
        mut self,
        store: &mut Store<'_>,
        plan: &Plan,
        step: u32,
    ) -> Result<Option<Generation>, SessionError> {
        self.generations.retain(|g| g.start <= step);
        let kept = |first: u32| self.generations.iter().any(|g| g.start == first);
        let mut files = store.list()?;
        // Newest first, and a log before its snapshot: what is left hangs together at any moment.
        files.sort_unstable_by_key(|file| {
            std::cmp::Reverse(match *file {
                RecordFile::Log(s) => (s, 1),
                RecordFile::Snapshot(s) => (s, 0),
                RecordFile::Setup | RecordFile::Transform | RecordFile::Openings => (0, 0),
            })
        });
        for file in &files {
            if let RecordFile::Log(s) | RecordFile::Snapshot(s) = *file
                && !kept(s)
            {
                store.remove(*file)?;
            }
        }
        let mut last = self.generations.pop();
        if let Some(last) = &mut last {
            let log = RecordFile::Log(last.start);
            last.chains.truncate((step - last.start) as usize + 1);
            if files.contains(&log) {
                let records = u64::from(step - last.start) * chunk_rows(plan).len() as u64;
                store.truncate(log, records)?;
            }
        }
        Ok(last)
    }
}
