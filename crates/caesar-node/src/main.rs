//! The command line of the daemon.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use caesar_node::{
    config,
    config::Config,
    data,
    job::{self, ProtocolEngine},
    log,
    node::Node,
    tls,
};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One institution's node of CAESAR: joint sparse logistic regression without sharing data.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node until SIGTERM or SIGINT.
    Serve {
        /// The configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a certificate and a key for mutual TLS: NAME.cert.pem and NAME.key.pem.
    Keygen {
        /// The folder to write to; nothing in it is overwritten.
        #[arg(long)]
        out: PathBuf,
        /// Name of the node or client, used for the files and in the certificate.
        #[arg(long)]
        name: String,
        /// Host name or address to put into the certificate; may be repeated. Pins decide, so this
        /// is for tools that check names.
        #[arg(long)]
        san: Vec<String>,
    },
    /// Read data sets as a job would and print their columns: kinds, missing shares, ranges, levels.
    Schema {
        /// The configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// A data set of the catalogue; all of them if none is named.
        dataset: Option<String>,
    },
    /// Check a configuration and everything it points to, and print a summary.
    CheckConfig {
        /// The configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
}

/// Exit code for anything the operator can correct before the node runs.
const EXIT_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config } => serve(&config),
        Command::Keygen { out, name, san } => keygen(&out, &name, &san),
        Command::Schema { config, dataset } => schema(&config, dataset.as_deref()),
        Command::CheckConfig { config } => check(&config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Exit { code, message }) => {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(std::io::stderr(), "caesar-node: {message}");
            ExitCode::from(code)
        }
    }
}

struct Exit {
    code: u8,
    message: String,
}

fn exit(code: u8) -> impl Fn(&dyn std::fmt::Display) -> Exit {
    move |error| Exit { code, message: error.to_string() }
}

fn print(line: &str) -> Result<(), Exit> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| exit(1)(&e))
}

fn keygen(out: &Path, name: &str, hosts: &[String]) -> Result<(), Exit> {
    let made = tls::keygen(out, name, hosts).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    print(&format!("certificate {}", made.certificate.display()))?;
    print(&format!("key         {}", made.key.display()))?;
    print(&format!("sha256      {}", made.fingerprint))
}

fn check(path: &Path) -> Result<(), Exit> {
    let config = Config::load(path).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    let summary = config::summary(&config).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    print(summary.trim_end())
}

fn schema(path: &Path, only: Option<&str>) -> Result<(), Exit> {
    let config = Config::load(path).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    let named = |name: &str| only.is_none_or(|only| only == name);
    let mut datasets = config.datasets.iter().filter(|dataset| named(&dataset.name)).peekable();
    if datasets.peek().is_none() {
        let message = "the catalogue has no such data set".to_owned();
        return Err(Exit { code: EXIT_CONFIG, message });
    }
    for dataset in datasets {
        let gauge = data::Gauge::new(config.limits.data_memory_bytes());
        let table = data::load_one(&job::source(&config, dataset), &gauge).map_err(|e| Exit {
            code: EXIT_CONFIG,
            message: format!("{}: {}: {e}; {}", dataset.name, e.code(), e.hint()),
        })?;
        print(&format!("{}: {}", dataset.name, data::describe(&table)))?;
    }
    Ok(())
}

fn serve(path: &Path) -> Result<(), Exit> {
    let config = Config::load(path).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    log::start(&config.log).map_err(|e| exit(EXIT_CONFIG)(&e))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| exit(1)(&e))?;
    let outcome = runtime.block_on(run(config));
    // An engine in the middle of a computation cannot be interrupted; it ends with the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn run(config: Config) -> Result<(), Exit> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| exit(1)(&e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| exit(1)(&e))?;
    let mut node = Node::start(config, Arc::new(ProtocolEngine)).await.map_err(|e| exit(1)(&e))?;
    // Scripts and test harnesses read the port from this one line.
    print(&format!("listening on {}", node.address()))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = node.failed() => {
            return Err(Exit { code: 1, message: "the server ended; see the log".to_owned() });
        }
    }
    node.stop().await;
    Ok(())
}
