//! The `caesar` command: jobs of one node from a terminal.

mod args;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use caesar_client::{
    Client, ClientConfig, ConfigError, Error, Job, JobId, JobSpec, JobState, Refusal, Report,
    report,
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
        Command::Submit { job, wait, request_id, priority, one_vs_rest } => {
            let mut spec = JobSpec::from_file(job)?;
            if let Some(priority) = priority {
                spec.priority = priority;
                spec.validate()?;
            }
            let specs = one_vs_rest.iter().map(|class| spec.for_class(class));
            let specs = specs.collect::<Result<Vec<_>, _>>()?;
            let client = connect(args.config).await?;
            if !specs.is_empty() {
                for spec in &specs {
                    print(client.submit(spec).await?.id.as_str());
                }
                return Ok(Exit::Done);
            }
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
        Command::Result { job, json, full, profile } => {
            let Some((_, report)) = result(&client, &job).await? else {
                return Ok(Exit::JobFailed);
            };
            if json {
                print(&to_json(&report));
                return Ok(Exit::Done);
            }
            print(&terminal::report_table(&report));
            if full {
                print(&terminal::evaluation_tables(&report));
            }
            if profile {
                print(&terminal::profile_table(&report));
            }
            Ok(Exit::Done)
        }
        Command::Report { job, output } => {
            let Some((job, report)) = result(&client, &job).await? else {
                return Ok(Exit::JobFailed);
            };
            let page = report::render(&report::Document::new(&job, &report));
            if output.as_os_str() == "-" {
                print(&page);
                return Ok(Exit::Done);
            }
            std::fs::write(&output, page)
                .map_err(|source| ConfigError::Unwritable { file: output, source })?;
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

/// The job and its result. A failed job has none, and its reason says more than that: it is shown.
async fn result(client: &Client, id: &JobId) -> Result<Option<(Job, Report)>, Error> {
    let job = client.get(id).await?;
    if matches!(job.state, JobState::Failed | JobState::Cancelled) {
        ended(&job);
        return Ok(None);
    }
    let report = client.result(id).await?;
    Ok(Some((job, report)))
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

fn to_json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report has only text keys and numbers")
}

/// To standard output. A reader that has gone away, such as `head`, is no error.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
