//! Several threads that serve one model: which of them takes a call.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Weak};

use crate::worker::Command;

/// Hands calls to lanes: to the one that has an equal call at hand, which it computes once, else to the one that has the
/// fewest.
pub(crate) struct Lanes {
    each: Vec<Lane>,
    /// The latest of equal calls by the hash of their texts, with its lane.
    latest: HashMap<u64, (usize, Weak<AtHand>)>,
    /// Calls that ended are forgotten when there are so many in `latest`.
    most_latest: usize,
}

struct Lane {
    commands: Sender<Command>,
    /// Calls that it has at hand.
    count: Arc<AtomicUsize>,
}

/// A call that a lane has at hand, as long as this lives.
#[derive(Debug)]
pub(crate) struct AtHand(Arc<AtomicUsize>);

impl AtHand {
    fn new(count: &Arc<AtomicUsize>) -> Arc<Self> {
        count.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(Arc::clone(count)))
    }
}

impl Drop for AtHand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    const LEAST_LATEST: usize = 1024;

    /// At least one.
    pub(crate) fn new(ways: Vec<Sender<Command>>) -> Self {
        let each = ways.into_iter().map(|commands| Lane { commands, count: Arc::default() }).collect();
        Self { each, latest: HashMap::new(), most_latest: Self::LEAST_LATEST }
    }

    /// Serves until every sender is gone.
    pub(crate) fn distribute(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            self.hand_over(command);
        }
    }

    fn hand_over(&mut self, mut command: Command) {
        let mut hasher = DefaultHasher::new();
        command.request.hash_texts(&mut hasher);
        let hash = hasher.finish();
        let equal = self.latest.get(&hash).filter(|(_, call)| call.strong_count() > 0);
        let number = match equal {
            Some(&(number, _)) => number,
            None => self.least(),
        };
        let Some(lane) = self.each.get(number) else { return };
        let at_hand = AtHand::new(&lane.count);
        if self.latest.len() >= self.most_latest {
            self.latest.retain(|_, (_, call)| call.strong_count() > 0);
            self.most_latest = Self::LEAST_LATEST.max(2 * self.latest.len());
        }
        self.latest.insert(hash, (number, Arc::downgrade(&at_hand)));
        command.at_hand = Some(at_hand);
        // The caller of a call that is dropped is told that the thread failed.
        let _ = lane.commands.send(command);
    }

    /// The lane with the fewest calls, the first of several.
    fn least(&self) -> usize {
        let count = |lane: &Lane| lane.count.load(Ordering::Relaxed);
        (0..self.each.len()).min_by_key(|&number| count(&self.each[number])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use llm_bench_core::model::ModelRequest;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn call(text: &str) -> Command {
        Command::new(ModelRequest::CountTokens(vec![text.to_owned()]), CancellationToken::new()).0
    }

    #[test]
    fn a_call_goes_to_the_lane_that_has_the_fewest_or_an_equal_one() {
        let (one, first) = channel();
        let (other, second) = channel();
        let mut lanes = Lanes::new(vec![one, other]);
        for text in ["a", "b", "c", "a", "a"] {
            lanes.hand_over(call(text));
        }
        let texts = |lane: &Receiver<Command>| lane.try_iter().collect::<Vec<_>>();
        let (at_first, at_second) = (texts(&first), texts(&second));
        assert_eq!((at_first.len(), at_second.len()), (4, 1));

        // Once its calls are answered, the first has fewer; nothing draws an equal call to the second any more.
        drop(at_first);
        for text in ["d", "b"] {
            lanes.hand_over(call(text));
        }
        assert_eq!((texts(&first).len(), texts(&second).len()), (1, 1));
        drop(at_second);
        lanes.hand_over(call("b"));
        assert_eq!((texts(&first).len(), texts(&second).len()), (1, 0));
    }

    #[test]
    fn calls_that_ended_are_forgotten() {
        let (way, received) = channel();
        let mut lanes = Lanes::new(vec![way]);
        for number in 0..5 * Lanes::LEAST_LATEST {
            lanes.hand_over(call(&number.to_string()));
            drop(received.try_recv());
        }
        assert!(lanes.latest.len() <= Lanes::LEAST_LATEST);
    }
}
