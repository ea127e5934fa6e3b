//! `cargo bench-report`: measures this machine and writes JSON for programs and Markdown for readers.

mod machine;
mod measure;
mod micro;

use std::{fmt::Write as _, fs, path::PathBuf, process::ExitCode};

use caesar_e2e::workspace_root;
use clap::{Parser, ValueEnum};
use machine::Machine;
use micro::Micro;
use serde::Serialize;

/// Of keys' randomness, plaintexts and matrices.
const SEED: u64 = 20_240_607;

/// Measure and report. Nothing else should run on the machine.
#[derive(Debug, Parser)]
#[command(name = "bench-report")]
struct Args {
    /// Parts to run; all by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where to write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the table
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
}

/// The figures; names are read by other programs and stay.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    seed: u64,
    micro: Vec<Micro>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one_core = one_core.map_err(|e| format!("cannot start a thread: {e}"))?;
    let micro =
        if wanted(Part::Micro) { one_core.install(|| micro::measure(SEED)) } else { vec![] };
    let report = Report { machine: Machine::read(), seed: SEED, micro };
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report).expect("numbers and text");
        write(path, &text)?;
    }
    write(&workspace_root().join(&args.markdown), &markdown(&report))
}

fn write(path: &std::path::Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn markdown(report: &Report) -> String {
    let machine = &report.machine;
    let mut out = format!(
        "# Benchmarks\n\nWritten by `cargo bench-report`; medians, one core, seed {}.\n\n\
         {}, {} cores, {}, {}, commit {}.\n\n\
         ## Operations of homomorphic encryption\n\n\
         Operations a second, and how many products modulo N² of the same kernel one takes. \
         Conversions, encoding and decoding are included.\n\n\
         | operation | bits | kernel | a second | products |\n|---|---|---|---|---|\n",
        report.seed,
        machine.processor,
        machine.cores,
        machine.system,
        machine.compiler,
        machine.commit,
    );
    for figure in &report.micro {
        let product = report
            .micro
            .iter()
            .find(|m| m.op == "mul" && (m.bits, m.kernel) == (figure.bits, figure.kernel))
            .map_or(f64::NAN, |m| m.ops_per_second);
        let products = product / figure.ops_per_second;
        writeln!(
            out,
            "| {} | {} | {} | {:.0} | {products:.2} |",
            figure.op, figure.bits, figure.kernel, figure.ops_per_second
        )
        .expect("writing to a string cannot fail");
    }
    out
}
