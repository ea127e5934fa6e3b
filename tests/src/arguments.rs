//! The arguments of a program that a cargo alias starts.

use std::{env, ffi::OsString};

/// Arguments of this process. An alias in `.cargo/config.toml` ends in `--`, so that
/// `cargo demo --json F` reaches the program; who writes `cargo demo -- --json F`, as with
/// `cargo run`, means the same, and the second `--` is dropped.
pub fn arguments() -> impl Iterator<Item = OsString> {
    without_separator(env::args_os())
}

fn without_separator(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments.enumerate().filter(|(at, argument)| *at != 1 || argument != "--").map(|(_, a)| a)
}

#[cfg(test)]
mod tests {
    use super::without_separator;

    fn kept(arguments: &[&str]) -> Vec<String> {
        let arguments = arguments.iter().map(Into::into);
        without_separator(arguments).map(|a| a.into_string().unwrap()).collect()
    }

    #[test]
    fn only_the_first_separator_goes() {
        assert_eq!(kept(&["demo", "--", "--json", "F"]), ["demo", "--json", "F"]);
        assert_eq!(kept(&["demo", "--json", "F"]), ["demo", "--json", "F"]);
        assert_eq!(kept(&["demo", "--", "--", "--"]), ["demo", "--", "--"]);
        assert_eq!(kept(&["--"]), ["--"]);
    }
}
