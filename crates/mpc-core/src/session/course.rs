//! What happens between epochs: scores of validation rows are opened to B, B decides whether training goes
//! on, and both sides remember the decision.
//!
//! The openings of a job follow each other in one order that both sides know: after each epoch the chunks
//! of validation rows and then a decision, if the job has those, and at the end the chunks of test rows. A
//! record each is on disk at both sides before anything depends on it, so an attempt that goes on neither
//! opens a row anew nor decides twice.

use std::collections::VecDeque;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    channel::Channel,
    checkpoint::Model,
    error::{Role, SessionError},
    evaluation::{Opening, open_scores},
    setup::Ready,
    training::CHUNK_ROWS,
    work::Work,
};
use crate::{
    metrics,
    plan::Plan,
    step::Step,
    wire::{DecodeError, Message, Reader, Writer},
};

/// B → A: whether training ends with this epoch. 1 byte, and A's record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) end: bool,
}

impl Message for Decision {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u8(u8::from(self.end));
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        let end = r.u8("decision")?;
        r.finish()?;
        match end {
            0 | 1 => Ok(Self { end: end == 1 }),
            _ => Err(DecodeError::OutOfRange { field: "decision" }),
        }
    }
}

/// Why training ended before all its epochs were done. Only B knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The KS of the validation rows had not risen for as many epochs as the job's patience.
    NoProgress,
    /// The time for training was over.
    TimeLimit,
}

impl StopReason {
    const ALL: [Self; 2] = [Self::NoProgress, Self::TimeLimit];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoProgress => "no-progress",
            Self::TimeLimit => "time-limit",
        }
    }
}

/// How the model did on the validation rows after an epoch. Only B knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationPoint {
    /// Epochs done.
    pub epoch: u32,
    /// KS of the validation rows.
    pub ks: f64,
    /// Area under their ROC curve.
    pub auc: f64,
}

/// B's record of a decision: why training ends, if it does, and the figures it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Judgement {
    stop: Option<StopReason>,
    point: Option<ValidationPoint>,
}

impl Message for Judgement {
    type Params<'a> = u32;

    fn encode(&self, out: &mut Writer) {
        out.u8(self.stop.map_or(0, |reason| reason as u8 + 1));
        out.u8(u8::from(self.point.is_some()));
        let (ks, auc) = self.point.map_or((0.0, 0.0), |point| (point.ks, point.auc));
        out.u64(ks.to_bits());
        out.u64(auc.to_bits());
    }

    fn decode(body: &[u8], epoch: u32) -> Result<Self, DecodeError> {
        let range = |field| DecodeError::OutOfRange { field };
        let mut r = Reader::new(body);
        let stop = match r.u8("decision")? {
            0 => None,
            n => Some(*StopReason::ALL.get(usize::from(n) - 1).ok_or(range("decision"))?),
        };
        let has_point = r.u8("validation")?;
        let [ks, auc] = [f64::from_bits(r.u64("KS")?), f64::from_bits(r.u64("AUC")?)];
        r.finish()?;
        let point = match has_point {
            0 => None,
            1 => Some(ValidationPoint { epoch, ks, auc }),
            _ => return Err(range("validation")),
        };
        Ok(Self { stop, point })
    }
}

/// What B decides by.
pub(crate) struct Judge {
    /// Labels of the validation rows.
    pub(crate) labels: Vec<bool>,
    /// Epochs without progress after which training ends.
    pub(crate) patience: Option<u32>,
}

/// Where a job is among its epochs and openings.
pub(crate) struct Course {
    /// Records of earlier attempts that have not been gone through again.
    stored: VecDeque<Zeroizing<Vec<u8>>>,
    /// Records gone through.
    records: u32,
    /// Epochs decided on.
    epochs: u32,
    /// Whether training ended with the last of them.
    ended: bool,
    curve: Vec<ValidationPoint>,
    stop: Option<StopReason>,
}

/// Whether a job opens or decides anything between epochs.
fn decides(plan: &Plan) -> bool {
    plan.may_stop || plan.validation_rows > 0
}

