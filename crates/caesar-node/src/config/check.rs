//! `check-config`: what `serve` would need, found out without serving.

use std::{fmt::Write as _, fs::File};

use super::{CheckpointKeys, Config, ConfigError, Format, Role, setting};
use crate::checkpoint::Keys;

/// Opens what the configuration points to and describes it. Reads no rows.
///
/// # Errors
/// The first file of the catalogue that cannot be opened, the first key that cannot be read.
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
    let CheckpointKeys { current, previous } = &config.checkpoint_keys;
    for source in current.iter().chain(previous) {
        source.check().map_err(|e| setting("checkpoints", e.to_string()))?;
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
    line(match current {
        Some(source) => format!("checkpoints   key in {source}"),
        None => format!(
            "checkpoints   key in {}, beside what it protects; better set checkpoints.key_file",
            Keys::default_file(&config.data_dir).display()
        ),
    });
    for source in previous {
        line(format!("checkpoints   former key in {source}"));
    }
    for (fingerprint, identity) in config.identities.iter().skip(1) {
        line(format!("certificate   {identity} sha256 {fingerprint}"));
    }
    for dataset in &config.datasets {
        let format = match dataset.format {
            Format::Csv => "CSV",
            Format::Parquet => "Parquet",
            Format::Libsvm => "libsvm",
        };
        // Only A's data is asked for by its peer.
        let open = match (config.role, dataset.allow_peers.as_slice()) {
            (Role::A, []) => ", open to no peer: jobs cannot use it".to_owned(),
            (Role::A, some) => format!(", open to {}", some.join(", ")),
            (Role::B, _) => String::new(),
        };
        let path = dataset.path.display();
        line(format!("data set      {} ({format}, {path}){open}", dataset.name));
    }
    Ok(out)
}
