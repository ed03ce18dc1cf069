//! Whether a child still works: judged by its answers, and by what it says of its threads: the processor time that they used,
//! and for how long one has been at the same piece of work.

use std::time::{Duration, Instant};

/// A child with work that neither answers nor computes for this long is stuck: stopped, or waiting for itself.
const SILENCE: Duration = Duration::from_mins(1);

/// Processor time that counts as computing; the sending of signs of life takes less.
const COMPUTING: Duration = Duration::from_millis(10);

/// How often a child of the given deadline tells that it is alive.
pub(super) fn beat(call_deadline: Duration) -> Duration {
    (silence(call_deadline) / 8).clamp(Duration::from_millis(5), Duration::from_secs(2))
}

fn silence(call_deadline: Duration) -> Duration {
    SILENCE.min(call_deadline)
}

/// What a child with work was last seen doing.
#[derive(Debug)]
pub(super) struct Activity {
    /// Its last answer; while it has given none, the begin of the work.
    answered: Instant,
    /// The last answer or sign that it computes.
    computed: Instant,
    /// Processor time used when it was last seen computing.
    processor: Duration,
    /// For how long one of its threads had been at the same piece of work, as it said last. Others may answer meanwhile.
    turn: Duration,
    /// When there was nothing to do, or nobody looked, the last time.
    restarted: Instant,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self { answered: now, computed: now, processor: Duration::ZERO, turn: Duration::ZERO, restarted: now }
    }

    /// There was nothing to do until now, or nobody looked.
    pub(super) fn restart(&mut self, now: Instant) {
        self.answered(now);
        self.turn = Duration::ZERO;
        self.restarted = now;
    }

    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = now;
        self.computed = now;
    }

    /// It says how much processor time it has used so far, and for how long a thread has been at the same piece of work.
    pub(super) fn alive(&mut self, processor: Duration, turn: Duration, now: Instant) {
        // Both may have stood still before that.
        self.turn = turn.min(now.duration_since(self.restarted));
        if processor.saturating_sub(self.processor) >= COMPUTING {
            self.processor = processor;
            self.computed = now;
        }
    }

    /// Why the child, which has work, must be taken as stuck.
    pub(super) fn overdue(&self, call_deadline: Duration, now: Instant) -> Option<String> {
        let silence = silence(call_deadline);
        if now.duration_since(self.answered) >= call_deadline {
            Some(format!("it answered no call for {} s", call_deadline.as_secs_f32()))
        } else if self.turn >= call_deadline {
            Some(format!("one of its threads got on with nothing for {} s", self.turn.as_secs_f32()))
        } else if now.duration_since(self.computed) >= silence {
            Some(format!("it neither answered nor computed for {} s", silence.as_secs_f32()))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn who_computes_may_take_as_long_as_the_deadline() {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            activity.alive(Duration::from_secs(second), Duration::ZERO, now);
            assert_eq!(activity.overdue(HOUR, now), None, "after {second} s");
        }
        assert!(activity.overdue(HOUR, start + HOUR).unwrap().contains("3600 s"));
        activity.restart(start + HOUR);
        assert_eq!(activity.overdue(HOUR, start + HOUR), None);
    }

    #[test]
    fn who_does_nothing_is_stuck_after_a_minute_though_it_says_that_it_is_alive() {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        activity.alive(Duration::from_secs(1), Duration::ZERO, start);
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(activity.overdue(HOUR, now), None, "after {second} s");
            activity.alive(Duration::from_secs(1) + Duration::from_micros(50 * second), Duration::ZERO, now);
        }
        assert!(activity.overdue(HOUR, start + SILENCE).unwrap().contains("60 s"));
    }

    #[test]
    fn a_thread_that_gets_on_with_nothing_is_stuck_though_others_answer() {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        for minute in 1..60 {
            let age = Duration::from_mins(minute);
            activity.answered(start + age);
            activity.alive(age, age, start + age);
            assert_eq!(activity.overdue(HOUR, start + age), None);
        }
        activity.answered(start + HOUR);
        activity.alive(HOUR, HOUR, start + HOUR);
        assert!(activity.overdue(HOUR, start + HOUR).unwrap().contains("3600 s"));
        activity.restart(start + HOUR);
        activity.alive(HOUR, HOUR, start + HOUR);
        assert_eq!(activity.overdue(HOUR, start + HOUR), None);
    }

    #[test]
    fn a_short_deadline_is_one_for_silence_too() {
        let start = Instant::now();
        let activity = Activity::new(start);
        let deadline = Duration::from_secs(2);
        assert_eq!(activity.overdue(deadline, start + deadline / 2), None);
        assert!(activity.overdue(deadline, start + deadline).is_some());
        assert!(beat(deadline) * 4 < deadline && beat(HOUR) * 4 < SILENCE);
    }
}
