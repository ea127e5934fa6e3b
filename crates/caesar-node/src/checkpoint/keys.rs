//! The key that checkpoints are encrypted with.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{TryRng as _, rngs::SysRng};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// The key that the node makes when none is configured.
const DEFAULT_FILE: &str = "checkpoint.key";

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file: 32 bytes, or 64 hexadecimal digits.
    File(PathBuf),
    /// An environment variable with 64 hexadecimal digits.
    Env(String),
}

impl KeySource {
    /// Whether there is a key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn check(&self) -> Result<(), KeyError> {
        read(self).map(drop)
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => write!(f, "{}", path.display()),
            KeySource::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// Why a key cannot be used. Never carries key bytes.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file could not be read or made.
    #[error("checkpoint key {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Every user of the machine can read the key.
    #[error(
        "checkpoint key {} is readable by everybody; run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The variable is not set, or is not text.
    #[error("checkpoint key: the environment variable {0} is not set")]
    Unset(String),
    /// Something that is not a key.
    #[error("checkpoint key: {0} does not hold 32 bytes or 64 hexadecimal digits")]
    Malformed(KeySource),
    /// The operating system has no randomness to give.
    #[error("checkpoint key: no random numbers")]
    Random,
}

/// Names a key without telling anything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyId(pub(super) [u8; 8]);

/// A master key; the key of each file is derived from it.
pub(super) struct MasterKey {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?}, redacted)", self.id)
    }
}

impl MasterKey {
    pub(super) fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut id = KeyId([0; 8]);
        let hash = derive("caesar/v1 checkpoint key id", &[&*bytes]);
        id.0.copy_from_slice(&hash[..8]);
        Self { id, bytes }
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    /// The key of the file with this header, which holds a salt.
    pub(super) fn file_key(&self, header: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        derive("caesar/v1 checkpoint file key", &[&*self.bytes, header])
    }
}

fn derive(purpose: &'static str, inputs: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    for input in inputs {
        hasher.update(input);
    }
    let mut hash = hasher.finalize();
    hasher.zeroize();
    let out = Zeroizing::new(*hash.as_bytes());
    hash.zeroize();
    out
}

/// The key that is written with, and former ones that are still read with. Clones share them.
#[derive(Clone, Debug)]
pub struct Keys {
    current: Arc<MasterKey>,
    previous: Arc<[MasterKey]>,
}

impl Keys {
    /// Reads the configured keys. Without `current` the key is in the data folder, and made if it is
    /// not there yet.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load(
        current: Option<&KeySource>,
        previous: &[KeySource],
        data_dir: &Path,
    ) -> Result<Self, KeyError> {
        let current = match current {
            Some(source) => read(source)?,
            None => read_or_make(&data_dir.join(DEFAULT_FILE))?,
        };
        let previous = previous.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(current, previous))
    }

    pub(super) fn new(current: MasterKey, previous: Vec<MasterKey>) -> Self {
        Self { current: Arc::new(current), previous: previous.into() }
    }

    /// The file of the key when none is configured.
    pub fn default_file(data_dir: &Path) -> PathBuf {
        data_dir.join(DEFAULT_FILE)
    }

    pub(super) fn current(&self) -> &MasterKey {
        &self.current
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&MasterKey> {
        [&*self.current].into_iter().chain(self.previous.iter()).find(|key| key.id == id)
    }
}

fn read(source: &KeySource) -> Result<MasterKey, KeyError> {
    let text = match source {
        KeySource::File(path) => {
            let error = |source| KeyError::File { path: path.clone(), source };
            refuse_exposed(path, error)?;
            Zeroizing::new(fs::read(path).map_err(error)?)
        }
        KeySource::Env(name) => {
            let value = std::env::var(name).map_err(|_| KeyError::Unset(name.clone()))?;
            Zeroizing::new(value.into_bytes())
        }
    };
    parse(&text).map(MasterKey::new).ok_or_else(|| KeyError::Malformed(source.clone()))
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if text.len() == KEY_BYTES {
        key.copy_from_slice(text);
    } else {
        hex::decode_to_slice(text.trim_ascii(), &mut *key).ok()?;
    }
    Some(key)
}

fn read_or_make(path: &Path) -> Result<MasterKey, KeyError> {
    let error = |source| KeyError::File { path: path.to_owned(), source };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            SysRng.try_fill_bytes(&mut *key).map_err(|_| KeyError::Random)?;
            let text = Zeroizing::new(hex::encode(*key) + "\n");
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(error)?;
            tracing::warn!(
                "the key of checkpoints was made in {}, beside what it protects; \
                 set checkpoints.key_file to a place of its own",
                path.display()
            );
            Ok(MasterKey::new(key))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            read(&KeySource::File(path.to_owned()))
        }
        Err(e) => Err(error(e)),
    }
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, error: impl Fn(io::Error) -> KeyError) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(error)?.permissions().mode();
    if mode & 0o007 == 0 { Ok(()) } else { Err(KeyError::Exposed { path: path.to_owned() }) }
}

#[cfg(not(unix))]
fn refuse_exposed(path: &Path, error: impl Fn(io::Error) -> KeyError) -> Result<(), KeyError> {
    fs::metadata(path).map(drop).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::load(None, &[], folder.path()).unwrap();
        let again = Keys::load(None, &[], folder.path()).unwrap();
        assert_eq!(first.current().id(), again.current().id());
        let path = Keys::default_file(folder.path());
        let source = KeySource::File(path.clone());
        assert_eq!(read(&source).unwrap().id(), first.current().id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
            assert!(matches!(read(&source), Err(KeyError::Exposed { .. })));
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(!format!("{first:?}").contains(&text[..16]), "the key is in its Debug");
    }

    #[test]
    fn bytes_and_digits_are_the_same_key_and_nothing_else_is_one() {
        let bytes: Vec<u8> = (100..132).collect();
        let digits = format!(" {}\n", hex::encode_upper(&bytes));
        assert_eq!(parse(&bytes).unwrap()[..], bytes);
        assert_eq!(parse(digits.as_bytes()).unwrap()[..], bytes);
        for bad in [&bytes[..31], &digits.as_bytes()[2..], b"", &[b'x'; 64]] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }
}
