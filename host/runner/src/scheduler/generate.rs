//! Generation: prompts join, rows step together, finished rows leave.

use std::time::{Duration, Instant};

use llm_bench_core::model::FinishReason;
use llm_bench_core::{Error, Result};

use super::{Scheduler, WaitingOrder, any_wanted};
use crate::calls::Place;
use crate::generation::{Cohort, Generating, Language, Phases};
use crate::graph::{Continues, Padding};
use crate::oracle;
use crate::prefix::Prefix;
use crate::runner::Execution;

impl Scheduler<'_> {
    /// Begins the generations that there is room for: those that waited longest first.
    pub(super) fn start_generations(&mut self) {
        let calls = &mut self.calls;
        self.prompts.retain(|prompt| any_wanted(calls, &prompt.waiting));
        if self.prompts.is_empty() {
            return;
        }
        if self.engine.execution == Execution::Reference {
            if let Some(prompt) = self.prompts.pop_front() {
                self.generate_by_reference(prompt);
            }
            return;
        }
        let running = self.cohorts.iter().map(Cohort::len).sum::<usize>();
        if !self.engine.limits.allow_rows(running + 1) {
            return;
        }
        let mut started = Instant::now();
        let sequences: Vec<&[u32]> =
            self.prompts.iter().map(|prompt| &prompt.order.prompt[..prompt.order.prompt.len() - 1]).collect();
        self.engine.compute_shared(&sequences);
        while let Some((rows, prefixes)) = self.next_prompts() {
            self.begin(rows, &prefixes, started);
            started = Instant::now();
        }
    }

    /// Takes out the prompts that are begun in one batch; none where there is no room for any.
    fn next_prompts(&mut self) -> Option<(Vec<Generating>, Vec<Option<Prefix>>)> {
        let engine = &mut *self.engine;
        let mut rows_at_once: usize = self.cohorts.iter().map(Cohort::len).sum();
        // A cache has as many slots for each of its rows as for the longest.
        let rows_on_their_way = self.cohorts.iter_mut().flat_map(Cohort::rows);
        let mut longest = rows_on_their_way.map(|row| row.longest()).max().unwrap_or(0);
        let (mut rows, mut prefixes): (Vec<Generating>, Vec<Option<Prefix>>) = (Vec::new(), Vec::new());
        let mut most_new = 0;
        let mut first_group = None;
        let mut index = 0;
        while let Some(WaitingOrder { order, .. }) = self.prompts.get(index) {
            let prefix = engine.prefixes.longest(&order.prompt[..order.prompt.len() - 1]);
            let kept = prefix.as_ref().map_or(0, Prefix::tokens);
            let new = order.prompt.len() - kept;
            let graph = engine.network.graph();
            let group = match graph.padding {
                Padding::Anywhere => (0, 0),
                _ if graph.continues == Continues::Never => (0, 0),
                Padding::Behind => (kept, 0),
                // The rows of a cache have one length, so that they begin and step together from then on.
                Padding::Nowhere | Padding::Alone => (kept, new),
            };
            let runs_alone = graph.padding == Padding::Alone || kept > 0 && !graph.continues_with_many(2);
            let slots = (rows_at_once + 1) * longest.max(order.length());
            let fits = engine.limits.allow(rows.len() + 1, most_new.max(new), 1, slots)
                && engine.limits.allow_rows(rows_at_once + 1);
            if rows_at_once > 0 && !fits {
                break;
            }
            if *first_group.get_or_insert(group) != group || runs_alone && !rows.is_empty() {
                index += 1;
                continue;
            }
            longest = longest.max(order.length());
            rows_at_once += 1;
            most_new = most_new.max(new);
            let key = self.next_key;
            self.next_key += 1;
            rows.push(Generating::new(key, order));
            prefixes.push(prefix);
            if let Some(prompt) = self.prompts.remove(index) {
                self.running.insert(key, prompt.waiting);
            }
            if runs_alone {
                break;
            }
        }
        (!rows.is_empty()).then_some((rows, prefixes))
    }

    /// Runs the prompts and lets the rows join those that step already.
    fn begin(&mut self, rows: Vec<Generating>, prefixes: &[Option<Prefix>], started: Instant) {
        let calls: Vec<usize> = rows.iter().flat_map(|row| self.calls_of(row.key)).collect();
        let sequences: Vec<Vec<u32>> = rows.iter().map(|row| row.shareable().to_vec()).collect();
        let cohorts = self.prefill(rows, prefixes);
        self.engine.prefixes.remember(sequences.iter().map(Vec::as_slice));
        self.calls.spend(calls, Phases { prefill: started.elapsed(), decode: Duration::ZERO });
        for mut cohort in cohorts {
            let ended = cohort.take_ended(self.engine.network.graph());
            self.finish(ended);
            if !cohort.is_empty() {
                self.join(cohort);
            }
        }
    }

    fn join(&mut self, cohort: Cohort) {
        let graph = self.engine.network.graph();
        match self.cohorts.iter_mut().find(|there| there.can_take(&cohort, graph)) {
            Some(there) => {
                let ended = there.take(cohort, graph);
                self.finish(ended);
            }
            None => self.cohorts.push(cohort),
        }
    }

    /// Runs prompts together; when the model fails, each alone, so that one fails its own calls only.
    fn prefill(&mut self, rows: Vec<Generating>, prefixes: &[Option<Prefix>]) -> Vec<Cohort> {
        let is_alone = rows.len() == 1;
        match self.try_prefill(rows, prefixes) {
            Ok(cohort) => vec![cohort],
            Err((error, mut rows)) if is_alone => {
                for row in &mut rows {
                    row.end(Err(error.clone()));
                }
                self.finish(rows);
                Vec::new()
            }
            Err((error, rows)) => {
                tracing::warn!(?error, rows = rows.len(), "a batch of prompts failed; each runs alone");
                rows.into_iter().flat_map(|row| self.prefill(vec![row], &[None])).collect()
            }
        }
    }

    fn try_prefill(
        &mut self,
        rows: Vec<Generating>,
        prefixes: &[Option<Prefix>],
    ) -> Result<Cohort, (Error, Vec<Generating>)> {
        let engine = &mut *self.engine;
        if let [row] = &rows[..]
            && let Err(error) = engine.check_memory(row.longest())
        {
            return Err((error, rows));
        }
        let kept: Vec<usize> =
            prefixes.iter().map(|prefix| prefix.as_ref().map_or(0, Prefix::tokens)).collect();
        let past = match engine.prefixes.past(engine.network.graph(), prefixes) {
            Ok(past) => past,
            Err(error) => return Err((error, rows)),
        };
        let language = Language { tokenizer: &engine.tokenizer, end_ids: &engine.end_ids };
        Cohort::start(&mut engine.network, language, rows, past.as_deref(), &kept)
    }

    /// Lets every generation on its way write one more token.
    pub(super) fn step_generations(&mut self) {
        for mut cohort in std::mem::take(&mut self.cohorts) {
            for row in cohort.rows() {
                let waiting = self.running.get(&row.key).map_or(&[][..], Vec::as_slice);
                if !any_wanted(&mut self.calls, waiting) {
                    row.end(Ok(FinishReason::Cancelled));
                }
            }
            self.finish_ended(&mut cohort);
            if cohort.is_empty() {
                continue;
            }
            let started = Instant::now();
            let engine = &mut *self.engine;
            let language = Language { tokenizer: &engine.tokenizer, end_ids: &engine.end_ids };
            let stepped = cohort.step(&mut engine.network, language);
            let calls: Vec<usize> = cohort
                .rows()
                .flat_map(|row| self.running[&row.key].clone())
                .map(|place| place.call)
                .collect();
            self.calls.spend(calls, Phases { prefill: Duration::ZERO, decode: started.elapsed() });
            match stepped {
                Ok(()) => {
                    self.finish_ended(&mut cohort);
                    if !cohort.is_empty() {
                        self.cohorts.push(cohort);
                    }
                }
                Err(error) if cohort.len() == 1 => {
                    for row in cohort.rows() {
                        row.end(Err(error.clone()));
                    }
                    self.finish_ended(&mut cohort);
                }
                // Each alone, from its tokens, so that only the one at fault fails.
                Err(error) => {
                    tracing::warn!(
                        ?error,
                        rows = cohort.len(),
                        "a batch of generations failed; each goes on alone"
                    );
                    for row in cohort.into_rows() {
                        let alone = self.prefill(vec![row], &[None]);
                        self.cohorts.extend(alone);
                    }
                }
            }
        }
    }

    fn finish_ended(&mut self, cohort: &mut Cohort) {
        let ended = cohort.take_ended(self.engine.network.graph());
        self.finish(ended);
    }

    /// Answers the requests of generations that have ended.
    fn finish(&mut self, ended: Vec<Generating>) {
        for row in ended {
            let places = self.running.remove(&row.key).unwrap_or_default();
            let engine = &*self.engine;
            let language = Language { tokenizer: &engine.tokenizer, end_ids: &engine.end_ids };
            match row.outcome(language) {
                Ok(outcome) => {
                    for place in places {
                        self.calls.generated(place, outcome.clone());
                    }
                }
                Err(error) => {
                    for place in places {
                        self.calls.fail(place.call, error.clone());
                    }
                }
            }
        }
    }

    fn generate_by_reference(&mut self, prompt: WaitingOrder) {
        let started = Instant::now();
        let mut row = Generating::new(self.next_key, &prompt.order);
        self.next_key += 1;
        let engine = &mut *self.engine;
        let language = Language { tokenizer: &engine.tokenizer, end_ids: &engine.end_ids };
        let calls = &mut self.calls;
        let generated = oracle::generate(&mut engine.network, language, &mut row, &mut || {
            any_wanted(calls, &prompt.waiting)
        });
        if let Err(error) = generated {
            row.end(Err(error));
        }
        let numbers = prompt.waiting.iter().map(|place| place.call);
        self.calls.spend(numbers, Phases { prefill: Duration::ZERO, decode: started.elapsed() });
        self.running.insert(row.key, prompt.waiting);
        self.finish(vec![row]);
    }

    fn calls_of(&self, key: usize) -> Vec<usize> {
        self.running.get(&key).into_iter().flatten().map(|place: &Place| place.call).collect()
    }
}
