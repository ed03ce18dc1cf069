//! One scheduler a model: the rows of all calls at hand form batches.
//!
//! Each turn runs one batch of scoring, lets new generations join, and steps those that run. What calls ask in common is
//! computed once: equal requests, continuations of one context, prefixes.

mod generate;
mod score;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use llm_bench_core::Error;

use crate::calls::{Calls, Command, Place};
use crate::engine::{Engine, Prepared, Rows};
use crate::generation::{Cohort, Order};
use crate::scoring::{Family, ScoringRow};

/// Parts a context from its continuation in a key: the same tokens parted elsewhere ask something else.
const NO_TOKEN: u32 = u32::MAX;

pub(crate) struct Scheduler<'engine> {
    engine: &'engine mut Engine,
    calls: Calls,
    /// What is to be scored, by context; by context and continuation where continuations are computed apart.
    families: HashMap<Vec<u32>, WaitingFamily>,
    /// Generations that have not begun.
    prompts: VecDeque<WaitingOrder>,
    /// Generations on their way, by their key.
    running: HashMap<usize, Vec<Place>>,
    cohorts: Vec<Cohort>,
    next_key: usize,
}

struct WaitingFamily {
    family: Family,
    /// For each continuation the requests that it answers.
    waiting: Vec<Vec<Place>>,
}

struct WaitingOrder {
    order: Order,
    /// The requests that it answers.
    waiting: Vec<Place>,
}

impl<'engine> Scheduler<'engine> {
    pub(crate) fn new(engine: &'engine mut Engine) -> Self {
        Self {
            engine,
            calls: Calls::default(),
            families: HashMap::new(),
            prompts: VecDeque::new(),
            running: HashMap::new(),
            cohorts: Vec::new(),
            next_key: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.families.is_empty() && self.prompts.is_empty() && self.cohorts.is_empty()
    }

    /// How many calls were answered since this was asked last.
    pub(crate) fn take_answered(&mut self) -> usize {
        self.calls.take_answered()
    }

    /// Takes a call in: its texts become tokens here.
    pub(crate) fn admit(&mut self, command: Command) {
        if command.is_abandoned() {
            return;
        }
        let started = Instant::now();
        match self.engine.prepare(&command.request) {
            Ok(Prepared { rows, response, prompt_tokens }) => {
                let count = match &rows {
                    Rows::Score(rows) => rows.len(),
                    Rows::Generate(rows) => rows.len(),
                };
                let call = self.calls.add(command, response, prompt_tokens, started.elapsed(), count);
                match rows {
                    Rows::Score(rows) => {
                        for (request, row) in rows {
                            self.add_row(&row, Place { call, request });
                        }
                    }
                    Rows::Generate(orders) => {
                        for (request, order) in orders {
                            self.add_order(order, Place { call, request });
                        }
                    }
                }
            }
            Err(error) => {
                // A receiver that is gone wants no answer.
                let _ = command.answer.send(Err(error));
            }
        }
    }

    fn add_row(&mut self, row: &ScoringRow, place: Place) {
        let mut key = row.input[..row.context_length()].to_vec();
        if !self.engine.shares_contexts(key.len()) {
            key.push(NO_TOKEN);
            key.extend(&row.targets);
        }
        if let Some(there) = self.families.get_mut(&key) {
            let number = there.family.add(&row.targets);
            match there.waiting.get_mut(number) {
                Some(waiting) => waiting.push(place),
                None => there.waiting.push(vec![place]),
            }
        } else {
            let new = WaitingFamily { family: Family::new(row), waiting: vec![vec![place]] };
            self.families.insert(key, new);
        }
    }

    fn add_order(&mut self, order: Order, place: Place) {
        match self.prompts.iter_mut().find(|there| there.order == order) {
            Some(there) => there.waiting.push(place),
            None => self.prompts.push_back(WaitingOrder { order, waiting: vec![place] }),
        }
    }

    /// Does some of the work at hand.
    pub(crate) fn turn(&mut self) {
        self.score();
        self.start_generations();
        self.step_generations();
    }

    /// Fails every call and forgets what was on its way.
    pub(crate) fn give_up(&mut self) {
        self.families.clear();
        self.prompts.clear();
        self.running.clear();
        self.cohorts.clear();
        self.calls.fail_all(&Error::internal("model-failed", "the model's thread met a defect: see the log"));
    }
}

/// Whether any of the requests is still wanted; calls that were given up are answered.
fn any_wanted(calls: &mut Calls, waiting: &[Place]) -> bool {
    let mut is_any = false;
    for place in waiting {
        is_any |= calls.is_wanted(place.call);
    }
    is_any
}
