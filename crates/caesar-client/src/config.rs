//! How a client is told where its node is and who both are.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::ConfigError;

/// SHA-256 of the DER encoding of the one certificate a node may show.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerPin([u8; 32]);

impl ServerPin {
    /// The pin of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ServerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ServerPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerPin({self})")
    }
}

/// Everything a [`Client`](crate::Client) needs: where the node is, the client's own certificate
/// and key, and the node's pinned certificate. `Debug` does not show the key.
pub struct ClientConfig {
    pub(crate) endpoint: String,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) pin: ServerPin,
    pub(crate) call_deadline: Duration,
}

/// The keys of `client.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    endpoint: String,
    certificate: PathBuf,
    key: PathBuf,
    server_certificate: PathBuf,
}

impl ClientConfig {
    /// From the texts themselves: `endpoint` is `HOST:PORT`, the others are PEM.
    ///
    /// # Errors
    /// [`ConfigError::Endpoint`] or [`ConfigError::Pem`].
    pub fn from_pem(
        endpoint: &str,
        certificate: &[u8],
        key: &[u8],
        server_certificate: &[u8],
    ) -> Result<Self, ConfigError> {
        Self::assemble(
            endpoint,
            ("the client certificate".to_owned(), certificate),
            ("the client key".to_owned(), key),
            ("the node's certificate".to_owned(), server_certificate),
        )
    }

    /// From a `client.toml` with `endpoint = "HOST:PORT"` and the paths `certificate`, `key` and
    /// `server_certificate` of PEM files, relative to the file's own folder.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], [`ConfigError::Toml`], and those of [`ClientConfig::from_pem`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let read = |file: &Path| {
            std::fs::read(file)
                .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })
        };
        let text = String::from_utf8(read(path)?).map_err(|e| ConfigError::Toml {
            file: Some(path.to_owned()),
            detail: e.utf8_error().to_string(),
        })?;
        let file: File = toml::from_str(&text).map_err(|e| ConfigError::Toml {
            file: Some(path.to_owned()),
            detail: e.to_string(),
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let named = |what: &str, file: &Path| {
            let file = folder.join(file);
            read(&file).map(|bytes| (format!("{what} in {}", file.display()), bytes))
        };
        let certificate = named("the client certificate", &file.certificate)?;
        let key = named("the client key", &file.key)?;
        let server = named("the node's certificate", &file.server_certificate)?;
        Self::assemble(
            &file.endpoint,
            (certificate.0, &certificate.1),
            (key.0, &key.1),
            (server.0, &server.1),
        )
    }

    /// The same with another deadline for each call that is not a stream. The default is 30 s. It
    /// also bounds connecting and the longest silence of a stream.
    #[must_use]
    pub fn with_call_deadline(mut self, limit: Duration) -> Self {
        self.call_deadline = limit;
        self
    }

    /// Where the node is, `HOST:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The certificate the node must show.
    pub fn pin(&self) -> ServerPin {
        self.pin
    }

    fn assemble(
        endpoint: &str,
        (certificate_name, certificate): (String, &[u8]),
        (key_name, key): (String, &[u8]),
        (server_name, server): (String, &[u8]),
    ) -> Result<Self, ConfigError> {
        let chain = certificates(certificate_name, certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|e| ConfigError::Pem { what: key_name, detail: e.to_string() })?;
        let pin = match certificates(server_name.clone(), server)?.as_slice() {
            [one] => ServerPin::of(one),
            several => {
                return Err(ConfigError::Pem {
                    what: server_name,
                    detail: format!("{} certificates where one is pinned", several.len()),
                });
            }
        };
        let endpoint = checked_endpoint(endpoint)?;
        Ok(Self { endpoint, chain, key, pin, call_deadline: Duration::from_secs(30) })
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("endpoint", &self.endpoint)
            .field("pin", &self.pin)
            .field("key", &"[redacted]")
            .finish_non_exhaustive()
    }
}

fn certificates(what: String, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ConfigError::Pem { what, detail: "it holds no certificate".to_owned() }),
        Err(e) => Err(ConfigError::Pem { what, detail: e.to_string() }),
    }
}

/// `HOST:PORT` with a port from 1 on; brackets around an IPv6 address.
fn checked_endpoint(text: &str) -> Result<String, ConfigError> {
    let invalid = || ConfigError::Endpoint { text: text.to_owned() };
    let authority: http::uri::Authority = text.parse().map_err(|_| invalid())?;
    let plain = authority.as_str().rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok_and(|p| p != 0)
    });
    if plain { Ok(text.to_owned()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::{ClientConfig, checked_endpoint};
    use crate::ConfigError;

    #[test]
    fn endpoints_are_host_and_port() {
        for good in ["127.0.0.1:7000", "localhost:1", "[::1]:65535"] {
            assert_eq!(checked_endpoint(good).unwrap(), good);
        }
        let bad =
            ["", "host", "host:", ":1", "host:0", "host:65536", "http://h:1", "u@h:1", "h:1/p"];
        for bad in bad {
            assert!(checked_endpoint(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn pem_errors_name_the_text_that_is_wrong_and_never_show_it() {
        let pair = rcgen::generate_simple_self_signed(vec!["node".to_owned()]).unwrap();
        let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
        let (c, k) = (certificate.as_bytes(), key.as_bytes());
        let two = certificate.repeat(2);
        for (certificate, key, server, what) in [
            (k, k, c, "client certificate"),
            (c, c, c, "client key"),
            (c, k, k, "node's certificate"),
            (c, k, two.as_bytes(), "2 certificates where one is pinned"),
            (&b"junk"[..], k, c, "client certificate"),
        ] {
            let error = ClientConfig::from_pem("h:1", certificate, key, server).unwrap_err();
            assert!(matches!(error, ConfigError::Pem { .. }));
            assert!(error.to_string().contains(what), "{error}");
        }
        let good = ClientConfig::from_pem("h:1", c, k, c).unwrap();
        let shown = format!("{good:?}");
        let secret: Vec<&str> = key.lines().filter(|l| !l.starts_with('-')).collect();
        assert!(secret.iter().all(|line| !shown.contains(line)), "{shown}");
    }

    #[test]
    fn paths_in_a_file_are_relative_to_it_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["node".to_owned()]).unwrap();
        std::fs::write(folder.path().join("c.pem"), pair.cert.pem()).unwrap();
        std::fs::write(folder.path().join("k.pem"), pair.signing_key.serialize_pem()).unwrap();
        let text = "endpoint = \"127.0.0.1:9\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
                    server_certificate = \"c.pem\"\n";
        let path = folder.path().join("client.toml");
        std::fs::write(&path, text).unwrap();
        assert_eq!(ClientConfig::from_file(&path).unwrap().endpoint(), "127.0.0.1:9");
        std::fs::write(&path, format!("{text}verify = false\n")).unwrap();
        let error = ClientConfig::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("verify") && error.contains("client.toml"), "{error}");
        std::fs::write(&path, text.replace("k.pem", "gone.pem")).unwrap();
        let error = ClientConfig::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("gone.pem"), "{error}");
    }
}
