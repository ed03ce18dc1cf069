//! Several samples on several cores.

use std::future::{Future, pending};
use std::panic::resume_unwind;

use tokio_util::task::AbortOnDropHandle;

/// Does work in a task of its own: a guest computes on the thread that asks for it, so that samples which share a task
/// would share a core. The work ends with whoever waits for it, and its panic is theirs.
pub(super) async fn in_own_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    OwnTask::start(work).join().await
}

/// Work in a task of its own, which ends with this.
pub(super) struct OwnTask<T>(AbortOnDropHandle<T>);

impl<T: Send + 'static> OwnTask<T> {
    pub(super) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(AbortOnDropHandle::new(tokio::spawn(work)))
    }

    /// What comes of it, once; who waits may give up and wait again.
    ///
    /// # Panics
    /// When the work does.
    pub(super) async fn join(&mut self) -> T {
        match (&mut self.0).await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and whoever waits with it.
                Err(_) => pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    #[should_panic(expected = "of the sample")]
    async fn a_panic_is_the_waiting_ones() {
        in_own_task(async { panic!("of the sample") }).await;
    }

    #[tokio::test]
    async fn who_gave_up_waiting_may_wait_again() {
        let (send, received) = oneshot::channel();
        let mut task = OwnTask::start(received);
        assert!(futures::poll!(Box::pin(task.join())).is_pending());
        send.send(7).unwrap();
        assert_eq!(task.join().await, Ok(7));
    }

    #[tokio::test]
    async fn who_no_longer_waits_ends_the_work() {
        let held = Arc::new(());
        let work = in_own_task({
            let held = held.clone();
            async move {
                pending::<()>().await;
                drop(held);
            }
        });
        assert!(futures::poll!(Box::pin(work)).is_pending());
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
