//! The `caesar` command: jobs of one node from a terminal.

mod args;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use caesar_client::{
    Client, ClientConfig, Error, Job, JobId, JobSpec, JobState, Refusal,
    terminal::{self, ProgressView},
};
use clap::Parser as _;

use args::{Args, Command};

/// How the command ends; `clap` itself exits with 2 on a wrong command line.
#[derive(Clone, Copy)]
enum Exit {
    Done = 0,
    JobFailed = 1,
    Usage = 2,
    Connection = 3,
    /// By convention 128 + SIGINT.
    Interrupted = 130,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let exit = run(args).await.unwrap_or_else(|error| {
        complain(&terminal::describe_error(&error));
        exit_of(&error)
    });
    ExitCode::from(exit as u8)
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Config(_) => Exit::Usage,
        Error::Refused { refusal: Refusal::NotReady, .. } => Exit::JobFailed,
        Error::Refused { refusal: Refusal::Internal | Refusal::Busy, .. } => Exit::Connection,
        Error::Refused { refusal: Refusal::PermissionDenied, .. } => Exit::Connection,
        Error::Refused { .. } => Exit::Usage,
        _ => Exit::Connection,
    }
}

async fn run(args: Args) -> Result<Exit, Error> {
    // Read the job before connecting: its mistakes need no node.
    let command = match args.command {
        Command::Submit { job, wait, request_id } => {
            let spec = JobSpec::from_file(job)?;
            let client = connect(args.config).await?;
            let job = match request_id {
                Some(id) => client.submit_as(&id, &spec).await?,
                None => client.submit(&spec).await?,
            };
            return submitted(&client, &job, wait).await;
        }
        other => other,
    };
    let client = connect(args.config).await?;
    match command {
        Command::Submit { .. } => unreachable!("returned above"),
        Command::Watch { job } => follow(&client, &job).await,
        Command::Status { job } => {
            let job = client.get(&job).await?;
            print(&terminal::status_table(&job));
            if let Some(failure) = &job.failure {
                print(&terminal::describe_failure(failure));
            }
            Ok(Exit::Done)
        }
        Command::Result { job, json } => {
            // A failed job has no result, and its reason says more than that.
            let state = client.get(&job).await?;
            if matches!(state.state, JobState::Failed | JobState::Cancelled) {
                return Ok(ended(&state));
            }
            let report = client.result(&job).await?;
            print(&if json { to_json(&report) } else { terminal::report_table(&report) });
            Ok(Exit::Done)
        }
        Command::Cancel { job } => {
            print(&format!("{}", client.cancel(&job).await?.state));
            Ok(Exit::Done)
        }
        Command::Jobs => {
            print(&terminal::jobs_table(&client.list().await?));
            Ok(Exit::Done)
        }
    }
}

async fn connect(config: std::path::PathBuf) -> Result<Client, Error> {
    Client::connect(ClientConfig::from_file(config)?).await
}

async fn submitted(client: &Client, job: &Job, wait: bool) -> Result<Exit, Error> {
    print(job.id.as_str());
    if !wait {
        return Ok(Exit::Done);
    }
    let exit = follow(client, &job.id).await?;
    if matches!(exit, Exit::Done) {
        print(&terminal::report_table(&client.result(&job.id).await?));
    }
    Ok(exit)
}

/// Shows progress to the end of the job. Ctrl-C ends the watching, not the job.
async fn follow(client: &Client, id: &JobId) -> Result<Exit, Error> {
    let mut view = ProgressView::new();
    let job = tokio::select! {
        job = client.follow(id, |job| view.update(job)) => job?,
        _ = tokio::signal::ctrl_c() => {
            drop(view);
            complain(&format!(
                "the job goes on at the node: `caesar watch {id}` shows it, `caesar cancel {id}` ends it"
            ));
            return Ok(Exit::Interrupted);
        }
    };
    drop(view);
    Ok(ended(&job))
}

fn ended(job: &Job) -> Exit {
    match (&job.failure, job.state) {
        (_, JobState::Succeeded) => Exit::Done,
        (Some(failure), _) => {
            complain(&terminal::describe_failure(failure));
            Exit::JobFailed
        }
        (None, state) => {
            complain(&format!("the job is {state}"));
            Exit::JobFailed
        }
    }
}

fn to_json(report: &caesar_client::Report) -> String {
    serde_json::to_string_pretty(report).expect("a report has only text keys and numbers")
}

/// To standard output. A reader that has gone away, such as `head`, is no error.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
