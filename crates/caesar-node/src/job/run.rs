//! The thread that computes: outside the async runtime, inside the job pool, panics contained.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::Failure;

/// The pool that all jobs compute on.
pub(super) fn pool(threads: usize) -> Result<Arc<ThreadPool>, ThreadPoolBuildError> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .build()
        .map(Arc::new)
}

/// Runs `work` on the pool and waits for it without occupying the runtime.
///
/// # Errors
/// What `work` returns; `bug.internal` when it panics, whose message may hold anything and is
/// therefore not shown.
pub(super) async fn compute<T: Send + 'static>(
    pool: Arc<ThreadPool>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
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
    async fn a_panic_is_a_bug_without_its_message_and_the_pool_survives() {
        let pool = pool(1).unwrap();
        let secret = "customer 4711";
        let failure = compute::<()>(pool.clone(), move || panic!("{secret}")).await.unwrap_err();
        assert_eq!(failure.code, code::BUG_INTERNAL);
        assert!(!failure.to_string().contains("4711"));
        assert_eq!(compute(pool, || Ok(rayon::current_num_threads())).await.unwrap(), 1);
    }
}
