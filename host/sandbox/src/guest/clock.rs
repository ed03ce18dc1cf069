//! Two clocks of a guest: one while it computes, one while it waits for a model.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// How long a guest may have its thread before it yields to whoever waits for one, where its host works for it. While it
/// computes itself, its fuel tells when.
pub(super) const TURN: Duration = Duration::from_micros(200);

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
    /// When the thread that executes the guest turned to it.
    turned_to: Instant,
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
        Arc::new(Self(Mutex::new(Left { compute, model, phase: Phase::Idle, turned_to: Instant::now() })))
    }

    /// Lets `future` wait on the clock of the models.
    pub(super) async fn wait_for_model<T>(&self, future: impl Future<Output = T>) -> T {
        self.wait(future, Phase::Waiting).await
    }

    /// Lets `future` wait on no clock.
    pub(super) async fn rest<T>(&self, future: impl Future<Output = T>) -> T {
        self.wait(future, |_| Phase::Resting).await
    }

    /// What is there at once was not waited for: many answers are, and looking at the clock takes longer than they do.
    async fn wait<T>(&self, future: impl Future<Output = T>, phase: fn(Instant) -> Phase) -> T {
        let (mut future, mut waits) = (pin!(future), false);
        poll_fn(|context| {
            let poll = future.as_mut().poll(context);
            if poll.is_pending() != waits {
                waits = poll.is_pending();
                let phase = if waits { phase } else { Phase::Computing };
                self.enter(phase(Instant::now()));
            }
            poll
        })
        .await
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

    /// For how long the guest has had its thread by now.
    pub(super) fn turn(&self) -> Duration {
        self.left().turned_to.elapsed()
    }

    /// The guest is about to be executed.
    fn resume(&self) {
        let mut left = self.left();
        left.turned_to = Instant::now();
        if matches!(left.phase, Phase::Idle) {
            left.phase = Phase::Computing(left.turned_to);
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
/// A guest that computes yields every so much fuel, so that this is polled often enough. What wakes it otherwise is made
/// when a poll leaves something to wait for: of most calls there is one poll.
pub(super) struct Timed<'a, G> {
    guest: Pin<&'a mut G>,
    clock: &'a CallClock,
    cancel: &'a CancellationToken,
    cancelled: Option<Pin<Box<WaitForCancellationFuture<'a>>>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a, G: Future> Timed<'a, G> {
    pub(super) fn new(guest: Pin<&'a mut G>, clock: &'a CallClock, cancel: &'a CancellationToken) -> Self {
        Self { guest, clock, cancel, cancelled: None, timer: None }
    }

    /// Whether it is cancelled; the task is woken when it is.
    fn is_cancelled(&mut self, context: &mut Context<'_>) -> bool {
        let cancelled = self.cancelled.get_or_insert_with(|| Box::pin(self.cancel.cancelled()));
        cancelled.as_mut().poll(context).is_ready()
    }

    /// Whether the deadline has come; the task is woken when it does.
    fn is_past(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().reset(deadline);
        timer.as_mut().poll(context).is_ready() || deadline <= Instant::now()
    }
}

impl<G: Future> Future for Timed<'_, G> {
    type Output = Result<G::Output, Stop>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.cancel.is_cancelled() {
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
        if self.is_cancelled(context) {
            return Poll::Ready(Err(Stop::Cancelled));
        }
        match self.clock.deadline() {
            Some((deadline, stop)) if self.is_past(deadline, context) => Poll::Ready(Err(stop)),
            _ => Poll::Pending,
        }
    }
}

/// Yields once, in the way that [`Timed`] tells from waiting: by waking while it is polled.
pub(super) async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
        Timed::new(pin!(guest(Arc::clone(&clock))), &clock, &CancellationToken::new()).await
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
        let phase = Phase::Waiting(begin);
        let mut left = Left { compute: second, model: 10 * second, phase, turned_to: begin };
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
        assert_eq!(Timed::new(pin!(pending::<()>()), &clock, &cancel).await, Err(Stop::Cancelled));
    }
}
