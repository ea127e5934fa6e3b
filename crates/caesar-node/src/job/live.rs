//! What is known of a job while it runs and is not worth persisting: progress, traffic, times.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use caesar_proto::v1 as proto;
use mpc_core::step::Step;

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
    /// Total time of the job as estimated when the last progress came in.
    estimated_total: Option<Duration>,
    waiting_since: Option<Instant>,
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
                estimated_total: None,
                waiting_since: None,
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

    /// The protocol enters a step.
    pub fn enter(&self, step: Step) {
        self.inner().step = step.name();
    }

    /// Names what the node does before the protocol starts: "load", "connect", "offer".
    pub fn prepare(&self, step: &'static str) {
        self.inner().step = step;
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
        inner.step = report.step.name();
        inner.iteration = report.iteration;
        inner.iterations = report.iterations;
        inner.rows_done = report.rows_done;
        if report.work_done > 0.0 {
            let total = inner.started.elapsed().as_secs_f64() / report.work_done.min(1.0);
            inner.estimated_total = Duration::try_from_secs_f64(total).ok();
        }
    }

    /// Ends the last phase.
    pub fn finish(&self) {
        self.inner().change_phase("");
    }

    /// Time spent in a phase so far.
    pub fn seconds(&self, phase: &str) -> f64 {
        self.inner().phase_times.get(phase).map_or(0.0, Duration::as_secs_f64)
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
        proto::Progress {
            phase: inner.phase.to_owned(),
            step: inner.step.to_owned(),
            iteration: inner.iteration,
            iterations: inner.iterations,
            rows_per_second: if in_phase > 0.0 { inner.rows_done as f64 / in_phase } else { 0.0 },
            bytes_sent,
            bytes_received,
            eta_seconds: inner
                .estimated_total
                .map_or(-1.0, |total| total.saturating_sub(inner.started.elapsed()).as_secs_f64()),
            waiting_seconds: inner.waiting_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
        }
    }
}

impl Inner {
    fn change_phase(&mut self, next: &'static str) {
        let now = Instant::now();
        *self.phase_times.entry(self.phase).or_default() += now.duration_since(self.phase_since);
        self.phase = next;
        self.phase_since = now;
        self.rows_done = 0;
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
        assert!(live.progress().eta_seconds < 0.0, "no estimate before the first report");
        std::thread::sleep(Duration::from_millis(20));
        live.report(report("train", 0.25));
        let first = live.progress().eta_seconds;
        assert!(first >= 0.055, "a quarter took 20 ms at least, so 60 ms are left, not {first}");
        std::thread::sleep(Duration::from_millis(15));
        assert!(live.progress().eta_seconds <= first - 0.01);
        live.report(report("evaluate", 0.9));
        live.finish();
        assert!(live.seconds("data") >= 0.02 && live.seconds("train") >= 0.015);
        assert_eq!(live.seconds("psi"), 0.0);
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
