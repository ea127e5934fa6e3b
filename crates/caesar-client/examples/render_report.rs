//! Makes the page of `caesar report` of what `caesar result --json` has printed.
//!
//!     cargo run -p caesar-client --example render_report -- result.json job.toml report.html

use std::{env, error::Error, fs, process::ExitCode};

use caesar_client::{
    JobSpec, Report,
    report::{Document, render},
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let paths: Vec<String> = env::args().skip(1).collect();
    let [result, job, page] = paths.as_slice() else {
        eprintln!("usage: render_report RESULT.JSON JOB.TOML REPORT.HTML");
        return Ok(ExitCode::from(2));
    };
    let report: Report = serde_json::from_str(&fs::read_to_string(result)?)?;
    let document =
        Document { spec: &JobSpec::from_file(job)?, report: &report, submitted: None, ended: None };
    fs::write(page, render(&document))?;
    Ok(ExitCode::SUCCESS)
}
