//! `cargo demo`: two nodes on this machine train on the data of a bank and a platform.

mod args;
mod files;

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use args::Args;
use caesar_client::{
    Error as ClientError, Failure, Job, JobSpec, JobState, Report,
    report::{self, Document},
    terminal::{self, ProgressView},
};
use caesar_e2e::{HarnessError, Pair, PairPlan, Party, Profile, build_node};
use clap::Parser as _;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why there is no report.
#[derive(Debug, Error)]
enum DemoError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Harness(#[from] HarnessError),
    #[error("{}", terminal::describe_error(.0))]
    Client(#[from] ClientError),
    #[error("{}", terminal::describe_failure(.0))]
    Job(Failure),
    #[error("the job was cancelled")]
    Cancelled,
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse_from(caesar_e2e::arguments())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: &Args) -> Result<(), DemoError> {
    let parties = args.parties()?;
    let [json, page] = args.output_files()?;
    let spec = args.job()?;
    let mut stop = StopSignals::new()?;
    let plan = PairPlan::new(build_node(Profile::own())?, parties.a.catalogue, parties.b.catalogue);

    eprintln!("data of A, the platform: {}", parties.a.description);
    eprintln!("data of B, the bank:     {}", parties.b.description);
    let pair = Pair::start(&plan)?;
    for party in [Party::A, Party::B] {
        eprintln!("{} listens on {}", party.name(), pair.node(party).address());
    }

    // Dropping the pair, on whatever way out, ends both processes.
    let outcome = tokio::select! {
        outcome = train(&pair, &spec) => outcome,
        () = stop.any() => Err(DemoError::Interrupted),
    };
    let (job, report) = outcome.inspect_err(|error| show_logs(&pair, error))?;
    pair.stop()?;

    show(&terminal::report_table(&report));
    let text = serde_json::to_string_pretty(&report).expect("text keys and numbers");
    write(json, &text)?;
    write(page, &report::render(&Document::new(&job, &report)))
}

fn write(output: Option<(&Path, File)>, text: &str) -> Result<(), DemoError> {
    let Some((path, mut file)) = output else { return Ok(()) };
    let written = writeln!(file, "{text}").map_err(|source| HarnessError::Io {
        action: format!("cannot write {}", path.display()),
        source,
    });
    Ok(written?)
}

async fn train(pair: &Pair, spec: &JobSpec) -> Result<(Job, Report), DemoError> {
    let client = pair.client(Party::B).await?;
    let job = client.submit(spec).await?;
    let mut view = ProgressView::new();
    let job = client.follow(&job.id, |job| view.update(job)).await?;
    drop(view);
    match (job.state, job.failure.clone()) {
        (JobState::Succeeded, _) => {
            let report = client.result(&job.id).await?;
            Ok((job, report))
        }
        (_, Some(failure)) => Err(DemoError::Job(failure)),
        (_, None) => Err(DemoError::Cancelled),
    }
}

/// The nodes' logs, where they can say more than the error: not for mistakes in the data or the
/// settings.
fn show_logs(pair: &Pair, error: &DemoError) {
    let told = match error {
        DemoError::Interrupted | DemoError::Cancelled | DemoError::Usage(_) => true,
        DemoError::Job(failure) => {
            !["bug.", "io.", "node.", "peer."].iter().any(|family| failure.code.starts_with(family))
        }
        DemoError::Harness(_) | DemoError::Client(_) => false,
    };
    if told {
        return;
    }
    for party in [Party::A, Party::B] {
        eprintln!("--- end of the log of {} ---", party.name());
        eprintln!("{}", pair.node(party).log_tail(20));
    }
    eprintln!("---");
}

/// To standard output. A reader that has gone away, such as `head`, is no error.
fn show(table: &str) {
    let _ = writeln!(io::stdout(), "{table}");
}

/// The signals that ask a program to stop.
struct StopSignals([Signal; 3]);

impl StopSignals {
    fn new() -> Result<Self, HarnessError> {
        let listen = |kind| {
            signal(kind).map_err(|source| HarnessError::Io {
                action: "cannot listen for signals".to_owned(),
                source,
            })
        };
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(listen);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
