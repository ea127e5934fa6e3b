//! `check-config`: what `serve` would need, found out without serving.

use std::{fmt::Write as _, fs::File};

use super::{Config, ConfigError, setting};

/// Opens what the configuration points to and describes it. Reads no rows.
///
/// # Errors
/// The first file of the catalogue that cannot be opened.
pub fn summary(config: &Config) -> Result<String, ConfigError> {
    for dataset in &config.datasets {
        for (what, path) in [("path", Some(&dataset.path)), ("ids", dataset.ids.as_ref())] {
            let Some(path) = path else { continue };
            let problem = match File::open(path).and_then(|f| f.metadata()) {
                Ok(meta) if meta.is_file() => continue,
                Ok(_) => "is not a file".to_owned(),
                Err(e) => e.to_string(),
            };
            return Err(setting(
                format!("datasets.{}.{what}", dataset.name),
                format!("{}: {problem}", path.display()),
            ));
        }
    }
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(format!("role          {}", config.role));
    line(format!("listen        {}", config.listen));
    line(format!("data_dir      {}", config.data_dir.display()));
    line(format!("certificate   sha256 {}", config.material.fingerprint()));
    line(format!("peer          {} sha256 {}", config.peer.name, config.peer.fingerprint));
    line(match &config.peer.connect {
        Some(address) => {
            format!("channel       connects to {address}; the peer must have no peer.connect")
        }
        None => "channel       waits for the peer, which must have peer.connect".to_owned(),
    });
    for (fingerprint, identity) in config.identities.iter().skip(1) {
        line(format!("certificate   {identity} sha256 {fingerprint}"));
    }
    for dataset in &config.datasets {
        let peers = match dataset.allow_peers.as_slice() {
            [] => "no peer".to_owned(),
            some => some.join(", "),
        };
        line(format!(
            "data set      {} ({:?}, {}), open to {peers}",
            dataset.name,
            dataset.format,
            dataset.path.display()
        ));
    }
    Ok(out)
}
