//! The bytes of a checkpoint file.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic 8, version 2, key id 8, job 16, kind of file 1, number 4, appended or whole 1, salt 32 |
//! | record | kind 1, length 4, nonce 24, ciphertext, tag 16 |
//!
//! The first record is an empty one of kind 0, which authenticates the header, then come those of
//! kind 1; a whole file ends with an empty one of kind 2. Integers are little-endian.
//!
//! A file's key is derived by BLAKE3 from the master key and the whole header, whose salt is random.
//! Records are sealed with XChaCha20-Poly1305 under **random nonces of 192 bits**. A counter would
//! have to be right after every torn write, failed write, power cut and truncation, since two records
//! under one nonce give away their difference to whoever has copies of the disk of both times; a random
//! nonce repeats with probability below 2^−96 after 2^48 records, whatever happened before.
//!
//! The associated data of a record are its kind, its length, its index, and the **tag of the record
//! before it**. So records cannot be altered, reordered, left out, taken from other files, jobs or keys,
//! or mixed with records that stood there before a truncation. What an attacker who can write to the
//! disk can do: put back an older state of a file, cut an appended file off after a record, or remove
//! files. The parties agree on transcript hashes before they go on from a checkpoint, so that costs time
//! and nothing else.

use chacha20poly1305::{
    Key, KeyInit as _, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use mpc_core::session::RecordFile;
use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use super::keys::{KeyId, Keys, MasterKey};
use crate::job::JobId;

const MAGIC: &[u8; 8] = b"CAESARCP";
const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 72;
/// Kind and length of a record.
pub(super) const FRAME_BYTES: usize = 5;
const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;
/// What a record takes beside its content.
pub(super) const OVERHEAD: usize = FRAME_BYTES + NONCE_BYTES + TAG_BYTES;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The first; authenticates the header.
    Head = 0,
    /// One of the caller's.
    Data = 1,
    /// The last of a whole file.
    End = 2,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Head, Kind::Data, Kind::End].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A file's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: KeyId,
    pub(super) job: JobId,
    pub(super) file: RecordFile,
    /// Records are appended; otherwise the file is written as a whole.
    pub(super) appended: bool,
    salt: [u8; 32],
}

impl Header {
    /// With a fresh salt. `None` without random numbers.
    pub(super) fn new(key: KeyId, job: JobId, file: RecordFile, appended: bool) -> Option<Self> {
        let mut salt = [0; 32];
        SysRng.try_fill_bytes(&mut salt).ok()?;
        Some(Self { key, job, file, appended, salt })
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let (kind, number): (u8, u32) = match self.file {
            RecordFile::Setup => (0, 0),
            RecordFile::Snapshot(n) => (1, n),
            RecordFile::Log(n) => (2, n),
            RecordFile::Openings => (3, 0),
            RecordFile::Transform => (4, 0),
        };
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.key.0);
        out.extend(self.job.as_bytes());
        out.push(kind);
        out.extend(number.to_le_bytes());
        out.push(u8::from(self.appended));
        out.extend(self.salt);
        out.try_into().expect("the parts are HEADER_BYTES long in total")
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let (job, rest) = rest.split_first_chunk::<16>()?;
        let (kind, rest) = rest.split_first_chunk::<1>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (appended, salt) = rest.split_first_chunk::<1>()?;
        if magic != MAGIC || u16::from_le_bytes(*version) != VERSION {
            return None;
        }
        let file = match (kind[0], u32::from_le_bytes(*number)) {
            (0, 0) => RecordFile::Setup,
            (1, n) => RecordFile::Snapshot(n),
            (2, n) => RecordFile::Log(n),
            (3, 0) => RecordFile::Openings,
            (4, 0) => RecordFile::Transform,
            _ => return None,
        };
        let appended = match appended[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (key, job) = (KeyId(*key), JobId::from_bytes(*job));
        Some(Self { key, job, file, appended, salt: salt.try_into().ok()? })
    }
}

