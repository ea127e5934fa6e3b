//! The vault as the roles use it: errors carry the side.

use zeroize::Zeroizing;

use super::super::{
    error::{Role, SessionError},
    vault::{RecordFile, Vault, VaultError},
};
use crate::wire::DecodeError;

/// A [`Vault`] of one role.
pub(crate) struct Store<'v> {
    vault: &'v mut dyn Vault,
    role: Role,
}

/// Openings of the first chunks of test rows.
pub(crate) struct Openings {
    /// One a chunk, in order.
    pub(crate) records: Vec<Zeroizing<Vec<u8>>>,
    /// Whether no later one is corrupt.
    pub(crate) whole: bool,
}

impl<'v> Store<'v> {
    pub(crate) fn new(vault: &'v mut dyn Vault, role: Role) -> Self {
        Self { vault, role }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    fn failed(&self, cause: VaultError) -> SessionError {
        SessionError::Checkpoint { side: self.role, cause }
    }

    /// Nothing earlier is left to go back to.
    pub(crate) fn corrupt(&self, file: RecordFile) -> SessionError {
        self.failed(VaultError::Corrupt { file })
    }

    pub(crate) fn list(&mut self) -> Result<Vec<RecordFile>, SessionError> {
        self.vault.list().map_err(|e| self.failed(e))
    }

    pub(crate) fn write(
        &mut self,
        file: RecordFile,
        records: &mut dyn Iterator<Item = Zeroizing<Vec<u8>>>,
    ) -> Result<(), SessionError> {
        self.vault.write(file, records).map_err(|e| self.failed(e))
    }

    pub(crate) fn append(&mut self, file: RecordFile, record: &[u8]) -> Result<(), SessionError> {
        self.vault.append(file, record).map_err(|e| self.failed(e))
    }

    pub(crate) fn sync(&mut self, file: RecordFile) -> Result<(), SessionError> {
        self.vault.sync(file).map_err(|e| self.failed(e))
    }

    pub(crate) fn truncate(&mut self, file: RecordFile, records: u64) -> Result<(), SessionError> {
        self.vault.truncate(file, records).map_err(|e| self.failed(e))
    }

    pub(crate) fn remove(&mut self, file: RecordFile) -> Result<(), SessionError> {
        self.vault.remove(file).map_err(|e| self.failed(e))
    }

    /// Hands out records until one is malformed or the file ends. Whether all of it was good; a file
    /// that the vault finds corrupt is not.
    pub(crate) fn read(
        &mut self,
        file: RecordFile,
        mut each: impl FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<bool, SessionError> {
        let mut good = true;
        let end = self.vault.read(file, &mut |record| {
            good = each(&record).is_ok();
            good
        });
        match end {
            Ok(()) => Ok(good),
            Err(VaultError::Corrupt { .. }) => Ok(false),
            Err(e) => Err(self.failed(e)),
        }
    }

    /// Removes everything, the set-up first: without it the rest counts for nothing.
    pub(crate) fn clear(&mut self) -> Result<(), SessionError> {
        let mut files = self.list()?;
        files.sort_unstable();
        files.into_iter().try_for_each(|file| self.remove(file))
    }

    /// What evaluation has put on disk.
    pub(crate) fn openings(&mut self) -> Result<Openings, SessionError> {
        let mut records = Vec::new();
        if !self.list()?.contains(&RecordFile::Openings) {
            return Ok(Openings { records, whole: true });
        }
        let whole = self.read(RecordFile::Openings, |record| {
            records.push(Zeroizing::new(record.to_vec()));
            Ok(())
        })?;
        Ok(Openings { records, whole })
    }

    /// Adds the opening of the next chunk, durably.
    pub(crate) fn open(&mut self, record: &[u8]) -> Result<(), SessionError> {
        self.append(RecordFile::Openings, record)?;
        self.sync(RecordFile::Openings)
    }
}
