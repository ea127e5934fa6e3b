//! What is known of a job while it runs and is not worth persisting: progress, traffic, times.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use caesar_proto::v1 as proto;
use mpc_core::step::Step;

use super::Profile;
use crate::data::Gauge;

/// While data is read its progress is told in so many parts.
const READING_PARTS: u32 = 100;

/// Progress of one job. Cheap to update from the engine's thread.
#[derive(Debug)]
pub struct Live {
    sent: AtomicU64,
    received: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    phase: &'static str,
    phase_since: Instant,
    phase_times: BTreeMap<&'static str, Duration>,
    step: &'static str,
    iteration: u32,
    iterations: u32,
    rows_done: u64,
    /// Fraction of the whole job's work, as last reported.
    work_done: f64,
    /// When the phase's first report came in, and how much of the job was done then. The speed is that
    /// of the phase, since a checkpoint can be ahead of what this attempt has done itself.
    measured_from: Option<(Instant, f64)>,
    /// When the job will be done, as estimated when the last report came in.
    estimated_end: Option<Instant>,
    waiting_since: Option<Instant>,
    /// How far the reading of the data is, from its begin to the next step.
    reading: Option<Arc<Gauge>>,
    profile: Profile,
    /// Time of one product modulo N² at this node, once measured.
    product: Duration,
    /// What A's and B's steps should take in such products.
    costs: [Vec<(Step, f64)>; 2],
}

/// While it lives the job waits for its peer.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Live);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.inner().waiting_since = None;
    }
}

/// What the engine reports; the node adds everything that needs a clock.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Stable name of the phase.
    pub phase: &'static str,
    /// The protocol step.
    pub step: Step,
    /// Mini-batches finished.
    pub iteration: u32,
    /// Mini-batches of the job.
    pub iterations: u32,
    /// Rows finished in this phase.
    pub rows_done: u64,
    /// Fraction of the whole job's work that is done.
    pub work_done: f64,
}

impl Default for Live {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                started: now,
                phase: "data",
                phase_since: now,
                phase_times: BTreeMap::new(),
                step: "",
                iteration: 0,
                iterations: 0,
                rows_done: 0,
                work_done: 0.0,
                measured_from: None,
                estimated_end: None,
                waiting_since: None,
                reading: None,
                profile: Profile::default(),
                product: Duration::ZERO,
                costs: Default::default(),
            }),
        }
    }
}

impl Live {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic of the engine cannot leave the numbers inconsistent in a way that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Payload that left for the peer, encoded.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Payload that came from the peer, encoded.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes sent and received so far.
    pub fn traffic(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// The protocol enters a step, with a call of its link.
    pub fn enter(&self, step: Step) {
        let mut inner = self.inner();
        inner.step = step.name();
        inner.profile.enter(step, Instant::now());
    }

    /// The protocol computes for a step until it next calls its link.
    pub fn computing(&self, step: Step) {
        self.inner().profile.enter(step, Instant::now());
    }

    /// The call that entered the step has sent a message.
    pub fn sent(&self, step: Step, bytes: usize) {
        self.inner().profile.sent(step, bytes, Instant::now());
    }

    /// The call that entered the step has received a message.
    pub fn received(&self, step: Step, bytes: usize) {
        self.inner().profile.received(step, bytes, Instant::now());
    }

    /// How long one product modulo N² takes at this node.
    pub fn measured(&self, product: Duration) {
        self.inner().product = product;
    }

    /// How many of them A's and B's steps should take.
    pub fn expect(&self, costs: [Vec<(Step, f64)>; 2]) {
        self.inner().costs = costs;
    }

    /// The attempt's engine is done: where its time went, and how long a product took.
    pub fn profile(&self) -> (Profile, Duration) {
        let mut inner = self.inner();
        inner.profile.stop(Instant::now());
        (inner.profile.clone(), inner.product)
    }

    /// What [`expect`](Self::expect) was told.
    pub fn costs(&self) -> [Vec<(Step, f64)>; 2] {
        self.inner().costs.clone()
    }

    /// Names what the node does before the protocol starts: "load", "connect", "offer".
    pub fn prepare(&self, step: &'static str) {
        let mut inner = self.inner();
        inner.step = step;
        inner.reading = None;
    }

    /// The job's data is being read.
    pub fn reading(&self, gauge: Arc<Gauge>) {
        self.inner().reading = Some(gauge);
    }

    /// The step of the protocol, or of its preparation.
    pub fn step(&self) -> &'static str {
        self.inner().step
    }

