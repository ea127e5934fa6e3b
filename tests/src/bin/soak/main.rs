//! Jobs back to back for a long time, and what the nodes hold meanwhile. `.ci/soak` runs it.

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use caesar_client::{Client, JobState};
use caesar_e2e::{
    Pair, PairPlan, Party, Profile, build_node,
    faults::{job, nodes},
    resources::{Resources, files_below, slope},
};
use clap::Parser;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use tokio::signal::unix::{SignalKind, signal};

/// Runs jobs back to back between two nodes and looks at both in a pause every two minutes. Ends with
/// 0 if every job succeeds, the nodes hold as many files and sockets at the end as after the warm-up,
/// and their memory does not grow.
#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    /// How long. Memory is judged from 30 minutes on; before that its slope is noise.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

type AnyError = Box<dyn std::error::Error>;

/// Growth of a node's memory that is still none.
const MOST_KIB_AN_HOUR: f64 = 1024.0;
/// The run must be as long for its slope to say something.
const JUDGED_FROM: Duration = Duration::from_secs(30 * 60);
/// Longest time for one job, which takes seconds.
const JOB_LIMIT: Duration = Duration::from_secs(300);
/// Jobs follow each other for this long.
const BACK_TO_BACK: Duration = Duration::from_secs(120);
/// Then the nodes are left alone: within this time they close and remove what a job needed, and the
/// allocator returns its pages, which takes it ten seconds. How many of them are resident right after a
/// job says how fast jobs are.
const PAUSE: Duration = Duration::from_secs(20);
const PARTIES: [Party; 2] = [Party::A, Party::B];

/// What a node holds when no job runs.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    resources: Resources,
    files: usize,
}

/// What is counted and must not change.
fn counts(sample: &Sample) -> (usize, usize, usize) {
    (sample.resources.open_files, sample.resources.sockets, sample.files)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(caesar_e2e::arguments());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.map_err(AnyError::from).and_then(|runtime| {
        runtime.block_on(async {
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::select! {
                outcome = run(Duration::from_secs(60 * arguments.minutes)) => outcome,
                // Dropping the nodes kills them.
                _ = terminate.recv() => Err("stopped by a signal".into()),
                _ = interrupt.recv() => Err("stopped by a signal".into()),
            }
        })
    });
    match outcome {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| eprintln!("soak: {complaint}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Progress is for people, so nothing depends on whether it can be printed.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn run(time: Duration) -> Result<Vec<String>, AnyError> {
    let folder = tempfile::tempdir()?;
    let pair = tokio::task::block_in_place(|| -> Result<Pair, AnyError> {
        let plan = nodes(build_node(Profile::own())?, folder.path())?;
        Ok(Pair::start(&PairPlan { proxied: false, ..plan })?)
    })?;
    let clients = [pair.client(Party::A).await?, pair.client(Party::B).await?];
    // Allocators and stores keep what they have needed once.
    let warm_up = (time / 4).min(Duration::from_secs(600));
    let start = Instant::now();
    let mut samples: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
    let mut jobs = 0;
    let mut last_pause = start;
    while start.elapsed() < time {
        one_job(&clients).await?;
        jobs += 1;
        if start.elapsed() < warm_up || last_pause.elapsed() < BACK_TO_BACK {
            continue;
        }
        tokio::time::sleep(PAUSE).await;
        last_pause = Instant::now();
        for party in PARTIES {
            samples[party as usize].push(look(&pair, party, start)?);
        }
        let [a, b] = PARTIES.map(|p| samples[p as usize].last().map(|s| s.resources));
        print(&format!("{:4} s, {jobs} jobs: A {a:?}, B {b:?}\n", start.elapsed().as_secs()));
    }
    let complaints = judge(&samples, time);
    print(&format!("{jobs} jobs in {} s\n", start.elapsed().as_secs()));
    pair.stop()?;
    Ok(complaints)
}

async fn one_job(clients: &[Client; 2]) -> Result<(), AnyError> {
    let [at_a, at_b] = clients;
    let id = at_b.submit(&job()).await?.id;
    for client in [at_b, at_a] {
        let ended = tokio::time::timeout(JOB_LIMIT, client.wait(&id)).await;
        let job = ended.map_err(|_| format!("a job did not end within {JOB_LIMIT:?}"))??;
        if job.state != JobState::Succeeded {
            return Err(format!("a job is {}: {:?}", job.state, job.failure).into());
        }
    }
    Ok(())
}

/// What a node holds now.
fn look(pair: &Pair, party: Party, start: Instant) -> Result<Sample, AnyError> {
    Ok(Sample {
        seconds: start.elapsed().as_secs_f64(),
        resources: Resources::of(pair.node(party).pid())?,
        files: files_below(&pair.folder().join(party.name()))?,
    })
}

/// Prints the figures and returns what is wrong with them.
fn judge(samples: &[Vec<Sample>; 2], time: Duration) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "node",
        "samples",
        "resident KiB, first",
        "last",
        "most",
        "slope KiB/h",
        "± error",
        "open files",
        "sockets",
        "files of its own",
    ]);
    for party in PARTIES {
        let samples = &samples[party as usize];
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            complaints.push("no pause came after the warm-up: give it more time".to_owned());
            continue;
        };
        let points: Vec<(f64, f64)> =
            samples.iter().map(|s| (s.seconds / 3600.0, s.resources.resident_kib as f64)).collect();
        let line = slope(&points);
        let most = samples.iter().map(|s| s.resources.resident_kib).max();
        let of = |before: usize, after: usize| match before == after {
            true => after.to_string(),
            false => format!("{before} to {after}"),
        };
        table.add_row([
            party.name().to_owned(),
            samples.len().to_string(),
            first.resources.resident_kib.to_string(),
            last.resources.resident_kib.to_string(),
            most.unwrap_or_default().to_string(),
            line.map_or("-".to_owned(), |(slope, _)| format!("{slope:.0}")),
            line.map_or("-".to_owned(), |(_, error)| format!("{error:.0}")),
            of(first.resources.open_files, last.resources.open_files),
            of(first.resources.sockets, last.resources.sockets),
            of(first.files, last.files),
        ]);
        if counts(first) != counts(last) {
            complaints.push(format!("{} holds more or fewer files than before", party.name()));
        }
        let grows = line.is_none_or(|(slope, _)| slope.is_nan() || slope >= MOST_KIB_AN_HOUR);
        if time >= JUDGED_FROM && grows {
            complaints.push(format!("the memory of {} grows", party.name()));
        }
    }
    print(&format!("{table}\n"));
    complaints
}
