//! Logging to standard error. No ids, values or keys are ever logged, and a panic shows its place
//! only: its message could hold anything.

use std::{io, panic};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging.
///
/// # Errors
/// The filter in `log.level` does not parse.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.level).map_err(|e| format!("log.level: {e}"))?;
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start, in tests, keeps the first one.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("panic at {place}");
    }));
    Ok(())
}