    /// The job waits for the peer until the guard is dropped.
    pub fn waiting(&self) -> Waiting<'_> {
        self.inner().waiting_since = Some(Instant::now());
        Waiting(self)
    }

    /// Progress from the engine.
    pub fn report(&self, report: Report) {
        let mut inner = self.inner();
        if inner.phase != report.phase {
            inner.change_phase(report.phase);
        }
        inner.reading = None;
        inner.step = report.step.name();
        inner.profile.enter(report.step, Instant::now());
        inner.iteration = report.iteration;
        inner.iterations = report.iterations;
        inner.rows_done = report.rows_done;
        let (now, done) = (Instant::now(), report.work_done.clamp(0.0, 1.0));
        inner.work_done = done;
        let (since, before) = *inner.measured_from.get_or_insert((now, done));
        if done > before {
            let left = (now - since).as_secs_f64() * (1.0 - done) / (done - before);
            let left = Duration::try_from_secs_f64(left).ok();
            inner.estimated_end = left.and_then(|left| now.checked_add(left));
        }
    }

    /// The phase and how long it has lasted.
    pub fn phase(&self) -> (&'static str, Duration) {
        let inner = self.inner();
        (inner.phase, inner.phase_since.elapsed())
    }

    /// Ends the last phase.
    pub fn finish(&self) {
        self.inner().change_phase("");
    }

    /// Time spent in a phase so far.
    pub fn seconds(&self, phase: &str) -> f64 {
        self.inner().phase_times.get(phase).map_or(0.0, Duration::as_secs_f64)
    }

    /// Time since the phase under way began.
    pub fn in_phase(&self) -> Duration {
        self.inner().phase_since.elapsed()
    }

    /// Time since the job's turn came.
    pub fn seconds_total(&self) -> f64 {
        self.inner().started.elapsed().as_secs_f64()
    }

    /// The numbers for people.
    pub fn progress(&self) -> proto::Progress {
        let inner = self.inner();
        let (bytes_sent, bytes_received) = self.traffic();
        let in_phase = inner.phase_since.elapsed().as_secs_f64();
        let (iteration, iterations, rows_done) = match &inner.reading {
            None => (inner.iteration, inner.iterations, inner.rows_done),
            Some(gauge) => {
                let (done, rows) = gauge.progress();
                ((done * f64::from(READING_PARTS)) as u32, READING_PARTS, rows)
            }
        };
        proto::Progress {
            phase: inner.phase.to_owned(),
            step: inner.step.to_owned(),
            iteration,
            iterations,
            rows_per_second: if in_phase > 0.0 { rows_done as f64 / in_phase } else { 0.0 },
            bytes_sent,
            bytes_received,
            eta_seconds: inner.seconds_left().unwrap_or(-1.0),
            waiting_seconds: inner.waiting_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            // The manager knows the peer.
            waiting_for: String::new(),
            not_connected: String::new(),
            round_trip_seconds: 0.0,
        }
    }
}

impl Inner {
    /// The estimate of the phase's own speed. When its end has passed, as in a search for primes that
    /// takes long, what the whole job has taken so far tells more than "now".
    fn seconds_left(&self) -> Option<f64> {
        let left = self.estimated_end?.saturating_duration_since(Instant::now());
        if left > Duration::ZERO || !(f64::MIN_POSITIVE..1.0).contains(&self.work_done) {
            return Some(left.as_secs_f64());
        }
        let so_far = self.started.elapsed().as_secs_f64();
        Some(so_far * (1.0 - self.work_done) / self.work_done)
    }

    fn change_phase(&mut self, next: &'static str) {
        let now = Instant::now();
        *self.phase_times.entry(self.phase).or_default() += now.duration_since(self.phase_since);
        self.phase = next;
        self.phase_since = now;
        self.rows_done = 0;
        self.measured_from = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(phase: &'static str, work_done: f64) -> Report {
        Report { phase, step: Step::Forward, iteration: 1, iterations: 4, rows_done: 64, work_done }
    }

    #[test]
    fn estimate_counts_down_and_phases_are_timed() {
        let live = Live::default();
        let wait = |ms| std::thread::sleep(Duration::from_millis(ms));
        wait(20);
        live.report(report("train", 0.0));
        assert!(live.progress().eta_seconds < 0.0, "no estimate before there is a speed");
        wait(20);
        live.report(report("train", 0.1));
        let first = live.progress().eta_seconds;
        assert!(first >= 0.175, "a tenth took 20 ms at least, so 180 ms are left, not {first}");
        wait(15);
        assert!(live.progress().eta_seconds <= first - 0.01);
        // What a checkpoint holds says nothing about the speed.
        live.report(report("resumed", 0.5));
        wait(20);
        live.report(report("resumed", 0.6));
        let resumed = live.progress().eta_seconds;
        assert!(resumed >= 0.075, "80 ms are left at least, not {resumed}");
        live.report(report("evaluate", 0.65));
        live.finish();
        assert!(live.seconds("data") >= 0.02 && live.seconds("train") >= 0.035);
        assert_eq!(live.seconds("psi"), 0.0);
    }

    #[test]
    fn an_estimate_that_has_passed_is_not_shown_as_now() {
        let live = Live::default();
        live.report(report("psi", 0.0));
        std::thread::sleep(Duration::from_millis(2));
        live.report(report("psi", 0.4));
        live.report(report("setup", 0.5));
        // The 3 ms that alignment's speed makes of the rest pass without a report.
        std::thread::sleep(Duration::from_millis(40));
        let left = live.progress().eta_seconds;
        assert!(left >= 0.04, "half is left after 42 ms at least, so it is not {left} s");
        live.report(report("finish", 1.0));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(live.progress().eta_seconds, 0.0);
    }

    #[test]
    fn reading_is_shown_in_hundredths_until_the_next_step() {
        let live = Live::default();
        live.prepare("load");
        let gauge = Arc::new(Gauge::new(1));
        live.reading(gauge.clone());
        gauge.expect(1000);
        gauge.advance(437);
        gauge.count_rows(99);
        std::thread::sleep(Duration::from_millis(1));
        let progress = live.progress();
        assert_eq!((progress.iteration, progress.iterations), (43, 100));
        assert!(progress.rows_per_second > 0.0);
        // Nothing is shown of it when the protocol begins, nor before it does.
        for next in
            [|live: &Live| live.prepare("connect"), |live: &Live| live.report(report("psi", 0.1))]
        {
            live.reading(gauge.clone());
            next(&live);
            assert_ne!(live.progress().iterations, 100);
        }
    }

    #[test]
    fn waiting_is_visible_only_while_it_lasts() {
        let live = Live::default();
        let guard = live.waiting();
        std::thread::sleep(Duration::from_millis(5));
        assert!(live.progress().waiting_seconds > 0.0);
        drop(guard);
        assert_eq!(live.progress().waiting_seconds, 0.0);
    }
}
