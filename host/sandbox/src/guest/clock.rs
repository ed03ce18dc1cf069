//! Two clocks of a guest: one while it computes, one while it waits for a model.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Why a guest was stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    ComputeTimeout,
    ModelTimeout,
    Cancelled,
}

/// The time a guest has left.
///
/// Computing counts while the guest is being executed, not while it queues for a processor after yielding: a busy
/// machine is not the guest's fault. Should it sleep in the host for another reason than a model, that counts as
/// computing, so that nothing can hang.
pub(super) struct CallClock(Mutex<Left>);

struct Left {
    compute: Duration,
    model: Duration,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Not begun, or yielded: waits for its turn.
    Idle,
    Computing(Instant),
    Waiting(Instant),
    /// The host is not ready to go on, which is not the guest's fault.
    Resting,
}

impl CallClock {
    pub(super) fn new(compute: Duration, model: Duration) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Left { compute, model, phase: Phase::Idle })))
    }

    /// Lets `future` run on the clock of the models.
    pub(super) async fn wait_for_model<T>(&self, future: impl Future<Output = T>) -> T {
        self.enter(Phase::Waiting(Instant::now()));
        let output = future.await;
        self.enter(Phase::Computing(Instant::now()));
        output
    }

    /// Lets `future` run on no clock.
    pub(super) async fn rest<T>(&self, future: impl Future<Output = T>) -> T {
        self.enter(Phase::Resting);
        let output = future.await;
        self.enter(Phase::Computing(Instant::now()));
        output
    }

    /// Grants so much time to compute, and gives what was left of it before.
    pub(super) fn grant(&self, compute: Duration) -> Duration {
        let mut left = self.left();
        let now = Instant::now();
        left.charge(now);
        if let Phase::Computing(since) = &mut left.phase {
            *since = now;
        }
        std::mem::replace(&mut left.compute, compute)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        let mut left = self.left();
        left.charge(Instant::now());
        left.phase = phase;
    }

    /// The guest is about to be executed.
    fn resume(&self) {
        if matches!(self.left().phase, Phase::Idle) {
            self.enter(Phase::Computing(Instant::now()));
        }
    }

    /// The guest yielded and waits for its turn.
    fn pause(&self) {
        if matches!(self.left().phase, Phase::Computing(_)) {
            self.enter(Phase::Idle);
        }
    }

    /// When the running clock runs out; none while the guest waits for its turn.
    fn deadline(&self) -> Option<(Instant, Stop)> {
        let left = self.left();
        match left.phase {
            Phase::Idle if left.compute.is_zero() => Some((Instant::now(), Stop::ComputeTimeout)),
            Phase::Idle | Phase::Resting => None,
            Phase::Computing(since) => Some((since + left.compute, Stop::ComputeTimeout)),
            Phase::Waiting(since) => Some((since + left.model, Stop::ModelTimeout)),
        }
    }
}

impl Left {
    fn charge(&mut self, now: Instant) {
        match self.phase {
            Phase::Idle | Phase::Resting => {}
            Phase::Computing(since) => self.compute = self.compute.saturating_sub(now - since),
            Phase::Waiting(since) => self.model = self.model.saturating_sub(now - since),
        }
    }
}

/// Runs a guest until it ends, its time is over, or somebody cancels it.
///
/// A guest that computes yields every so much fuel, so that this is polled often enough.
pub(super) struct Timed<'a, T> {
    guest: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    clock: Arc<CallClock>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    timer: Pin<Box<Sleep>>,
}

impl<'a, T> Timed<'a, T> {
    pub(super) fn new(
        guest: impl Future<Output = T> + Send + 'a,
        clock: Arc<CallClock>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            guest: Box::pin(guest),
            clock,
            cancelled: Box::pin(cancel.cancelled_owned()),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }
}

impl<T> Future for Timed<'_, T> {
    type Output = Result<T, Stop>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(Stop::Cancelled));
        }
        self.clock.resume();
        let waker = Arc::new(NotingWaker { woken: AtomicBool::new(false), task: context.waker().clone() });
        let poll = self.guest.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&waker))));
        if let Poll::Ready(output) = poll {
            return Poll::Ready(Ok(output));
        }
        // Who wakes itself while it is polled has yielded; who does not sleeps in a host call.
        if waker.woken.load(Ordering::Acquire) {
            self.clock.pause();
        }
        if let Some((deadline, stop)) = self.clock.deadline() {
            self.timer.as_mut().reset(deadline);
            if self.timer.as_mut().poll(context).is_ready() || deadline <= Instant::now() {
                return Poll::Ready(Err(stop));
            }
        }
        Poll::Pending
    }
}

/// Wakes the task, and notes that it did.
struct NotingWaker {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for NotingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_hours(1);

    async fn run<F: Future<Output = ()> + Send>(
        compute: Duration,
        model: Duration,
        guest: impl FnOnce(Arc<CallClock>) -> F,
    ) -> Result<(), Stop> {
        let clock = CallClock::new(compute, model);
        Timed::new(guest(Arc::clone(&clock)), clock, CancellationToken::new()).await
    }

    async fn ask(clock: Arc<CallClock>) {
        clock.wait_for_model(tokio::task::yield_now()).await;
    }

    #[tokio::test]
    async fn waiting_for_a_model_is_not_computing() {
        assert_eq!(run(NONE, LONG, ask).await, Ok(()));
        assert_eq!(run(LONG, NONE, ask).await, Err(Stop::ModelTimeout));
    }

    #[tokio::test]
    async fn a_guest_that_computes_too_long_is_stopped_when_it_yields() {
        let guest = |_| async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(run(Duration::from_millis(1), LONG, guest).await, Err(Stop::ComputeTimeout));
    }

    #[tokio::test]
    async fn a_guest_that_sleeps_in_the_host_counts_as_computing() {
        assert_eq!(run(Duration::from_millis(1), LONG, |_| pending()).await, Err(Stop::ComputeTimeout));
    }

    #[tokio::test]
    async fn a_guest_that_the_host_lets_rest_uses_no_time() {
        let guest = async |clock: Arc<CallClock>| {
            clock.rest(tokio::time::sleep(Duration::from_millis(20))).await;
            assert!(clock.grant(LONG) > Duration::ZERO, "nothing of it was computed");
        };
        assert_eq!(run(Duration::from_millis(10), NONE, guest).await, Ok(()));
    }

    #[test]
    fn the_time_of_all_model_calls_is_summed() {
        let second = Duration::from_secs(1);
        let begin = Instant::now();
        let mut left = Left { compute: second, model: 10 * second, phase: Phase::Waiting(begin) };
        left.charge(begin + 4 * second);
        left.phase = Phase::Idle;
        left.charge(begin + 8 * second);
        assert_eq!((left.compute, left.model), (second, 6 * second));
        left.phase = Phase::Waiting(begin);
        left.charge(begin + 20 * second);
        assert_eq!((left.compute, left.model), (second, NONE));
    }

    #[tokio::test]
    async fn a_cancelled_guest_ends_at_once() {
        let (clock, cancel) = (CallClock::new(LONG, LONG), CancellationToken::new());
        cancel.cancel();
        assert_eq!(Timed::new(pending::<()>(), clock, cancel).await, Err(Stop::Cancelled));
    }
}
