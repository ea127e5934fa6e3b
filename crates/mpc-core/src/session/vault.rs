//! What a run needs to survive its process: files of records that only this party can read.
//!
//! The daemon implements [`Vault`] with encrypted files in a job's folder; tests use memory. This crate
//! decides what is in the records and when they are written; a vault only promises what its methods
//! say. No record holds a mask, a correlation or the state of a generator (design, rule 8).

use thiserror::Error;
use zeroize::Zeroizing;

/// A file of records of one job at one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordFile {
    /// What alignment and set-up agreed on, with this party's secret key.
    Setup,
    /// How this party's columns become rows of numbers, fitted on its training rows.
    Transform,
    /// The encrypted model after this many mini-batches.
    Snapshot(u32),
    /// The error ciphertexts of the mini-batches after the snapshot of the same number.
    Log(u32),
    /// What evaluation opened.
    Openings,
}

/// Why a vault did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The disk is full, read-only, or broken.
    #[error("a checkpoint cannot be {action}: {detail}")]
    Io {
        /// `written`, `read` or `removed`.
        action: &'static str,
        /// The system's words, with the path; no content.
        detail: String,
    },
    /// A file was changed, cut off where it must be whole, or belongs to another job or key.
    #[error("the checkpoint {file:?} is corrupt")]
    Corrupt {
        /// The file.
        file: RecordFile,
    },
}

/// Durable, confidential, authenticated files of records. All methods block.
pub trait Vault: Send {
    /// The files that exist, in the order of [`RecordFile`].
    ///
    /// # Errors
    /// [`VaultError::Io`].
    fn list(&mut self) -> Result<Vec<RecordFile>, VaultError>;

    /// Writes a whole file in place of one that exists. After a crash at any moment either the old
    /// file is there or the new one; the new one is durable when this returns.
    ///
    /// # Errors
    /// [`VaultError::Io`]; the old file is unchanged then.
    fn write(
        &mut self,
        file: RecordFile,
        records: &mut dyn Iterator<Item = Zeroizing<Vec<u8>>>,
    ) -> Result<(), VaultError>;

    /// Appends one record, creating the file if it is not there. After a crash of the process the
    /// record is there if this returned; after a power cut the last ones may be missing, in order,
    /// unless [`Self::sync`] has returned since.
    ///
    /// # Errors
    /// [`VaultError::Io`]; the file ends with the record before then.
    fn append(&mut self, file: RecordFile, record: &[u8]) -> Result<(), VaultError>;

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    fn sync(&mut self, file: RecordFile) -> Result<(), VaultError>;

    /// Hands out the records in order until `each` returns false or the file ends. A last record of an
    /// appended file that was cut off by a crash counts as absent.
    ///
    /// # Errors
    /// [`VaultError::Io`], also if the file does not exist; [`VaultError::Corrupt`], after the
    /// records before the corrupt one.
    fn read(
        &mut self,
        file: RecordFile,
        each: &mut dyn FnMut(Zeroizing<Vec<u8>>) -> bool,
    ) -> Result<(), VaultError>;

    /// Cuts an appended file off after its first `records` records, durably.
    ///
    /// # Errors
    /// [`VaultError::Io`]; [`VaultError::Corrupt`] if it has fewer.
    fn truncate(&mut self, file: RecordFile, records: u64) -> Result<(), VaultError>;

    /// Removes a file, durably: one that came back after a power cut could be of another set-up. One that
    /// is not there is no error.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    fn remove(&mut self, file: RecordFile) -> Result<(), VaultError>;
}
