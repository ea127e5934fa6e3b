//! Submits a job, follows it and prints what the two institutions gain together.
//!
//!     cargo run -p caesar-client --example submit_and_watch -- client.toml job.toml
#![allow(clippy::print_stdout)] // Its output is for people.

use std::{env, error::Error, process::ExitCode};

use caesar_client::{Client, ClientConfig, JobSpec, JobState};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [connection, job] = paths.as_slice() else {
        eprintln!("usage: submit_and_watch CLIENT.TOML JOB.TOML");
        return Ok(ExitCode::from(2));
    };
    let client = Client::connect(ClientConfig::from_file(connection)?).await?;
    let submitted = client.submit(&JobSpec::from_file(job)?).await?;
    println!("job {}", submitted.id);

    let mut updates = client.watch(&submitted.id).await?;
    let mut state = submitted.state;
    while let Some(job) = updates.next().await? {
        let progress = &job.progress;
        println!("{}: {} {}/{}", job.state, progress.step, progress.iteration, progress.iterations);
        if let Some(failure) = &job.failure {
            eprintln!("{failure}; {}", failure.hint);
        }
        state = job.state;
    }
    if state != JobState::Succeeded {
        return Ok(ExitCode::FAILURE);
    }

    let report = client.result(&submitted.id).await?;
    println!(
        "KS {:.4} alone, {:.4} together ({:+.4})",
        report.ks_bank_only,
        report.ks_joint,
        report.ks_lift()
    );
    Ok(ExitCode::SUCCESS)
}
