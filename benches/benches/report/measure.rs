//! Medians of repeated timings of the calling thread's own processor time: on an idle machine that is
//! the time that passes, and other programs change it little.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// Time a measurement may take, its warm-up included.
const BUDGET: Duration = Duration::from_millis(1_200);
/// Fewest timings that a median is taken of.
const LEAST: usize = 9;

/// Median operations a second of `run`, which does `operations` of them.
pub(crate) fn per_second(operations: usize, mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < LEAST || start.elapsed() < BUDGET {
        let before = ThreadTime::now();
        run();
        times.push(before.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    operations as f64 / times[times.len() / 2]
}
