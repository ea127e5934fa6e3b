//! This node's certificate and private key, from PEM files.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _};
use thiserror::Error;

use super::Fingerprint;

/// Why a certificate or a key cannot be used. Never carries key bytes.
#[derive(Debug, Error)]
pub enum MaterialError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not PEM, or holds nothing of the expected kind.
    #[error("{} has no {what} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// A pin must be one certificate.
    #[error("{} holds {found} certificates, expected exactly one", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// Every user of the machine can read the key.
    #[error(
        "{} is readable by everybody (mode {mode:03o}); run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The certificate and the key do not belong together, or are of an unsupported kind.
    #[error("certificate {} and its key cannot be used: {source}", path.display())]
    Mismatch {
        /// The certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Material {
    chain: Vec<CertificateDer<'static>>,
    // Shared, so that cloning a configuration does not multiply the key in memory.
    key: Arc<PrivateKeyDer<'static>>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({}, key redacted)", self.fingerprint)
    }
}

impl Material {
    /// Loads both and checks that they belong together.
    ///
    /// # Errors
    /// Unreadable or malformed files, a key that every user of the machine can read, a key of
    /// another certificate.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, MaterialError> {
        let chain = certificates(certificate)?;
        let fingerprint = Fingerprint::of(&chain[0]);
        refuse_exposed(key)?;
        let key_der =
            PrivateKeyDer::from_pem_file(key).map_err(|e| pem_error(key, e, "private key"))?;
        let material = Self { chain, key: Arc::new(key_der), fingerprint };
        super::server_config(&material, Vec::new())
            .map_err(|source| MaterialError::Mismatch { path: certificate.to_owned(), source })?;
        Ok(material)
    }

    /// SHA-256 of the certificate, which the other side pins.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// All certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let error = |e| pem_error(path, e, "certificate");
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(error)?
        .collect::<Result<_, _>>()
        .map_err(error)?;
    if found.is_empty() { Err(error(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn pem_error(path: &Path, error: pem::Error, what: &'static str) -> MaterialError {
    match error {
        pem::Error::Io(source) => MaterialError::Read { path: path.to_owned(), source },
        _ => MaterialError::Pem { path: path.to_owned(), what },
    }
}

/// A secret that everybody on the machine can read is not one. Group access is left to the
/// operator, because orchestrators mount secrets with a group.
#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), MaterialError> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = fs::metadata(path)
        .map_err(|source| MaterialError::Read { path: path.to_owned(), source })?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        Ok(())
    } else {
        Err(MaterialError::Exposed { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(path: &Path) -> Result<(), MaterialError> {
    fs::metadata(path)
        .map(drop)
        .map_err(|source| MaterialError::Read { path: path.to_owned(), source })
}
