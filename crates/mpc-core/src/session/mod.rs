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
//! | evaluation | nothing | scores of the common test rows, noised by ±2^−10 |

mod align;
mod channel;
pub mod error;
mod evaluation;
pub mod link;
pub mod memory;
pub mod parameters;
mod report;
mod seed;
mod setup;
#[cfg(test)]
mod tests;
mod training;
mod work;

use rand::CryptoRng;

pub use align::MAX_ROWS;
pub use error::{Role, SessionError, Split};
pub use evaluation::NOISE;
pub use link::{Link, LinkError, NoObserver, Observer, Phase, Progress, Reason};
pub use parameters::{MIN_BATCH, MIN_TEST_ROWS, ParameterError, Parameters};
pub use report::{Report, SummaryA};
pub use training::CHUNK_ROWS;

use crate::{matrix::Table, step::Step};
use channel::Channel;
use report::{bank_only, labels_of};
use training::{FeatureRole, LabelRole};
use work::Work;

/// What identifies a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job's id, chosen by B's node.
    pub job: [u8; 16],
    /// Counts restarts of the job, from 0.
    pub attempt: u32,
    /// SHA-256 of A's TLS certificate.
    pub certificate_a: [u8; 32],
    /// SHA-256 of B's TLS certificate.
    pub certificate_b: [u8; 32],
    /// What both sides agreed to.
    pub parameters: Parameters,
}

/// The platform's side of a run.
///
/// # Errors
/// See [`SessionError`]; the caller tells the peer, so that both sides end.
pub fn run_a(
    run: &Run,
    train: &Table,
    test: &Table,
    link: &mut dyn Link,
    observer: &mut dyn Observer,
    rng: &mut impl CryptoRng,
) -> Result<SummaryA, SessionError> {
    let mut channel = Channel::new(link, Role::FeatureHolder);
    let mut work = Work::new(observer, train.ids.len(), test.ids.len());
    let aligned = setup::align(&mut channel, run, train, test, &mut work, rng)?;
    let ready = setup::ready(&mut channel, run, &aligned, [train, test], &mut work, rng)?;
    work.setup(Step::BaseOt);
    let mut role = FeatureRole::start(&mut channel, &aligned.binding, rng)?;
    let weights =
        training::train(&mut channel, &ready, &aligned.rows_seed, &mut role, &mut work, rng)?;
    evaluation::score_test_rows(&mut channel, &ready, &weights, &mut work, rng)?;
    finish(&mut channel, &mut work)?;
    Ok(SummaryA::new(&aligned, &ready, &channel))
}

/// The bank's side of a run.
///
/// # Errors
/// See [`SessionError`]; the caller tells the peer, so that both sides end.
pub fn run_b(
    run: &Run,
    train: &Table,
    test: &Table,
    link: &mut dyn Link,
    observer: &mut dyn Observer,
    rng: &mut impl CryptoRng,
) -> Result<Report, SessionError> {
    let mut channel = Channel::new(link, Role::LabelHolder);
    let mut work = Work::new(observer, train.ids.len(), test.ids.len());
    let aligned = setup::align(&mut channel, run, train, test, &mut work, rng)?;
    let train_labels = labels_of(train, &aligned.train.rows, Split::Train)?;
    let test_labels = labels_of(test, &aligned.test.rows, Split::Test)?;
    let alone = bank_only(train, test, &aligned, &test_labels)?;
    let ready = setup::ready(&mut channel, run, &aligned, [train, test], &mut work, rng)?;
    work.setup(Step::BaseOt);
    let mut role = LabelRole::start(&mut channel, &aligned.binding, &train_labels, rng)?;
    let weights =
        training::train(&mut channel, &ready, &aligned.rows_seed, &mut role, &mut work, rng)?;
    let scores = evaluation::score_test_rows(&mut channel, &ready, &weights, &mut work, rng)?;
    finish(&mut channel, &mut work)?;
    Report::new([train, test], &aligned, &ready, &channel, alone, &scores, &test_labels)
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
