//! Cutting protocol messages into frames of at most 1 MiB, and putting them together again.
//!
//! A message has one sequence number; its chunks count from 0 and the final one says so. Anything
//! out of order ends the job: what arrives here is ordered and complete (`window`), so a gap or a repeat
//! means that the two sides disagree.

use caesar_proto::v1::Frame;
use mpc_core::step::Step;
use prost::bytes::Bytes;
use thiserror::Error;

use crate::job::JobId;

/// Largest body of a frame.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Cuts one message into frames without copying its body.
pub fn split(
    job: JobId,
    attempt: u32,
    step: Step,
    sequence: u64,
    body: Vec<u8>,
) -> impl Iterator<Item = Frame> {
    let body = Bytes::from(body);
    let chunks = body.len().div_ceil(CHUNK_BYTES).max(1);
    (0..chunks).map(move |chunk| {
        let start = chunk * CHUNK_BYTES;
        let end = body.len().min(start + CHUNK_BYTES);
        Frame {
            job: job.as_bytes().to_vec(),
            attempt,
            step: u32::from(step.code()),
            sequence,
            // A message has at most 4096 chunks, see `limits.max_message_mib`.
            chunk: chunk as u32,
            last: chunk + 1 == chunks,
            body: body.slice(start..end),
            // Given by the outbox.
            number: 0,
        }
    })
}

/// Why a frame does not continue the messages before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A message was skipped or repeated.
    #[error("message {found} came where {expected} was due")]
    Sequence {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A chunk was skipped or repeated, or changes the step of its message.
    #[error("the chunks of message {sequence} are out of order")]
    Chunk {
        /// The message.
        sequence: u64,
    },
    /// The message belongs to another step.
    #[error("a message of step code {found} came where {expected} was due")]
    Step {
        /// The step that was due.
        expected: Step,
        /// The code that came.
        found: u8,
    },
    /// The message exceeds what its step allows.
    #[error("a message of step {step} exceeds {limit} bytes")]
    TooLarge {
        /// The step.
        step: Step,
        /// The limit.
        limit: usize,
    },
}

/// Puts frames of one direction of one job together.
#[derive(Debug, Default)]
pub struct Assembler {
    sequence: u64,
    chunk: u32,
    body: Vec<u8>,
}

impl Assembler {
    /// Takes the next frame of a message of `step` with at most `limit` bytes; returns the body
    /// after its last chunk.
    ///
    /// # Errors
    /// See [`FrameError`]. After an error the job must end.
    pub fn push(
        &mut self,
        frame: &Frame,
        step: Step,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, FrameError> {
        if frame.sequence != self.sequence {
            return Err(FrameError::Sequence { expected: self.sequence, found: frame.sequence });
        }
        if frame.step != u32::from(step.code()) {
            // Within a message, a change of step is a fault of its chunks.
            return Err(match self.chunk {
                0 => FrameError::Step {
                    expected: step,
                    found: u8::try_from(frame.step).unwrap_or(u8::MAX),
                },
                _ => FrameError::Chunk { sequence: self.sequence },
            });
        }
        // Only the last chunk may be short: tiny chunks would cost more than they carry.
        let full = frame.body.len() == CHUNK_BYTES;
        if frame.chunk != self.chunk || frame.body.len() > CHUNK_BYTES || !(frame.last || full) {
            return Err(FrameError::Chunk { sequence: self.sequence });
        }
        if self.body.len() + frame.body.len() > limit {
            return Err(FrameError::TooLarge { step, limit });
        }
        self.body.extend_from_slice(&frame.body);
        self.chunk += 1;
        if !frame.last {
            return Ok(None);
        }
        self.sequence += 1;
        self.chunk = 0;
        Ok(Some(std::mem::take(&mut self.body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId::from_bytes([7; 16]);

    fn frames(sequence: u64, body: Vec<u8>) -> Vec<Frame> {
        split(JOB, 1, Step::Forward, sequence, body).collect()
    }

    #[test]
    fn bodies_of_every_size_round_trip() {
        let mut assembler = Assembler::default();
        let sizes = [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            3 * CHUNK_BYTES,
            3 * CHUNK_BYTES + 5,
        ];
        for (sequence, &size) in sizes.iter().enumerate() {
            let body: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let pieces = frames(sequence as u64, body.clone());
            assert_eq!(pieces.len(), size.div_ceil(CHUNK_BYTES).max(1));
            let mut whole = None;
            for (i, frame) in pieces.iter().enumerate() {
                assert!(whole.is_none(), "complete before chunk {i} of size {size}");
                whole = assembler.push(frame, Step::Forward, size).unwrap();
            }
            assert_eq!(whole.as_deref(), Some(body.as_slice()), "size {size}");
        }
    }

    #[test]
    fn repeats_gaps_and_strangers_are_refused() {
        let limit = 8 * CHUNK_BYTES;
        let message = frames(0, vec![1; 2 * CHUNK_BYTES + 9]);
        let push =
            |assembler: &mut Assembler, frame: &Frame| assembler.push(frame, Step::Forward, limit);

        // A repeated, a skipped and a second first chunk.
        for wrong in [0, 2] {
            let mut a = Assembler::default();
            push(&mut a, &message[0]).unwrap();
            assert_eq!(push(&mut a, &message[wrong]), Err(FrameError::Chunk { sequence: 0 }));
        }
        // A replayed message and a skipped one.
        let mut a = Assembler::default();
        let small = frames(0, vec![1]);
        push(&mut a, &small[0]).unwrap();
        assert_eq!(push(&mut a, &small[0]), Err(FrameError::Sequence { expected: 1, found: 0 }));
        assert_eq!(
            push(&mut a, &frames(2, vec![])[0]),
            Err(FrameError::Sequence { expected: 1, found: 2 })
        );
        // Another step, and another step in the middle of a message.
        let mut a = Assembler::default();
        assert_eq!(
            a.push(&small[0], Step::Evaluate, limit),
            Err(FrameError::Step { expected: Step::Evaluate, found: Step::Forward.code() })
        );
        push(&mut a, &message[0]).unwrap();
        let mut changed = message[1].clone();
        changed.step = u32::from(Step::Finish.code());
        assert_eq!(push(&mut a, &changed), Err(FrameError::Chunk { sequence: 0 }));
        // A short chunk that is not the last.
        let mut a = Assembler::default();
        let mut short = message[0].clone();
        short.body.truncate(10);
        assert_eq!(push(&mut a, &short), Err(FrameError::Chunk { sequence: 0 }));
    }

    #[test]
    fn size_is_capped_before_the_message_is_whole() {
        let message = frames(0, vec![1; 3 * CHUNK_BYTES]);
        let mut a = Assembler::default();
        let limit = 2 * CHUNK_BYTES - 1;
        a.push(&message[0], Step::Forward, limit).unwrap();
        assert_eq!(
            a.push(&message[1], Step::Forward, limit),
            Err(FrameError::TooLarge { step: Step::Forward, limit })
        );
    }
}
