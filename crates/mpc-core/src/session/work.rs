//! How much of a job is done: a fixed cost model in arbitrary units, for estimates shown to people.

use super::{
    link::{Notice, Observer, Phase, Progress},
    training::CHUNK_ROWS,
};
use crate::{cost::Attempt, plan::Plan, step::Step};

/// Relative cost of one unit of each phase, from measurements with the portable kernel at 3072 bits.
mod cost {
    pub(super) const PSI_ID: f64 = 0.25;
    pub(super) const SETUP: f64 = 6000.0;
    pub(super) const TRAIN_ROW: f64 = 2.6;
    pub(super) const TEST_ROW: f64 = 0.9;
}

/// Reports progress with the fraction of the whole job's work that is done.
pub(crate) struct Work<'a> {
    observer: &'a mut dyn Observer,
    done: f64,
    psi: f64,
    train: f64,
    evaluate: f64,
    iterations: u32,
    /// Mini-batches that were done, and chunks of test rows that were open, when the attempt began.
    before: (u32, u32),
}

impl<'a> Work<'a> {
    /// Before the intersection only the own rows are known.
    pub(crate) fn new(observer: &'a mut dyn Observer, train_rows: usize, test_rows: usize) -> Self {
        Self {
            observer,
            done: 0.0,
            psi: 2.0 * cost::PSI_ID * (train_rows + test_rows) as f64,
            train: cost::TRAIN_ROW * train_rows as f64,
            evaluate: cost::TEST_ROW * test_rows as f64,
            iterations: 0,
            before: (0, 0),
        }
    }

    /// What this attempt has done itself of a job that is done after `steps` mini-batches.
    pub(crate) fn attempt(&self, plan: &Plan, steps: u32) -> Attempt {
        let (before, chunks) = self.before;
        Attempt {
            mini_batches: steps.saturating_sub(before),
            test_rows: plan.rows[1].saturating_sub(chunks as usize * CHUNK_ROWS),
        }
    }

    /// Whether the time for training is over.
    pub(crate) fn time_is_up(&mut self) -> bool {
        self.observer.time_is_up()
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if let Notice::Resumed { step, opened, .. } = notice {
            self.before = (step, opened);
        }
        self.observer.notice(notice);
    }

    /// Replaces the guesses by the agreed numbers.
    pub(crate) fn planned(&mut self, plan: &Plan) {
        self.iterations = plan.steps();
        self.train = cost::TRAIN_ROW * f64::from(plan.steps()) * f64::from(plan.hyper.batch_size);
        self.evaluate = cost::TEST_ROW * plan.rows[1] as f64;
    }

    fn total(&self) -> f64 {
        self.psi + cost::SETUP + self.train + self.evaluate
    }

    fn report(&mut self, phase: Phase, step: Step, iteration: u32, rows: (u64, u64), part: f64) {
        let work_done = ((self.done + part) / self.total()).clamp(0.0, 1.0);
        self.observer.progress(Progress {
            phase,
            step,
            iteration,
            iterations: self.iterations,
            rows_done: rows.0,
            rows_total: rows.1,
            work_done,
        });
    }

    pub(crate) fn psi(&mut self, step: Step, done: usize, total: usize) {
        let part = cost::PSI_ID * done as f64;
        self.report(Phase::Psi, step, 0, (done as u64, total as u64), part);
    }

    pub(crate) fn setup(&mut self, step: Step) {
        self.done = self.psi;
        // Nearly all of the set-up is the search for the primes of the keys.
        let part = if step == Step::BaseOt { 0.9 * cost::SETUP } else { 0.0 };
        self.report(Phase::Setup, step, 0, (0, 0), part);
    }

    pub(crate) fn train(&mut self, step: Step, iteration: u32, batch: usize) {
        self.done = self.psi + cost::SETUP;
        let fraction = f64::from(iteration) / f64::from(self.iterations.max(1));
        let rows = |k: u32| u64::from(k) * batch as u64;
        let part = self.train * fraction;
        self.report(Phase::Train, step, iteration, (rows(iteration), rows(self.iterations)), part);
    }

    pub(crate) fn evaluate(&mut self, step: Step, done: usize, total: usize) {
        self.done = self.psi + cost::SETUP + self.train;
        let part = self.evaluate * done as f64 / total.max(1) as f64;
        self.report(Phase::Evaluate, step, self.iterations, (done as u64, total as u64), part);
    }

    pub(crate) fn finish(&mut self) {
        self.done = self.total();
        self.report(Phase::Finish, Step::Finish, self.iterations, (0, 0), 0.0);
    }
}
