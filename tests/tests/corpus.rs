//! Replays the fuzzers' corpus through every decoder.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use caesar_e2e::workspace_root;
use caesar_fuzz::TARGETS;

/// Most inputs of a target, so that the corpus stays one that people can look through.
const MOST_INPUTS: usize = 50;
/// Longest input: records and messages of a mini-batch of a whole run.
const LONGEST_INPUT: usize = 128 * 1024;

fn corpus() -> PathBuf {
    workspace_root().join("fuzz").join("corpus")
}

#[test]
fn every_input_of_the_corpus_is_decoded_or_refused() {
    for (name, decode) in TARGETS {
        let folder = corpus().join(name);
        let inputs: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        // A valid input, and what the fuzzer has made of it.
        assert!((2..=MOST_INPUTS).contains(&inputs.len()), "{name} has {} inputs", inputs.len());
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            assert!(bytes.len() <= LONGEST_INPUT, "{} is too long", input.display());
            let outcome = catch_unwind(AssertUnwindSafe(|| decode(&bytes)));
            assert!(outcome.is_ok(), "{} is not handled", input.display());
        }
    }
}

#[test]
fn targets_corpus_and_fuzzers_have_the_same_names() {
    let stems = |folder: PathBuf| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        let stem = |e: fs::DirEntry| e.path().file_stem().unwrap().to_str().unwrap().to_owned();
        entries.map(|e| stem(e.unwrap())).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems(corpus()), targets);
    assert_eq!(stems(workspace_root().join("fuzz").join("fuzz_targets")), targets);
    let manifest = fs::read_to_string(workspace_root().join("fuzz").join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap();
    let bins = bins.iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(bins.collect::<BTreeSet<_>>(), targets);
}