/// Kind and length of the record that these bytes begin.
pub(super) fn frame(bytes: [u8; FRAME_BYTES]) -> Option<(Kind, usize)> {
    let [kind, length @ ..] = bytes;
    Some((Kind::from_byte(kind)?, u32::from_le_bytes(length) as usize))
}

/// Seals and opens the records of one file in order.
pub(super) struct Chain {
    cipher: XChaCha20Poly1305,
    /// Index of the next record.
    index: u64,
    /// Tag of the record before it.
    last: [u8; TAG_BYTES],
}

/// Why a record was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealError {
    /// It has 4 GiB or more.
    TooLarge,
    /// The operating system has no randomness to give.
    Random,
}

impl Chain {
    /// Before the first record.
    pub(super) fn new(key: &MasterKey, header: &[u8; HEADER_BYTES]) -> Self {
        let key = key.file_key(header);
        let cipher = XChaCha20Poly1305::new(<&Key>::from(&*key));
        Self { cipher, index: 0, last: [0; TAG_BYTES] }
    }

    /// The chain of a file with a known header, if there is a key for it.
    pub(super) fn of(keys: &Keys, header: &Header) -> Option<Self> {
        keys.find(header.key).map(|key| Self::new(key, &header.encode()))
    }

    /// Goes on after `index` records of which the last has the tag `last`, unread: whether they are
    /// genuine shows when they are.
    pub(super) fn skip_to(&mut self, index: u64, last: [u8; TAG_BYTES]) {
        (self.index, self.last) = (index, last);
    }

    /// Index of the next record and tag of the one before it.
    pub(super) fn position(&self) -> (u64, [u8; TAG_BYTES]) {
        (self.index, self.last)
    }

    fn associated(&self, kind: Kind, length: u32) -> [u8; 29] {
        let mut data = [0; 29];
        data[0] = kind as u8;
        data[1..5].copy_from_slice(&length.to_le_bytes());
        data[5..13].copy_from_slice(&self.index.to_le_bytes());
        data[13..].copy_from_slice(&self.last);
        data
    }

    /// The bytes of the next record. It only counts after [`Self::advance`].
    pub(super) fn seal(&self, kind: Kind, content: &[u8]) -> Result<Vec<u8>, SealError> {
        let length = u32::try_from(content.len()).map_err(|_| SealError::TooLarge)?;
        let mut nonce = [0; NONCE_BYTES];
        SysRng.try_fill_bytes(&mut nonce).map_err(|_| SealError::Random)?;
        let mut out = vec![0; OVERHEAD + content.len()];
        out[0] = kind as u8;
        out[1..5].copy_from_slice(&length.to_le_bytes());
        out[FRAME_BYTES..][..NONCE_BYTES].copy_from_slice(&nonce);
        let (body, tag) = out[FRAME_BYTES + NONCE_BYTES..].split_at_mut(content.len());
        let buffers = InOutBuf::new(content, body).map_err(|_| SealError::TooLarge)?;
        let sealed = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &self.associated(kind, length), buffers)
            .map_err(|_| SealError::TooLarge)?;
        tag.copy_from_slice(&sealed);
        Ok(out)
    }

    /// The record with these bytes stands in the file.
    pub(super) fn advance(&mut self, sealed: &[u8]) {
        self.last.copy_from_slice(&sealed[sealed.len() - TAG_BYTES..]);
        self.index += 1;
    }

    /// Opens the next record, whose bytes after kind and length these are. `None` if it is not what
    /// was sealed.
    pub(super) fn open(
        &mut self,
        kind: Kind,
        mut sealed: Zeroizing<Vec<u8>>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let length = sealed.len().checked_sub(NONCE_BYTES + TAG_BYTES)?;
        let associated = self.associated(kind, u32::try_from(length).ok()?);
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (body, tag) = rest.split_at_mut(length);
        let tag: [u8; TAG_BYTES] = (&*tag).try_into().ok()?;
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated,
                InOutBuf::from(body),
                &Tag::from(tag),
            )
            .ok()?;
        sealed.drain(..NONCE_BYTES);
        sealed.truncate(length);
        self.last = tag;
        self.index += 1;
        Some(sealed)
    }
}
