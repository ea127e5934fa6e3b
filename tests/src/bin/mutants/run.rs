//! A copy of the tree in which tests run with and without a patch.

use std::{
    fmt,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use caesar_e2e::cargo;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Problem, patch::Patch};

/// How a test command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran this many tests and none failed.
    Passed { tests: u32 },
    /// It succeeded without running a test.
    NothingRan,
    /// A test failed.
    Failed,
    /// A crate did not compile.
    DoesNotCompile,
    /// It did not end in time.
    TimedOut,
    /// It failed in none of these ways.
    Unclear,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { tests } => write!(f, "{tests} test(s) passed"),
            Self::NothingRan => f.write_str("no test ran"),
            Self::Failed => f.write_str("a test failed"),
            Self::DoesNotCompile => f.write_str("it does not compile"),
            Self::TimedOut => f.write_str("it did not end in time"),
            Self::Unclear => f.write_str("it failed, but no test did"),
        }
    }
}

impl Outcome {
    /// From what `cargo test` printed, both streams together.
    fn of(success: bool, output: &str) -> Self {
        let results = output.lines().filter_map(|l| l.strip_prefix("test result: "));
        if success {
            let passed = results.filter_map(|l| l.strip_prefix("ok. ")?.split(' ').next());
            return match passed.filter_map(|n| n.parse::<u32>().ok()).sum() {
                0 => Self::NothingRan,
                tests => Self::Passed { tests },
            };
        }
        if results.into_iter().any(|l| l.starts_with("FAILED")) {
            Self::Failed
        } else if output.contains("error: could not compile") {
            Self::DoesNotCompile
        } else {
            Self::Unclear
        }
    }
}

/// The copy, with a target folder that all runs share.
pub(crate) struct Tree {
    folder: PathBuf,
    target: PathBuf,
    log: PathBuf,
    limit: Duration,
    /// Held while this value lives: two runs would patch the same tree.
    _lock: File,
}

impl Tree {
    /// Copies what git tracks, and new files that it does not ignore, to `target/mutants/tree`, unless
    /// another run is using it.
    pub(crate) fn copy(root: &Path, limit: Duration) -> Result<Self, Problem> {
        let base = root.join("target/mutants");
        fs::create_dir_all(&base).map_err(at(&base))?;
        let lock = File::create(base.join("lock")).map_err(at(&base))?;
        lock.try_lock().map_err(|e| format!("another run uses {}: {e}", base.display()))?;
        let tree = Self {
            folder: base.join("tree"),
            target: base.join("build"),
            log: base.join("last-run.log"),
            limit,
            _lock: lock,
        };
        if tree.folder.exists() {
            fs::remove_dir_all(&tree.folder).map_err(at(&tree.folder))?;
        }
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = git.current_dir(root).output().map_err(|e| format!("git: {e}"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
        }
        let names = String::from_utf8(listed.stdout).map_err(|e| format!("git ls-files: {e}"))?;
        for name in names.split_terminator('\0') {
            let (from, to) = (root.join(name), tree.folder.join(name));
            // A tracked file may have been deleted without a commit.
            if !from.is_file() {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(at(parent))?;
            }
            fs::copy(&from, &to).map_err(at(&from))?;
        }
        Ok(tree)
    }

    /// Applies a patch.
    pub(crate) fn apply(&self, patch: &Patch) -> Result<(), Problem> {
        self.git_apply(&["--whitespace=nowarn"], patch)
    }

    /// Takes it back.
    pub(crate) fn revert(&self, patch: &Patch) -> Result<(), Problem> {
        self.git_apply(&["--whitespace=nowarn", "--reverse"], patch)
    }

    fn git_apply(&self, options: &[&str], patch: &Patch) -> Result<(), Problem> {
        let output = Command::new("git")
            .arg("apply")
            .args(options)
            .arg(&patch.file)
            .current_dir(&self.folder)
            // The copy lies inside a repository; git must not take it for a part of that.
            .env("GIT_CEILING_DIRECTORIES", self.folder.parent().unwrap_or(&self.folder))
            .output()
            .map_err(|e| format!("git: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} does not apply; bring it up to date: {stderr}", patch.name))
    }

    /// Runs a `cargo test ...` command.
    pub(crate) fn test(&self, test: &str) -> Result<Outcome, Problem> {
        let log = File::create(&self.log).map_err(at(&self.log))?;
        let mut child = cargo()
            .args(test.split_whitespace().skip(1))
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(at(&self.log))?)
            .stderr(log)
            // A group of its own, so that a test that hangs is killed with cargo.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cargo: {e}"))?;
        let until = Instant::now() + self.limit;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| format!("cargo: {e}"))? {
                break status;
            }
            if Instant::now() >= until {
                let group = Pid::from_child(&child);
                kill_process_group(group, Signal::KILL).map_err(|e| format!("cargo: {e}"))?;
                child.wait().map_err(|e| format!("cargo: {e}"))?;
                return Ok(Outcome::TimedOut);
            }
            thread::sleep(Duration::from_millis(100));
        };
        let output = fs::read(&self.log).map_err(at(&self.log))?;
        Ok(Outcome::of(status.success(), &String::from_utf8_lossy(&output)))
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Problem + '_ {
    move |e| format!("{}: {e}", path.display())
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn outcomes_are_told_apart() {
        let ok = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 3 filtered out\n";
        let bad = "test result: FAILED. 0 passed; 1 failed\nerror: test failed\n";
        let broken = "error[E0308]: mismatched types\nerror: could not compile `x` (lib)\n";
        assert_eq!(Outcome::of(true, &format!("{none}{ok}")), Outcome::Passed { tests: 2 });
        // A name that matches no test must not count as a test that passed.
        assert_eq!(Outcome::of(true, none), Outcome::NothingRan);
        assert_eq!(Outcome::of(false, bad), Outcome::Failed);
        assert_eq!(Outcome::of(false, broken), Outcome::DoesNotCompile);
        assert_eq!(Outcome::of(false, "error: no such command"), Outcome::Unclear);
    }
}
