//! Whether a child gets on with its calls: judged by the processor time that the kernel counts for it.

use std::time::Duration;

/// How often is looked.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A child that has to compute and uses no processor for so many looks is stuck: stopped, or waiting for itself.
const SILENT_LOOKS: u32 = 60;

/// What a call may compute beyond its limit before it is the process that hangs: guests share its threads by turns,
/// which are not of equal length.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Watch {
    processor: Duration,
    silent: u32,
}

impl Watch {
    /// Looks at the processor time used so far, and gives each call that computes its share of what was used since the
    /// last look. Says why the child must be taken as stuck.
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
        let share = used / u32::try_from(computing.len()).unwrap_or(u32::MAX).max(1);
        computing.iter_mut().find_map(|(computed, limit)| {
            **computed += share;
            let most = limit.saturating_mul(2).saturating_add(GRACE);
            (**computed > most)
                .then(|| format!("a call computed for {} s and did not end", computed.as_secs()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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
