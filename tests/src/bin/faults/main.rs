//! `cargo faults`: jobs that are killed, cut and corrupted at seeded moments, and how they end.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use caesar_e2e::{
    Profile, build_node,
    faults::{Arena, Outcome, Plan, Summary, Verdict, table},
};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Runs jobs between two nodes, does seeded harm to each, and checks that each ends right by
/// itself. Ends with 0 only if all do.
#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    /// Jobs to run.
    #[arg(long, default_value_t = 100)]
    runs: u64,
    /// Seed of the first run; run k has seed SEED + k. `--runs 1` with a run's seed repeats it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write counts and outcomes to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the plans and run nothing.
    #[arg(long)]
    list: bool,
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(caesar_e2e::arguments());
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error.into()),
        };
    match runtime.block_on(run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn fail(error: &AnyError) -> ExitCode {
    eprintln!("faults: {error}");
    ExitCode::FAILURE
}

/// Progress is for people, so nothing depends on whether it can be printed.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn run(arguments: &Arguments) -> Result<bool, AnyError> {
    let plans: Vec<Plan> =
        (0..arguments.runs).map(|k| Plan::draw(arguments.seed.wrapping_add(k))).collect();
    if arguments.list {
        for plan in &plans {
            print(&format!("seed {}: {plan}\n", plan.seed));
        }
        return Ok(true);
    }
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut outcomes = Vec::new();
    let ended = tokio::select! {
        ended = all(&plans, &mut outcomes) => ended,
        // Dropping the nodes kills them.
        _ = terminate.recv() => Err("stopped by a signal".into()),
        _ = interrupt.recv() => Err("stopped by a signal".into()),
    };
    print(&format!("\nruns that ended right, of those with the fault:\n{}\n", table(&outcomes)));
    let summary = Summary::of(arguments.seed, outcomes);
    print(&format!(
        "{} runs from seed {}: {} ended right, {} ended wrong, {} hung, {} needed a hand; \
         {} faults, {} came after the end\n",
        summary.runs,
        summary.seed,
        summary.ended_right,
        summary.ended_wrong,
        summary.hung,
        summary.needed_hand,
        summary.faults,
        summary.missed,
    ));
    if let Some(path) = &arguments.json {
        write_json(path, &summary)?;
    }
    ended?;
    Ok(summary.all_right())
}

fn write_json(path: &Path, summary: &Summary) -> Result<(), AnyError> {
    let text = serde_json::to_string_pretty(summary)? + "\n";
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()).into())
}

async fn all(plans: &[Plan], outcomes: &mut Vec<Outcome>) -> Result<(), AnyError> {
    let binary = tokio::task::block_in_place(|| build_node(Profile::own()))?;
    let mut arena = Arena::start(binary).await?;
    let reference = arena.reference();
    print(&format!(
        "undisturbed: {:.1} s, KS {:.4}, AUC {:.4}, largest |z| {:.4}\n",
        reference.took.as_secs_f64(),
        reference.report.ks_joint,
        reference.report.auc_joint,
        reference.report.max_abs_z,
    ));
    for (number, plan) in plans.iter().enumerate() {
        print(&format!("[{}/{}] seed {}: {plan} ... ", number + 1, plans.len(), plan.seed));
        let outcome = arena.run(plan).await?;
        let words = match outcome.verdict {
            Verdict::EndedRight => "ended right",
            Verdict::EndedWrong => "ENDED WRONG",
            Verdict::Hung => "HUNG",
            Verdict::NeededHand => "NEEDED A HAND",
        };
        let detail = Some(&outcome.detail).filter(|d| !d.is_empty());
        let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
        print(&format!("{words} ({:.1} s){detail}\n", outcome.seconds));
        outcomes.push(outcome);
    }
    arena.stop()?;
    Ok(())
}
