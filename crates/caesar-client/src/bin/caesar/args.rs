//! The command line's grammar.

use std::path::PathBuf;

use caesar_client::JobId;
use clap::{Parser, Subcommand};

/// Submit training jobs to a caesar-node, watch them, fetch results.
#[derive(Debug, Parser)]
#[command(name = "caesar", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Connection settings: endpoint, certificate, key, server_certificate
    #[arg(long, global = true, env = "CAESAR_CONFIG", default_value = "client.toml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a job and print its id
    Submit {
        /// The job: name, `[data]`, `[training]`, modulus_bits, priority
        job: PathBuf,
        /// Show progress, then the result
        #[arg(long)]
        wait: bool,
        /// Name of this submission; repeating it returns the same job
        #[arg(long, value_name = "ID")]
        request_id: Option<String>,
        /// Instead of the priority in the file: higher is taken from the queue first, -100 to 100
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        priority: Option<i32>,
        /// One job for each of these classes of B's label column, with that class as positive_class
        #[arg(
            long,
            value_name = "CLASS,...",
            value_delimiter = ',',
            conflicts_with_all = ["wait", "request_id"]
        )]
        one_vs_rest: Vec<String>,
    },
    /// Show a job's progress until it has ended
    Watch {
        /// As printed by `submit`
        job: JobId,
    },
    /// Show where a job stands
    Status {
        /// As printed by `submit`
        job: JobId,
    },
    /// Print the result of a job that has succeeded
    Result {
        /// As printed by `submit`
        job: JobId,
        /// As JSON with stable names
        #[arg(long)]
        json: bool,
        /// Add all tables of the evaluation; JSON has them always
        #[arg(long)]
        full: bool,
        /// Add where the time went, step by step at both parties; JSON has it always
        #[arg(long)]
        profile: bool,
    },
    /// Write the result of a job that has succeeded as an HTML page
    Report {
        /// As printed by `submit`
        job: JobId,
        /// The page; `-` is standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// End a job at both nodes
    Cancel {
        /// As printed by `submit`
        job: JobId,
    },
    /// List all jobs of the node
    Jobs,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the job failed, was cancelled, or has no result
  2  the command line, a file or the request is wrong
  3  the node could not be reached or did not answer properly";
