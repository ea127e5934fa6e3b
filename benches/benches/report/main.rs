//! `cargo bench-report`: measures this machine and writes JSON for programs and Markdown for readers.

mod e2e;
mod link;
mod machine;
mod measure;
mod micro;
mod plain;
mod psi;
mod report;
mod secureml;
mod yardstick;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use caesar_e2e::workspace_root;
use clap::{Parser, ValueEnum};
use machine::Machine;
use report::Report;

/// The node's allocator, which starts large arrays at a cache line.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Of keys' randomness, plaintexts and matrices.
const SEED: u64 = 20_240_607;

/// Measure and report. Nothing else should run on the machine.
#[derive(Debug, Parser)]
#[command(name = "bench-report")]
struct Args {
    /// Parts to run; all by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only cases whose name has this in it; such a run leaves the documents as they are
    #[arg(long, value_name = "SUBSTRING")]
    case: Option<String>,
    /// Only links whose name has this in it; such a run leaves the documents as they are
    #[arg(long, value_name = "SUBSTRING")]
    link: Option<String>,
    /// Rows of the paper-scale case; such a run leaves the documents as they are
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Where to write the figures of this run as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the tables; the figures they are made of go beside them, as .json
    #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
    markdown: PathBuf,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Parts of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Operations of homomorphic encryption on one core
    Micro,
    /// Whole jobs between two nodes
    E2e,
    /// The same beside dense secret sharing, and beside plain arithmetic
    Secureml,
    /// Private set intersection of large sets between two nodes
    Psi,
}

fn main() -> ExitCode {
    match run(&Args::parse_from(caesar_e2e::arguments())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let report = measure(args)?;
    if let Some(path) = &args.json {
        write(path, &report.json())?;
    }
    // Some of a part's figures would be taken for all of them.
    if args.case.is_none() && args.link.is_none() && args.rows.is_none() {
        let markdown = workspace_root().join(&args.markdown);
        let figures = markdown.with_extension("json");
        let report = report.or_earlier(Report::read(&figures)?);
        write(&figures, &report.json())?;
        write(&markdown, &report.markdown())?;
    }
    Ok(())
}

/// The parts that are wanted.
fn measure(args: &Args) -> Result<Report, String> {
    let machine = Machine::read();
    let mut report = Report { machine: machine.clone(), seed: SEED, ..Report::default() };
    let mut wanted = |part, name: &str| {
        let wanted = args.only.is_empty() || args.only.contains(&part);
        if wanted {
            report.parts.insert(name.to_owned(), machine.clone());
        }
        wanted
    };
    let micro = wanted(Part::Micro, "micro");
    let e2e = wanted(Part::E2e, "e2e");
    let secureml = wanted(Part::Secureml, "secureml");
    let psi = wanted(Part::Psi, "psi");
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_core = one_core.map_err(|e| format!("cannot start a thread: {e}"))?;
    let case = args.case.as_deref().unwrap_or_default();
    let link = args.link.as_deref().unwrap_or_default();
    if micro {
        (report.micro, report.yardstick) =
            one_core.install(|| (micro::measure(SEED), yardstick::measure()));
    }
    if e2e {
        let measured = e2e::measure(SEED, case, link, args.rows).map_err(|e| e.to_string())?;
        (report.e2e, report.time_to_ks) = (measured.figures, measured.time_to_ks);
        report.e2e_notes = measured.notes;
    }
    if secureml {
        let cases = secureml::cases(case);
        report.secureml = secureml::measure(SEED, &cases, link).map_err(|e| e.to_string())?;
        let plain = one_core.install(|| plain::measure(SEED, &cases));
        report.plain = plain.map_err(|e| e.to_string())?;
    }
    if psi {
        report.psi = psi::measure(SEED).map_err(|e| e.to_string())?;
    }
    Ok(report)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
