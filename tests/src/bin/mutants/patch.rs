//! A patch file and its header.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Problem;

/// How the test must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// The test runs and fails.
    TestFailure,
    /// The fault cannot even be written: it does not compile.
    CompileError,
}

/// One fault.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) fault: String,
    pub(crate) test: String,
    pub(crate) expect: Expectation,
}

impl Patch {
    /// Every `*.patch` of a folder, by name.
    pub(crate) fn read_all(folder: &Path) -> Result<Vec<Self>, Problem> {
        let unreadable = |e| format!("{}: {e}", folder.display());
        let mut patches = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|e| e == "patch") {
                let text = fs::read_to_string(&file);
                let text = text.map_err(|e| format!("{}: {e}", file.display()))?;
                let patch = Self::parse(&file, &text);
                patches.push(patch.map_err(|e| format!("{}: {e}", file.display()))?);
            }
        }
        patches.sort_by(|x, y| x.name.cmp(&y.name));
        Ok(patches)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, Problem> {
        let header =
            || text.lines().take_while(|l| !l.starts_with("--- ") && !l.starts_with("diff "));
        let field = |key: &str| {
            let mut found = header().filter_map(|l| l.strip_prefix(key)).map(str::trim);
            match (found.next(), found.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value.to_owned()),
                (Some(_), Some(_)) => Err(format!("has more than one `{key}` line")),
                _ => Err(format!("has no `{key}` line above the diff")),
            }
        };
        let test = field("Test:")?;
        if !test.starts_with("cargo test ") {
            return Err("`Test:` is not a `cargo test` command".to_owned());
        }
        let expect = match field("Expect:").as_deref() {
            Err(_) | Ok("test-failure") => Expectation::TestFailure,
            Ok("compile-error") => Expectation::CompileError,
            Ok(other) => return Err(format!("`Expect: {other}` is unknown")),
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, file: file.to_owned(), fault: field("Fault:")?, test, expect })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Expectation, Patch};

    const GOOD: &str = "Fault: no mask\nTest: cargo test -p x --lib mask\n\n--- a/f\n+++ b/f\n";

    #[test]
    fn a_header_is_read() {
        let patch = Patch::parse(Path::new("d/no-mask.patch"), GOOD).unwrap();
        assert_eq!((patch.name.as_str(), patch.fault.as_str()), ("no-mask", "no mask"));
        assert_eq!(patch.test, "cargo test -p x --lib mask");
        assert_eq!(patch.expect, Expectation::TestFailure);
        let compile = format!("Expect: compile-error\n{GOOD}");
        let patch = Patch::parse(Path::new("p.patch"), &compile).unwrap();
        assert_eq!(patch.expect, Expectation::CompileError);
    }

    #[test]
    fn headers_that_would_check_nothing_are_refused() {
        for bad in [
            GOOD.replace("Fault: no mask\n", ""),
            GOOD.replace("Test:", "Tset:"),
            GOOD.replace("cargo test", "true"),
            GOOD.replace("Fault:", "Fault: a\nFault:"),
            format!("Expect: luck\n{GOOD}"),
            format!("--- a/f\n{GOOD}"),
        ] {
            assert!(Patch::parse(Path::new("p.patch"), &bad).is_err(), "{bad}");
        }
    }
}
