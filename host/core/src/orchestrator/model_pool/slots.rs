//! What is loaded, how large it is, and when it was used.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::model::{LoadedModel, Model};

/// Whether a model is in this process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelState {
    Unloaded,
    Loading,
    /// Loaded and idle: it can be unloaded.
    Loaded,
    /// Loaded, and a benchmark runs on it.
    InUse,
}

/// Where a model stands in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residence {
    pub state: ModelState,
    /// When a benchmark began or ended with it last; none since this process began.
    pub last_used_at: Option<Timestamp>,
    /// Why it could not be loaded when it was last asked for by itself.
    pub error: Option<String>,
}

/// Models by digest: two names of the same files are one model.
pub(super) struct Slots {
    budget_bytes: u64,
    by_digest: HashMap<String, Slot>,
    /// Counts uses, which a clock may not tell apart.
    uses: u64,
}

pub(super) struct Slot {
    name: String,
    /// Of its files.
    bytes: u64,
    pub(super) model: Option<Arc<dyn LoadedModel>>,
    /// How many hold it loaded.
    pub(super) pins: usize,
    /// How many wait for it to be loaded.
    pub(super) loads: usize,
    last_use: u64,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) error: Option<String>,
}

/// Models that do not fit beside those in use.
#[derive(Debug)]
pub(super) struct Crowded {
    wanted: Vec<String>,
    in_use: Vec<String>,
    budget_bytes: u64,
}

impl Slots {
    pub(super) fn new(budget_bytes: u64) -> Self {
        Self { budget_bytes, by_digest: HashMap::new(), uses: 0 }
    }

    pub(super) fn of(&mut self, model: &Model) -> &mut Slot {
        self.by_digest.entry(model.facts.digest.clone()).or_insert_with(|| Slot {
            name: model.name.clone(),
            bytes: model.facts.bytes,
            model: None,
            pins: 0,
            loads: 0,
            last_use: 0,
            last_used_at: None,
            error: None,
        })
    }

    pub(super) fn residence(&self, digest: &str) -> Residence {
        match self.by_digest.get(digest) {
            None => Residence { state: ModelState::Unloaded, last_used_at: None, error: None },
            Some(slot) => {
                Residence { state: slot.state(), last_used_at: slot.last_used_at, error: slot.error.clone() }
            }
        }
    }

    /// Makes a model the one that was used last.
    pub(super) fn touch(&mut self, model: &Model) {
        self.uses += 1;
        self.of(model).last_use = self.uses;
    }

    /// Whether models could be loaded without waiting, once those that nobody uses have gone.
    pub(super) fn check_room(&mut self, wanted: &[&Model]) -> Result<(), Crowded> {
        if self.are_loaded(wanted) {
            return Ok(());
        }
        let digests = digests(wanted);
        let wanted_bytes = self.bytes(|digest, _| digests.contains(digest));
        let others = |digest: &str, slot: &Slot| slot.pins > 0 && !digests.contains(digest);
        let used_bytes = self.bytes(others);
        if used_bytes == 0 || wanted_bytes.saturating_add(used_bytes) <= self.budget_bytes {
            return Ok(());
        }
        let mut in_use: Vec<String> = self
            .by_digest
            .iter()
            .filter(|(digest, slot)| others(digest, slot))
            .map(|(_, slot)| slot.name.clone())
            .collect();
        in_use.sort();
        let wanted = wanted.iter().map(|model| model.name.clone()).collect();
        Err(Crowded { wanted, in_use, budget_bytes: self.budget_bytes })
    }

    /// Takes out what must go so that models can be loaded: of those that nobody uses the ones used longest ago.
    pub(super) fn make_room(&mut self, wanted: &[&Model]) -> Result<Vec<Arc<dyn LoadedModel>>, Crowded> {
        self.check_room(wanted)?;
        let mut evicted = Vec::new();
        if self.are_loaded(wanted) {
            return Ok(evicted);
        }
        let wanted = digests(wanted);
        loop {
            let taken = self.bytes(|digest, slot| slot.model.is_some() || wanted.contains(digest));
            if taken <= self.budget_bytes {
                break;
            }
            let idle = self.by_digest.iter_mut().filter(|(digest, slot)| {
                slot.state() == ModelState::Loaded && !wanted.contains(digest.as_str())
            });
            let Some((_, slot)) = idle.min_by_key(|(_, slot)| slot.last_use) else {
                tracing::warn!(
                    taken,
                    budget = self.budget_bytes,
                    "a benchmark's models exceed the model cache"
                );
                break;
            };
            tracing::info!(model = slot.name, "unloaded to make room");
            evicted.extend(slot.model.take());
        }
        Ok(evicted)
    }

    fn are_loaded(&mut self, models: &[&Model]) -> bool {
        // Each gets a slot, also those behind the first that is not loaded.
        models.iter().filter(|model| self.of(model).model.is_none()).count() == 0
    }

    fn bytes(&self, counts: impl Fn(&str, &Slot) -> bool) -> u64 {
        self.by_digest
            .iter()
            .filter(|(digest, slot)| counts(digest, slot))
            .fold(0, |sum, (_, slot)| sum.saturating_add(slot.bytes))
    }
}

impl Slot {
    fn state(&self) -> ModelState {
        match &self.model {
            Some(_) if self.pins > 0 => ModelState::InUse,
            Some(_) => ModelState::Loaded,
            None if self.loads > 0 || self.pins > 0 => ModelState::Loading,
            None => ModelState::Unloaded,
        }
    }
}

impl Crowded {
    /// The error of who does not wait.
    pub(super) fn refusal(self) -> Error {
        Error::conflict("model-memory-in-use", format!("{self}; load it when one of them is free"))
    }
}

impl fmt::Display for Crowded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        write!(
            formatter,
            "{} would not fit into the {} MiB of the model cache beside {}, which benchmarks use",
            self.wanted.join(", "),
            self.budget_bytes / MIB,
            self.in_use.join(", ")
        )
    }
}

fn digests<'a>(models: &[&'a Model]) -> BTreeSet<&'a str> {
    models.iter().map(|model| &*model.facts.digest).collect()
}
