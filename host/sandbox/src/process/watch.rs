//! Whether a child gets on with its calls, and computes nothing else: judged by the processor time that the kernel
//! counts for it.
//!
//! What a stranger's native code could do to a limit that the kernel keeps for the child, it cannot do to this one: a
//! soft limit only sends a signal, which whoever rules the process may block, and a hard one could be raised again by
//! no parent without privileges. So a child takes at most: for each call, twice what that may compute and [`GRACE`];
//! one look's time of all processors whenever a call ends or asks something, because nobody can tell whose that was;
//! [`LOADING`] until it is ready; and [`UNASKED`] whenever nothing is asked of it.
//!
//! Only Linux tells the processor time of another process. On other systems nothing is judged here: a child that
//! hangs or computes for itself goes on until its plugin has had no call for a while, or the server ends.

use std::time::Duration;

/// How often is looked.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A child that has to compute and uses no processor for so many looks is stuck: stopped, or waiting for itself.
const SILENT_LOOKS: u32 = 60;

/// What a call may compute beyond its limit before it is the process that hangs: guests share its threads by turns,
/// which are not of equal length.
const GRACE: Duration = Duration::from_secs(10);

/// What a child may compute until it is ready. It compiles nothing: it reads code that was compiled.
const LOADING: Duration = Duration::from_mins(1);

/// What a child may compute while no call of it does, before it is taken as ruled by a stranger. An honest one uses
/// next to nothing.
const UNASKED: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Watch {
    processor: Duration,
    silent: u32,
    /// Since something was last asked of it.
    unasked: Duration,
    /// Whether something was asked of it, or answered by it, since the last look.
    is_asked: bool,
}

impl Watch {
    /// Notes that a call has something to compute, or has had until now.
    pub(super) fn asked(&mut self) {
        self.is_asked = true;
    }

    /// Looks at the processor time used so far, and gives each call that computes its share of what was used since the
    /// last look. Says why the child must be ended.
    pub(super) fn look(
        &mut self,
        processor: Option<Duration>,
        mut computing: Vec<(&mut Duration, Duration)>,
        is_starting: bool,
    ) -> Option<String> {
        // A process that has ended, or is not started yet, is its attendant's.
        let processor = processor?;
        let used = processor.saturating_sub(self.processor);
        self.processor = processor;
        if (computing.is_empty() && !is_starting) || !used.is_zero() {
            self.silent = 0;
        } else {
            self.silent += 1;
        }
        if self.silent >= SILENT_LOOKS {
            return Some(format!("it did nothing for {SILENT_LOOKS} s, though it had work"));
        }
        if let Some(reason) = self.look_at_unasked(used, !computing.is_empty(), is_starting) {
            return Some(reason);
        }
        let share = used / u32::try_from(computing.len()).unwrap_or(u32::MAX).max(1);
        computing.iter_mut().find_map(|(computed, limit)| {
            **computed += share;
            let most = limit.saturating_mul(2).saturating_add(GRACE);
            (**computed > most)
                .then(|| format!("a call computed for {} s and did not end", computed.as_secs()))
        })
    }

    /// Nobody has this time who called: what was asked at any moment since the last look may have taken it.
    fn look_at_unasked(&mut self, used: Duration, is_computing: bool, is_starting: bool) -> Option<String> {
        if std::mem::take(&mut self.is_asked) || is_computing {
            self.unasked = Duration::ZERO;
            return None;
        }
        self.unasked += used;
        let (most, what) = if is_starting { (LOADING, "load the plugin") } else { (UNASKED, "do nothing") };
        let seconds = self.unasked.as_secs();
        (self.unasked > most).then(|| format!("it used {seconds} s of processor time where it was to {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks at a child that computes without end on so many processors, until it is ended; gives the looks it took.
    fn looks_until_ended(watch: &mut Watch, processors: u32, is_starting: bool) -> (u32, String) {
        let begin = watch.processor;
        for look in 1..1000 {
            let used = begin + SECOND * processors * look;
            if let Some(reason) = watch.look(Some(used), vec![], is_starting) {
                return (look, reason);
            }
        }
        panic!("it computes for ever");
    }

    #[test]
    fn a_child_that_computes_though_nothing_is_asked_of_it_is_ended_after_some_seconds() {
        let mut watch = Watch::default();
        let (looks, reason) = looks_until_ended(&mut watch, 1, false);
        assert_eq!((looks, &*reason), (6, "it used 6 s of processor time where it was to do nothing"));
        assert_eq!(looks_until_ended(&mut Watch::default(), 4, false).0, 2, "on four processors");
    }

    #[test]
    fn a_child_that_never_gets_ready_is_ended_after_what_loading_may_take() {
        let (looks, reason) = looks_until_ended(&mut Watch::default(), 1, true);
        assert_eq!((looks, &*reason), (61, "it used 61 s of processor time where it was to load the plugin"));
    }

    #[test]
    fn what_is_asked_between_two_looks_explains_the_time_and_grants_the_pause_after_it_no_more() {
        let mut watch = Watch::default();
        for look in 0..100 {
            watch.asked();
            assert_eq!(watch.look(Some(SECOND * look), vec![], false), None);
        }
        assert_eq!(looks_until_ended(&mut watch, 1, false).0, 6);
    }

    #[test]
    fn a_child_that_stands_still_with_work_is_stuck_after_a_minute_and_one_without_work_never() {
        let (mut watch, mut computed) = (Watch::default(), Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(watch.look(Some(SECOND), vec![], false), None);
        }
        for _ in 1..SILENT_LOOKS {
            assert_eq!(watch.look(Some(SECOND), vec![(&mut computed, SECOND)], false), None);
        }
        assert!(watch.look(Some(SECOND), vec![(&mut computed, SECOND)], false).unwrap().contains("60 s"));
    }

    #[test]
    fn calls_that_compute_side_by_side_share_the_time_and_one_that_goes_on_for_ever_is_stuck() {
        let (mut watch, mut calls) = (Watch::default(), [Duration::ZERO; 4]);
        let mut looks = 0;
        while watch
            .look(
                Some(SECOND * looks),
                calls.iter_mut().map(|computed| (computed, 5 * SECOND)).collect(),
                false,
            )
            .is_none()
        {
            looks += 1;
        }
        // Four calls, each of which may compute for twice its five seconds, and ten more.
        assert_eq!(looks, 81);
    }
}
