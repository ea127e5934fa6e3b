//! Checkpoints: what a job needs to go on after its process has ended, in files that only this node can
//! read.
//!
//! [`FileVault`] implements the contract of `mpc_core::session::vault`; which records there are, and
//! that none holds a mask, a correlation or the state of a generator, is that crate's business. `format`
//! has the bytes of a file and what an attacker with the disk can and cannot do; `keys` the key.

mod format;
mod keys;
#[cfg(test)]
mod tests;
mod vault;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

pub use keys::{KeyError, KeySource, Keys};
pub use vault::FileVault;

use crate::{
    config::Role,
    error::{Failure, code},
    job::JobId,
};

/// The checkpoints of all jobs of this node. Removing them is the node's business; a job's own vault
/// only works in the job's folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    keys: Keys,
    role: Role,
}

impl Checkpoints {
    /// Checkpoints below the data folder. Nothing is created before a job needs it.
    pub fn new(data_dir: &Path, keys: Keys, role: Role) -> Self {
        Self { folder: data_dir.join("checkpoints"), keys, role }
    }

    fn folder_of(&self, job: JobId) -> PathBuf {
        self.folder.join(job.to_string())
    }

    /// The job's vault. One at a time: the caller holds the job's claim.
    ///
    /// # Errors
    /// `checkpoint.key`, if a file of the job was written with a key that this node does not have.
    pub fn open(&self, job: JobId) -> Result<FileVault, Failure> {
        let vault = FileVault::new(self.folder_of(job), job, self.keys.clone());
        if vault.has_foreign_key() {
            let role = self.role;
            return Err(Failure::new(
                code::CHECKPOINT_KEY,
                role.side(),
                format!(
                    "{role}'s checkpoints of the job were written with a key that {role} does not have"
                ),
                "list the former key in checkpoints.previous_key_files or previous_key_envs",
            ));
        }
        Ok(vault)
    }

    /// Removes what a job has left.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(&self, job: JobId) -> io::Result<()> {
        match fs::remove_dir_all(self.folder_of(job)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes the folders of all jobs but these; tells how many there were.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep_only(&self, jobs: &HashSet<JobId>) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let name = entry?.file_name();
            // What does not have the name of a job is not ours.
            let Some(job) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if !jobs.contains(&job) {
                self.remove(job)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
