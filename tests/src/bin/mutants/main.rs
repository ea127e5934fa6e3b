//! `cargo mutants`: checks that the tests see the faults they are there for.
//!
//! Every `tests/mutants/NAME.patch` introduces one fault. Above the diff it has the lines
//!
//!     Fault: what the patch breaks, in one line
//!     Test: cargo test -p PACKAGE --lib path::of::the::test
//!     Expect: test-failure            (the default) or compile-error
//!
//! A copy of the tree must pass the test as it is, and fail it, in the expected way, once patched.

mod patch;
mod run;

use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Duration};

use caesar_e2e::workspace_root;
use clap::Parser;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};

use patch::{Expectation, Patch};
use run::{Outcome, Tree};

/// Check that every patch under tests/mutants is caught by the test it names.
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Args {
    /// Only patches whose name contains one of these
    names: Vec<String>,
    /// Only show what would be run
    #[arg(long)]
    list: bool,
    /// Longest time for one test command, its compilation included
    #[arg(long, default_value = "1800", value_name = "SECONDS")]
    limit: u64,
}

/// What is wrong with the machinery or a patch file, as opposed to a surviving mutant.
type Problem = String;

fn main() -> ExitCode {
    match check(&Args::parse_from(caesar_e2e::arguments())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn check(args: &Args) -> Result<bool, Problem> {
    let root = workspace_root();
    let mut patches = Patch::read_all(&root.join("tests/mutants"))?;
    if !args.names.is_empty() {
        patches.retain(|p| args.names.iter().any(|name| p.name.contains(name)));
    }
    if patches.is_empty() {
        return Err("no patch to check".to_owned());
    }
    if args.list {
        return Ok(show(patches.iter().map(|p| (p, String::new()))));
    }
    let tree = Tree::copy(&root, Duration::from_secs(args.limit))?;
    let sound = sound_tests(&tree, &patches)?;
    let mut results = Vec::new();
    for patch in &patches {
        let verdict = match sound[&patch.test] {
            Outcome::Passed { .. } => judge(&tree, patch)?,
            outcome => Err(format!("the test does not pass without the patch: {outcome}")),
        };
        let (Ok(text) | Err(text)) = &verdict;
        eprintln!("{}: {text}", patch.name);
        results.push((patch, verdict));
    }
    let caught = results.iter().filter(|(_, verdict)| verdict.is_ok()).count();
    show(results.iter().map(|(patch, verdict)| match verdict {
        Ok(text) => (*patch, text.clone()),
        Err(text) => (*patch, format!("NOT CAUGHT: {text}")),
    }));
    eprintln!("{caught} of {} mutants caught", results.len());
    Ok(caught == results.len())
}

/// Runs each test command once on the tree as it is.
fn sound_tests(tree: &Tree, patches: &[Patch]) -> Result<BTreeMap<String, Outcome>, Problem> {
    let mut outcomes = BTreeMap::new();
    for patch in patches {
        if !outcomes.contains_key(&patch.test) {
            eprintln!("without patch: {}", patch.test);
            outcomes.insert(patch.test.clone(), tree.test(&patch.test)?);
        }
    }
    Ok(outcomes)
}

/// How the fault was caught, or why it was not.
fn judge(tree: &Tree, patch: &Patch) -> Result<Result<String, String>, Problem> {
    eprintln!("with {}: {}", patch.name, patch.test);
    tree.apply(patch)?;
    let outcome = tree.test(&patch.test);
    tree.revert(patch)?;
    Ok(match (outcome?, patch.expect) {
        (Outcome::Failed, Expectation::TestFailure)
        | (Outcome::DoesNotCompile, Expectation::CompileError) => Ok("caught".to_owned()),
        (other, _) => Err(other.to_string()),
    })
}

/// Prints one line a patch; always true.
#[allow(clippy::print_stdout)] // The table is what the program is for.
fn show<'a>(rows: impl Iterator<Item = (&'a Patch, String)>) -> bool {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["mutant", "fault", "test", "outcome"]);
    for (patch, outcome) in rows {
        let test = Path::new(&patch.test).display().to_string();
        table.add_row([patch.name.clone(), patch.fault.clone(), test, outcome]);
    }
    println!("{table}");
    true
}
