//! Keeps a claim alive while a benchmark executes, and learns from it when to stop.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::execute::WhenStopped;
use crate::benchmark::{BenchmarkRepository, Lease};
use crate::clock::Clock;
use crate::id::{BenchmarkId, WorkerId};

/// A benchmark, and the name under which it is held. Every claim has a name of its own, so that of two executions of
/// one benchmark, even in one process, only the latest can store anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) id: BenchmarkId,
    pub(super) worker: WorkerId,
}

/// A claim that renews itself until it is dropped.
pub(super) struct LeaseKeeper {
    state: watch::Receiver<Lease>,
    task: JoinHandle<()>,
}

impl LeaseKeeper {
    pub(super) fn start(
        benchmarks: Arc<dyn BenchmarkRepository>,
        clock: Arc<dyn Clock>,
        Claim { id, worker }: Claim,
        length: Duration,
    ) -> Self {
        let (sender, state) = watch::channel(Lease::Held);
        let task = tokio::spawn(async move {
            // A cancel request travels on the renewal, so that is made often enough for a person who waits.
            let pause = (length / 3).min(Duration::from_millis(500));
            loop {
                tokio::time::sleep(pause).await;
                match benchmarks.renew(id, worker, clock.now() + length).await {
                    Ok(lease) => {
                        sender.send_if_modified(|state| std::mem::replace(state, lease) != lease);
                        if lease == Lease::Lost {
                            return;
                        }
                    }
                    // The store may be busy for a moment; a lease that really ran out is told as lost later.
                    Err(error) => tracing::warn!(benchmark = %id, ?error, "cannot renew a lease"),
                }
            }
        });
        Self { state, task }
    }

    /// Waits until the benchmark must not go on, and says why.
    pub(super) async fn ended(&mut self) -> Lease {
        match self.state.wait_for(|lease| *lease != Lease::Held).await {
            Ok(lease) => *lease,
            // The task ends only after it has told that the lease is lost, or by a panic: both lose it.
            Err(_) => Lease::Lost,
        }
    }
}

/// What may keep a benchmark from being concluded.
pub(super) struct Interruptions<'a> {
    pub(super) lease: &'a mut LeaseKeeper,
    pub(super) stop: &'a CancellationToken,
    pub(super) when_stopped: WhenStopped,
    /// Whether its end was asked for already, so that asking again is no news.
    pub(super) is_cancelled: bool,
}

/// What becomes of a benchmark whose conclusion was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Whoever claims it next concludes it.
    PutOff,
    /// It ends without what was being computed.
    Cancelled,
}

impl Interruptions<'_> {
    pub(super) async fn wait(&mut self) -> Interruption {
        let (is_cancelled, lease) = (self.is_cancelled, &mut self.lease.state);
        let is_news = |lease: &Lease| match lease {
            Lease::Held => false,
            Lease::CancelRequested => !is_cancelled,
            Lease::TaskUnusable | Lease::Lost => true,
        };
        // The person who stops it wants what can be said of it.
        let is_stopped_at_will = is_cancelled && self.when_stopped == WhenStopped::Cancel;
        let stopped = async {
            if is_stopped_at_will {
                pending::<()>().await;
            }
            self.stop.cancelled().await;
        };
        tokio::select! {
            () = stopped => match self.when_stopped {
                WhenStopped::Release => Interruption::PutOff,
                WhenStopped::Cancel => Interruption::Cancelled,
            },
            lease = lease.wait_for(is_news) => match lease.map(|lease| *lease) {
                Ok(Lease::CancelRequested) => Interruption::Cancelled,
                _ => Interruption::PutOff,
            },
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}
