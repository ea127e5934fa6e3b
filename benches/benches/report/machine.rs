//! What the figures were measured on.

use std::{env, fs, process::Command, thread};

use serde::{Deserialize, Serialize};

/// Names of hardware and software; nothing that tells one machine from another of its kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) compiler: String,
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let unknown = || "unknown".to_owned();
        let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let clean = printed("git", &["status", "--porcelain"]).is_some_and(|text| text.is_empty());
        let commit = printed("git", &["rev-parse", "--short", "HEAD"])
            .map(|hash| if clean { hash } else { format!("{hash} with changes") });
        Self {
            processor: model.unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", env::consts::OS, env::consts::ARCH),
            compiler: printed("rustc", &["--version"]).unwrap_or_else(unknown),
            commit: commit.unwrap_or_else(unknown),
        }
    }
}

/// What a command printed, if it could be run.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
