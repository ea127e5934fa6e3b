//! A limit on log lines that a stranger can cause.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Lets at most one event an interval through and counts the others.
#[derive(Debug)]
pub(super) struct RateLimit {
    interval: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl RateLimit {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::new((None, 0)) }
    }

    /// `Some(n)` when the event may be logged; n events were held back since the last one.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.0.is_some_and(|last| now.duration_since(last) < self.interval) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_and_the_next_tells_how_many() {
        let limit = RateLimit::new(Duration::from_secs(5));
        let start = Instant::now();
        assert_eq!(limit.admit(start), Some(0));
        for _ in 0..100 {
            assert_eq!(limit.admit(start + Duration::from_secs(1)), None);
        }
        assert_eq!(limit.admit(start + Duration::from_secs(5)), Some(100));
        assert_eq!(limit.admit(start + Duration::from_secs(11)), Some(0));
    }
}
