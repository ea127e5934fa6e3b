//! `keygen`: a self-signed certificate and key for mutual TLS.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Fingerprint;

/// Why no certificate was made.
#[derive(Debug, Error)]
pub enum KeygenError {
    /// The name is used as a file name.
    #[error("--name must be 1 to 64 of: letters, digits, `-`, `_`, `.`; it names the files")]
    Name,
    /// A file could not be written; existing ones are never replaced.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A host name cannot be put into a certificate.
    #[error("cannot make the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// What [`keygen`] wrote.
#[derive(Debug)]
pub struct Generated {
    /// The certificate, to be handed to the other side.
    pub certificate: PathBuf,
    /// The private key, mode 0600, which never leaves this machine.
    pub key: PathBuf,
    /// SHA-256 of the certificate, to be compared over another channel.
    pub fingerprint: Fingerprint,
}

/// Writes `NAME.cert.pem` and `NAME.key.pem` into `out`. Refuses to overwrite.
///
/// The certificate does not expire by itself: it is trusted because it is pinned, and is revoked by
/// removing the pin.
///
/// # Errors
/// An unusable name or host, or a file that exists or cannot be written.
pub fn keygen(out: &Path, name: &str, hosts: &[String]) -> Result<Generated, KeygenError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(KeygenError::Name);
    }
    let hosts = if hosts.is_empty() { vec!["localhost".to_owned()] } else { hosts.to_vec() };
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // One certificate serves a node both as server and as client.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;

    fs::create_dir_all(out)
        .map_err(|source| KeygenError::Write { path: out.to_owned(), source })?;
    let key_path = out.join(format!("{name}.key.pem"));
    let certificate_path = out.join(format!("{name}.cert.pem"));
    write_new(&key_path, Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
    write_new(&certificate_path, certificate.pem().as_bytes(), 0o644)?;
    Ok(Generated {
        fingerprint: Fingerprint::of(certificate.der()),
        certificate: certificate_path,
        key: key_path,
    })
}

/// Creates a file that must not exist, with its mode from the first byte on.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeygenError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| KeygenError::Write { path: path.to_owned(), source })
}
