//! TLS connections that the client library would not make.

use std::{path::Path, sync::Arc};

use caesar_e2e::Party;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// How an HTTP/2 client begins, with empty settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn read_pem(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(format!("{name}.cert.pem"))).unwrap()
}

/// A TLS client that trusts the node and shows `identity`'s certificate, or none.
pub fn tls(
    folder: &Path,
    node: Party,
    identity: Option<&str>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(read_pem(folder, node.name())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key.pem"))).unwrap();
            builder.with_client_auth_cert(vec![read_pem(folder, name)], key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
