//! How far the reading of a job's data is, and what it has taken.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shared between the thread that reads and whoever wants to know. Counts what loaded tables take against
/// a bound, and the bytes of the files that have been read.
#[derive(Debug)]
pub struct Gauge {
    limit: usize,
    used: AtomicUsize,
    expected: AtomicU64,
    done: AtomicU64,
    rows: AtomicU64,
}

impl Gauge {
    /// With a bound in bytes for the tables of a job together.
    pub fn new(limit: usize) -> Self {
        let zero = AtomicU64::default;
        Self { limit, used: AtomicUsize::new(0), expected: zero(), done: zero(), rows: zero() }
    }

    /// The bound in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that tables take.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Fraction of the files' bytes that have been read, and rows read.
    pub fn progress(&self) -> (f64, u64) {
        let [expected, done, rows] =
            [&self.expected, &self.done, &self.rows].map(|n| n.load(Ordering::Relaxed));
        ((done as f64 / expected.max(1) as f64).clamp(0.0, 1.0), rows)
    }

    /// Takes memory; false if there is not so much.
    #[must_use]
    pub(super) fn take(&self, bytes: usize) -> bool {
        self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So many bytes of files are to be read.
    pub(crate) fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes more have been read.
    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many rows more have been read.
    pub(crate) fn count_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }
}
