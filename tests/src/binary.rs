//! Finds the node's executable by letting cargo build it.

use std::{
    env,
    ffi::OsString,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{HarnessError, workspace_root};

/// A cargo profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `dev`.
    Dev,
    /// `release`.
    Release,
}

impl Profile {
    /// The profile this library was built with.
    pub const fn own() -> Self {
        if cfg!(debug_assertions) { Self::Dev } else { Self::Release }
    }
}

/// Variables that `cargo run` and `cargo test` set for the one package they run. A cargo inside
/// cargo must not see them: build scripts watch some, and everything above would build again.
fn is_of_one_package(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_TARGET_TMP"];
    name == "CARGO_CRATE_NAME"
        || name == "CARGO_PRIMARY_PACKAGE"
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Cargo, to be run in the workspace from a program that cargo itself runs.
pub fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace_root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_one_package) {
            command.env_remove(name);
        }
    }
    command
}

/// One line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Builds `caesar-node` and returns its executable. Says so on standard error, where cargo's own
/// messages go too. With `CAESAR_NODE_BINARY` set, takes that executable instead, to test what was
/// packaged.
///
/// # Errors
/// [`HarnessError::Build`] if it does not compile, [`HarnessError::Io`] if there is no cargo.
pub fn build_node(profile: Profile) -> Result<PathBuf, HarnessError> {
    const PACKAGE: &str = "caesar-node";
    if let Some(path) = env::var_os("CAESAR_NODE_BINARY") {
        return Ok(path.into());
    }
    eprintln!("building {PACKAGE} ({profile:?}) ...");
    let mut command = cargo();
    command.args(["build", "--locked", "--package", PACKAGE, "--bin", PACKAGE]);
    command.arg("--message-format=json-render-diagnostics");
    if profile == Profile::Release {
        command.arg("--release");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(HarnessError::io("cannot start cargo"))?;
    let stdout = child.stdout.take().expect("stdout was piped above");
    let mut executable = None;
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(HarnessError::io("cannot read cargo's messages"))?;
        // Lines of other kinds have other fields.
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        let is_node =
            message.target.is_some_and(|t| t.name == PACKAGE && t.kind.iter().any(|k| k == "bin"));
        if message.reason == "compiler-artifact" && is_node {
            executable = message.executable;
        }
    }
    let status = child.wait().map_err(HarnessError::io("cannot wait for cargo"))?;
    let failed = |detail: String| HarnessError::Build { package: PACKAGE, detail };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    executable.ok_or_else(|| failed("cargo named no executable".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::is_of_one_package;

    #[test]
    fn only_variables_of_the_running_package_are_hidden() {
        for hidden in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_BIN_EXE_demo"] {
            assert!(is_of_one_package(hidden), "{hidden}");
        }
        for kept in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!is_of_one_package(kept), "{kept}");
        }
    }
}
