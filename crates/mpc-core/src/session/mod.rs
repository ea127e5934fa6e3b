//! A whole run: alignment, training, evaluation, from two tables to a report.
//!
//! [`run_a`] and [`run_b`] own their thread and block on a [`Link`]; they are the only callers of
//! the states in [`crate::psi`], [`crate::ot`] and [`crate::train`]. What each side learns:
//!
//! | | A, the platform | B, the bank |
//! |---|---|---|
//! | ids | the common ones, the sizes of both sets | the same |
//! | columns | B's bounds and number of columns, rounded | A's |
//! | training | nothing | nothing |
//! | validation, if agreed | after which epoch training ends | scores of the rows that were set aside, after each epoch, noised by ±2^−10 |
//! | evaluation | nothing | scores of the common test rows, noised by ±2^−10 |

mod align;
mod channel;
mod checkpoint;
mod correlate;
mod course;
pub mod error;
mod evaluation;
mod label_options;
pub mod link;
pub mod memory;
pub mod memory_vault;
pub mod parameters;
mod report;
mod resume;
mod row_sets;
mod seed;
mod setup;
#[cfg(test)]
mod tests;
mod training;
pub mod vault;
mod work;

use rand::CryptoRng;

pub use align::MAX_ROWS;
pub use course::{StopReason, ValidationPoint};
pub use error::{Role, SessionError, Split};
pub use evaluation::NOISE;
pub use label_options::LabelOptions;
pub use link::{Link, LinkError, NoObserver, Notice, Observer, Phase, Progress, Reason};
pub use memory_vault::MemoryVault;
pub use parameters::{MIN_BATCH, MIN_TEST_ROWS, ParameterError, Parameters, Schedule};
pub use report::{Report, SummaryA};
pub use training::CHUNK_ROWS;
pub use vault::{RecordFile, Vault, VaultError};

use crate::{matrix::Table, step::Step};
use channel::Channel;
use checkpoint::{Model, Store};
use correlate::{FeatureRole, LabelRole};
use course::{Course, Judge};
use report::{Labels, Scored, bank_only};
use setup::Ready;
use training::Training;
use work::Work;

/// What identifies a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job's id, chosen by B's node.
    pub job: [u8; 16],
    /// Counts attempts at the job: every call for the same job has a higher one, at both sides the
    /// same.
    pub attempt: u32,
    /// SHA-256 of A's TLS certificate.
    pub certificate_a: [u8; 32],
    /// SHA-256 of B's TLS certificate.
    pub certificate_b: [u8; 32],
    /// What both sides agreed to.
    pub parameters: Parameters,
    /// What B alone was asked; of no use at A.
    pub options: LabelOptions,
}

/// The platform's side of a run. What `vault` holds of the job from earlier attempts is gone on with;
/// it must be this job's own, and be used by one call at a time.
///
/// # Errors
/// See [`SessionError`]; the caller tells the peer, so that both sides end. The vault then holds
/// everything from which the next attempt can go on.
pub fn run_a(
    run: &Run,
    train: &Table,
    test: &Table,
    link: &mut dyn Link,
    vault: &mut dyn Vault,
    observer: &mut dyn Observer,
    rng: &mut impl CryptoRng,
) -> Result<SummaryA, SessionError> {
    let mut channel = Channel::new(link, Role::FeatureHolder);
    let store = Store::new(vault, Role::FeatureHolder);
    let mut work = Work::new(observer, train.ids.len(), test.ids.len());
    let tables = [train, test];
    let begun = resume::begin(&mut channel, run, tables, store, &mut work)?;
    let aligned = begun.align(&mut channel, run, tables, &mut work, rng)?;
    let (ready, mut model) = begun.ready(&mut channel, run, &aligned, tables, &mut work, rng)?;
    let mut course = begin_course(&ready, &mut model)?;
    if !course.is_done(&ready.plan, model.step()) {
        work.setup(Step::BaseOt);
        let role = FeatureRole::start(&mut channel, &aligned.binding, rng)?;
        let with = Training { rows_seed: &aligned.rows_seed, role, judge: None };
        training::train(&mut channel, &ready, with, &mut model, &mut course, &mut work, rng)?;
    }
    course.score_test_rows(&mut channel, &ready, &mut model, &mut work, rng)?;
    finish(&mut channel, &mut work)?;
    Ok(SummaryA::new(&aligned, &ready, &channel, model.step()))
}

/// Where the openings of earlier attempts have left the job.
fn begin_course(ready: &Ready, model: &mut Model<'_>) -> Result<Course, SessionError> {
    let records = model.store.openings()?.records;
    Course::read(&ready.plan, model.store.role(), records)
        .map_err(|_| model.store.corrupt(RecordFile::Openings))
}

/// The bank's side of a run. What `vault` holds of the job from earlier attempts is gone on with; it
/// must be this job's own, and be used by one call at a time.
///
/// # Errors
/// See [`SessionError`]; the caller tells the peer, so that both sides end. The vault then holds
/// everything from which the next attempt can go on.
pub fn run_b(
    run: &Run,
    train: &Table,
    test: &Table,
    link: &mut dyn Link,
    vault: &mut dyn Vault,
    observer: &mut dyn Observer,
    rng: &mut impl CryptoRng,
) -> Result<Report, SessionError> {
    let mut channel = Channel::new(link, Role::LabelHolder);
    let store = Store::new(vault, Role::LabelHolder);
    let tables = [train, test];
    let mut work = Work::new(observer, train.ids.len(), test.ids.len());
    let begun = resume::begin(&mut channel, run, tables, store, &mut work)?;
    let aligned = begun.align(&mut channel, run, tables, &mut work, rng)?;
    channel.computing(Step::Bounds);
    let labels = Labels::of(tables, &aligned.sets)?;
    let targets = run.options.targets(train, &aligned.sets.train, &labels.train)?;
    let judge = Judge { labels: labels.validation, patience: run.options.patience };
    let alone = bank_only(tables, &aligned)?;
    let (ready, mut model) = begun.ready(&mut channel, run, &aligned, tables, &mut work, rng)?;
    let mut course = begin_course(&ready, &mut model)?;
    if !course.is_done(&ready.plan, model.step()) {
        work.setup(Step::BaseOt);
        let role = LabelRole::start(&mut channel, &aligned.binding, &targets, rng)?;
        let with = Training { rows_seed: &aligned.rows_seed, role, judge: Some(&judge) };
        training::train(&mut channel, &ready, with, &mut model, &mut course, &mut work, rng)?;
    }
    let scores = course.score_test_rows(&mut channel, &ready, &mut model, &mut work, rng)?;
    finish(&mut channel, &mut work)?;
    let steps = model.step();
    let attempt = work.attempt(&ready.plan, steps);
    channel.computing(Step::Evaluate);
    let scored = Scored { joint: &scores, bank_only: &alone, labels: &labels.test, steps };
    let report = Report::new(tables, &aligned, &ready, &channel, scored, rng)?;
    Ok(report.with_course(&course).with_costs(&ready, attempt))
}

/// Both sides saw the same messages in both directions, or the run does not count.
fn finish(channel: &mut Channel<'_>, work: &mut Work<'_>) -> Result<(), SessionError> {
    let step = Step::Finish;
    work.finish();
    let own = channel.transcripts().concat();
    channel.send(step, own.clone())?;
    if channel.receive_exact(step, own.len())? != own {
        return Err(SessionError::Disagreement { what: "transcript", step });
    }
    Ok(())
}
