//! A vault in memory: for tests of the protocol, and for runs that need not survive their process.
//!
//! Tests keep it when a run "crashes", copy it, and do to it what disks do.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

use super::vault::{RecordFile, Vault, VaultError};

/// Files of records in memory. `Debug` shows sizes only.
#[derive(Clone, Default)]
pub struct MemoryVault {
    files: BTreeMap<RecordFile, File>,
    /// Changes until the disk is full.
    room: Option<u64>,
    changes: u64,
}

#[derive(Clone, Default)]
struct File {
    records: Vec<Zeroizing<Vec<u8>>>,
    /// Records that a power cut leaves.
    synced: usize,
    /// First record that does not authenticate.
    corrupt: Option<usize>,
}

impl MemoryVault {
    /// The records of a file as they were written; none if it is not there.
    pub fn records(&self, file: RecordFile) -> &[Zeroizing<Vec<u8>>] {
        self.files.get(&file).map_or(&[], |f| &f.records)
    }

    /// The files that are there.
    pub fn files(&self) -> impl Iterator<Item = RecordFile> + '_ {
        self.files.keys().copied()
    }

    /// Writes, appends and truncations so far.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Lets a record and what follows it fail authentication.
    pub fn corrupt(&mut self, file: RecordFile, record: usize) {
        if let Some(file) = self.files.get_mut(&file) {
            file.corrupt = Some(record);
        }
    }

    /// Loses what was appended and not synced.
    pub fn cut_power(&mut self) {
        self.files.values_mut().for_each(|file| file.records.truncate(file.synced));
    }

    /// Lets every change after the next `room` ones fail; `None`: there is room again.
    pub fn limit(&mut self, room: Option<u64>) {
        self.room = room;
    }

    fn change(&mut self) -> Result<(), VaultError> {
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(1).ok_or(VaultError::Io {
                action: "written",
                detail: "no space is left in memory".to_owned(),
            })?;
        }
        self.changes += 1;
        Ok(())
    }

    fn file(&mut self, file: RecordFile) -> Result<&mut File, VaultError> {
        self.files
            .get_mut(&file)
            .ok_or(VaultError::Io { action: "read", detail: format!("{file:?} does not exist") })
    }
}

impl Vault for MemoryVault {
    fn list(&mut self) -> Result<Vec<RecordFile>, VaultError> {
        Ok(self.files().collect())
    }

    fn write(
        &mut self,
        file: RecordFile,
        records: &mut dyn Iterator<Item = Zeroizing<Vec<u8>>>,
    ) -> Result<(), VaultError> {
        self.change()?;
        let records: Vec<_> = records.collect();
        let synced = records.len();
        self.files.insert(file, File { records, synced, corrupt: None });
        Ok(())
    }

    fn append(&mut self, file: RecordFile, record: &[u8]) -> Result<(), VaultError> {
        self.change()?;
        self.files.entry(file).or_default().records.push(Zeroizing::new(record.to_vec()));
        Ok(())
    }

    fn sync(&mut self, file: RecordFile) -> Result<(), VaultError> {
        let file = self.file(file)?;
        file.synced = file.records.len();
        Ok(())
    }

    fn read(
        &mut self,
        file: RecordFile,
        each: &mut dyn FnMut(Zeroizing<Vec<u8>>) -> bool,
    ) -> Result<(), VaultError> {
        let found = self.file(file)?;
        for (i, record) in found.records.iter().enumerate() {
            if found.corrupt.is_some_and(|first| first <= i) {
                return Err(VaultError::Corrupt { file });
            }
            if !each(record.clone()) {
                break;
            }
        }
        Ok(())
    }

    fn truncate(&mut self, file: RecordFile, records: u64) -> Result<(), VaultError> {
        self.change()?;
        let found = self.file(file)?;
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        let good = found.corrupt.unwrap_or(found.records.len());
        if records > good {
            return Err(VaultError::Corrupt { file });
        }
        found.records.truncate(records);
        found.synced = records;
        found.corrupt = None;
        Ok(())
    }

    fn remove(&mut self, file: RecordFile) -> Result<(), VaultError> {
        self.files.remove(&file);
        Ok(())
    }
}

impl fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.files.iter().map(|(name, file)| (name, file.records.len())))
            .finish()
    }
}
