//! The thread that computes: outside the async runtime, inside the job pool, panics contained.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use rayon::ThreadPoolBuilder;
use tokio::sync::oneshot;

use crate::error::Failure;

/// Runs `work` on a pool of its own and waits for it without occupying the runtime. The engine waits
/// for its peer on a thread of that pool, so two jobs on one pool could wait for each other for ever.
///
/// # Errors
/// What `work` returns; `bug.internal` when it panics, whose message may hold anything and is
/// therefore not shown.
pub(super) async fn compute<T: Send + 'static>(
    threads: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .build()
        .map_err(|_| Failure::bug("starting threads"))?;
    let (done, result) = oneshot::channel();
    let body = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| pool.install(work)))
            .unwrap_or_else(|_| Err(Failure::bug("the engine")));
        // The waiting side is gone only while the runtime stops.
        let _ = done.send(outcome);
    };
    thread::Builder::new()
        .name("job".to_owned())
        .spawn(body)
        .map_err(|_| Failure::bug("starting a thread"))?;
    result.await.unwrap_or_else(|_| Err(Failure::bug("the engine's thread")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::code;

    #[tokio::test]
    async fn a_panic_is_a_bug_without_its_message() {
        let secret = "customer 4711";
        let failure = compute::<()>(1, move || panic!("{secret}")).await.unwrap_err();
        assert_eq!(failure.code, code::BUG_INTERNAL);
        assert!(!failure.to_string().contains("4711"));
        assert_eq!(compute(2, || Ok(rayon::current_num_threads())).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn jobs_that_wait_for_each_other_both_run() {
        let (one, two) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let limit = std::time::Duration::from_secs(10);
        let first = compute(1, move || {
            one.0.send(()).unwrap();
            two.1.recv_timeout(limit).map_err(|_| Failure::bug("first"))
        });
        let second = compute(1, move || {
            one.1.recv_timeout(limit).map_err(|_| Failure::bug("second"))?;
            two.0.send(()).map_err(|_| Failure::bug("second"))
        });
        tokio::try_join!(first, second).unwrap();
    }
}