fn validation_chunks(plan: &Plan) -> usize {
    plan.validation_rows.div_ceil(CHUNK_ROWS)
}

impl Course {
    /// From the records of openings of earlier attempts: goes through the epochs that are decided.
    pub(crate) fn read(
        plan: &Plan,
        role: Role,
        records: Vec<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, DecodeError> {
        let mut course = Self {
            stored: records.into(),
            records: 0,
            epochs: 0,
            ended: false,
            curve: Vec::new(),
            stop: None,
        };
        let chunks = validation_chunks(plan);
        while decides(plan) && !course.is_over(plan) && course.stored.len() > chunks {
            course.stored.drain(..chunks);
            course.records += chunks as u32;
            let record = course.stored.pop_front().unwrap_or_default();
            let judged = match role {
                Role::FeatureHolder => {
                    course.ended = Decision::decode(&record, ())?.end;
                    Judgement { stop: None, point: None }
                }
                Role::LabelHolder => Judgement::decode(&record, course.epochs + 1)?,
            };
            course.take(judged);
        }
        Ok(course)
    }

    fn take(&mut self, judged: Judgement) {
        self.records += 1;
        self.epochs += 1;
        self.ended |= judged.stop.is_some();
        self.stop = judged.stop;
        self.curve.extend(judged.point);
    }

    /// Most records that a job can have.
    pub(crate) fn most_records(plan: &Plan) -> u32 {
        let between =
            if decides(plan) { plan.epochs() * (validation_chunks(plan) as u32 + 1) } else { 0 };
        between + plan.rows[1].div_ceil(CHUNK_ROWS) as u32
    }

    /// The mini-batch before which training cannot go back: scores of its model are open.
    pub(crate) fn bound(&self, plan: &Plan) -> u32 {
        if !decides(plan) {
            return if self.stored.is_empty() { 0 } else { plan.steps() };
        }
        // What is left in store belongs to the epoch that is not decided, or to the test rows.
        let open = !self.stored.is_empty() && !self.is_over(plan);
        plan.steps_after(self.epochs + u32::from(open))
    }

    /// Chunks of test rows in store that have not been gone through.
    pub(crate) fn test_chunks(&self, plan: &Plan) -> u32 {
        if decides(plan) && !self.is_over(plan) { 0 } else { self.stored.len() as u32 }
    }

    /// Whether no epoch is left to be decided on.
    fn is_over(&self, plan: &Plan) -> bool {
        self.ended || self.epochs == plan.epochs()
    }

    /// Whether training is done once `step` mini-batches are, and nothing is left to decide.
    pub(crate) fn is_done(&self, plan: &Plan, step: u32) -> bool {
        if decides(plan) { self.is_over(plan) } else { step == plan.steps() }
    }

    /// Whether a decision is due after `step` mini-batches.
    pub(crate) fn is_due(&self, plan: &Plan, step: u32) -> bool {
        decides(plan) && !self.is_over(plan) && step == plan.steps_after(self.epochs + 1)
    }

    /// How the model did after each epoch; at B, with validation.
    pub(crate) fn curve(&self) -> &[ValidationPoint] {
        &self.curve
    }

    /// Why training ended early, if it did; at B.
    pub(crate) fn stop(&self) -> Option<StopReason> {
        self.stop
    }

    /// The end of an epoch: opens the validation rows to B, and takes B's decision. `judge` is there at B.
    pub(crate) fn end_epoch(
        &mut self,
        channel: &mut Channel<'_>,
        ready: &Ready,
        model: &mut Model<'_>,
        judge: Option<&Judge>,
        work: &mut Work<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        let step = Step::Validation;
        let rows = &ready.prepared.validation;
        let opening = Opening { step, rows, first_record: self.records };
        let done = model.step();
        let batch = ready.plan.hyper.batch_size as usize;
        let progress = |_| work.train(step, done, batch);
        let stored = &mut self.stored;
        let scores = open_scores(channel, ready, model, &opening, stored, progress, rng)?;
        self.records += validation_chunks(&ready.plan) as u32;
        let step = Step::Decision;
        match judge {
            None => {
                let decision = channel.receive_message::<Decision>(step, 1, ())?;
                if decision.end && !ready.plan.may_stop {
                    return Err(channel.bad(step, "the job does not end before its last epoch"));
                }
                model.store.open(&decision.to_bytes())?;
                self.ended = decision.end;
                self.take(Judgement { stop: None, point: None });
            }
            Some(judge) => {
                channel.computing(step);
                let judged = self.judge(&ready.plan, judge, &scores, work)?;
                model.store.open(&Zeroizing::new(judged.to_bytes()))?;
                self.take(judged);
                channel.send_message(step, &Decision { end: judged.stop.is_some() })?;
            }
        }
        Ok(())
    }

    fn judge(
        &self,
        plan: &Plan,
        judge: &Judge,
        scores: &[f64],
        work: &mut Work<'_>,
    ) -> Result<Judgement, SessionError> {
        let epoch = self.epochs + 1;
        let mut point = None;
        if !scores.is_empty() {
            let found = metrics::evaluate(scores, &judge.labels)
                .map_err(|e| SessionError::Bug { step: Step::Decision, what: e.to_string() })?;
            point = Some(ValidationPoint { epoch, ks: found.ks, auc: found.auc });
        }
        // After the last epoch there is nothing to end.
        let stop = if !plan.may_stop || epoch == plan.epochs() {
            None
        } else if judge.patience.is_some_and(|patience| self.stands_still(point, patience)) {
            Some(StopReason::NoProgress)
        } else {
            work.time_is_up().then_some(StopReason::TimeLimit)
        };
        Ok(Judgement { stop, point })
    }

    /// Whether none of the last `patience` epochs, up to `last`, was better than the best before them.
    fn stands_still(&self, last: Option<ValidationPoint>, patience: u32) -> bool {
        let ks: Vec<f64> = self.curve.iter().chain(&last).map(|point| point.ks).collect();
        let Some(before) = ks.len().checked_sub(patience as usize).filter(|&n| n > 0) else {
            return false;
        };
        let best = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        best(&ks[before..]) <= best(&ks[..before])
    }

    /// The end of the job: opens the test rows to B. B gets the scores, A an empty list.
    pub(crate) fn score_test_rows(
        &mut self,
        channel: &mut Channel<'_>,
        ready: &Ready,
        model: &mut Model<'_>,
        work: &mut Work<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<f64>, SessionError> {
        let step = Step::Evaluate;
        let rows = &ready.prepared.test;
        let opening = Opening { step, rows, first_record: self.records };
        let progress = |done| work.evaluate(step, done, rows.len());
        open_scores(channel, ready, model, &opening, &mut self.stored, progress, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_stands_still_when_no_recent_epoch_is_better_than_all_before() {
        let still = |earlier: &[f64], last: f64, patience| {
            let point = |(epoch, &ks): (u32, &f64)| ValidationPoint { epoch, ks, auc: 0.5 };
            let course = Course {
                stored: VecDeque::new(),
                records: 0,
                epochs: earlier.len() as u32,
                ended: false,
                curve: (1..).zip(earlier).map(point).collect(),
                stop: None,
            };
            course.stands_still(Some(ValidationPoint { epoch: 0, ks: last, auc: 0.5 }), patience)
        };
        assert!(!still(&[], 0.3, 1), "the first epoch has nothing to be compared with");
        assert!(!still(&[0.3], 0.31, 1));
        assert!(still(&[0.3], 0.3, 1), "equal is no progress");
        assert!(still(&[0.3], 0.2, 1));
        assert!(!still(&[0.3], 0.2, 2));
        assert!(!still(&[0.3, 0.2], 0.31, 2));
        assert!(still(&[0.3, 0.2], 0.29, 2));
        assert!(!still(&[0.1, 0.3, 0.2], 0.29, 3), "0.3 is better than 0.1");
        assert!(still(&[0.4, 0.3, 0.2], 0.29, 3));
    }
}
