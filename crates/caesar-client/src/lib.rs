//! The public SDK of CAESAR: submit training jobs to a `caesar-node`, watch them, fetch results.
//!
//! A job trains one logistic regression over columns that two institutions hold about the same
//! customers: **A** holds features, **B** the label. A client talks to one node, normally B's, over
//! TLS 1.3 with both sides authenticated: the node lists the client's certificate in its
//! configuration, and the client pins the node's certificate by its SHA-256. There is no
//! unauthenticated access and no switch that turns verification off.
//!
//! ```no_run
//! use caesar_client::{Client, ClientConfig, JobSpec};
//!
//! # async fn run() -> Result<(), caesar_client::Error> {
//! let config = ClientConfig::from_file("client.toml")?;
//! let client = Client::connect(config).await?;
//! let spec = JobSpec::from_toml(
//!     r#"
//!     name = "credit default, joint model"
//!     [data]
//!     train_a = "credit-train"
//!     test_a = "credit-test"
//!     train_b = "credit-train"
//!     test_b = "credit-test"
//!     "#,
//! )?;
//! let job = client.submit(&spec).await?;
//! let mut updates = client.watch(&job.id).await?;
//! while let Some(job) = updates.next().await? {
//!     println!("{}: {}", job.state, job.progress.step);
//! }
//! let report = client.result(&job.id).await?;
//! println!("KS {:.4} alone, {:.4} together", report.ks_bank_only, report.ks_joint);
//! # Ok(())
//! # }
//! ```
//!
//! Every call has a deadline ([`ClientConfig::with_call_deadline`]) and every error a stable code
//! ([`Error::code`]), the side that must act ([`Error::side`]) and what to do ([`Error::hint`]).
//! The crate builds no cryptography but TLS, so it is cheap to embed; `default-features = false`
//! leaves out the command line.

mod client;
mod config;
mod convert;
mod error;
mod evaluation;
mod job_spec;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "cli")]
pub mod terminal;
mod tls;
mod types;

pub use client::{Client, Watch};
pub use config::{ClientConfig, ServerPin};
pub use error::{ConfigError, ConnectionFault, Error, Refusal, Told};
pub use evaluation::{
    CurvePoint, Estimate, Evaluation, ModelEvaluation, OperatingPoint, ScoreBin, Stability,
    StabilityBin,
};
pub use job_spec::{
    ByColumn, ByHash, ClassWeight, DataSets, HashShare, JobSpec, ModulusBits, Schedule, Split,
    Training,
};
pub use types::{
    Decile, Failure, Job, JobId, JobState, PartyProfile, Progress, Report, Side, StepProfile,
    TrainingPoint,
};
