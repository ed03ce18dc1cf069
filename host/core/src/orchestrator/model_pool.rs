//! Loaded models: shared by the benchmarks that use them, and kept between them as far as a memory budget goes.

mod pin;
mod slots;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::model::{LoadedModel, Model, ModelRunner};
use crate::{Error, Result};

use pin::{Loading, Pin, PinnedModel};
use slots::{Crowded, Slots};
pub use slots::{ModelState, Residence};

/// Loads each model once for all that use it. One that nobody uses stays until its memory is needed; those used longest
/// ago go first.
///
/// A model is not loaded beside models in use with which it would exceed the budget: who asks waits until these are
/// free. All models of a benchmark are asked for together, and one who waits holds none, so nobody waits for
/// a waiting one. A benchmark whose own models exceed the budget gets them once nothing else is in use.
pub(super) struct ModelPool {
    runner: Arc<dyn ModelRunner>,
    clock: Arc<dyn Clock>,
    /// Loads are made one after another, in the order they were asked for: each wants the whole machine, and a large
    /// model must not wait for ever behind small ones that came later.
    turn: tokio::sync::Mutex<()>,
    slots: Mutex<Slots>,
    /// Wakes the one whose turn it is when a model is no longer in use.
    released: Notify,
}

impl ModelPool {
    pub(super) fn new(runner: Arc<dyn ModelRunner>, clock: Arc<dyn Clock>, budget_bytes: u64) -> Self {
        let slots = Mutex::new(Slots::new(budget_bytes));
        Self { runner, clock, turn: tokio::sync::Mutex::default(), slots, released: Notify::new() }
    }

    /// The models, loaded; each stays so until what is returned for it is dropped.
    ///
    /// # Errors
    /// Those of [`ModelRunner::load`].
    pub(super) async fn acquire(self: &Arc<Self>, models: &[&Model]) -> Result<Vec<Arc<dyn LoadedModel>>> {
        let _turn = self.turn.lock().await;
        while let Err(crowded) = self.make_room(models).await {
            tracing::info!("{crowded}; waiting until one of them is free");
            self.released.notified().await;
        }
        let pins: Vec<Pin> = models.iter().map(|model| Pin::new(self, model)).collect();
        let mut acquired: Vec<Arc<dyn LoadedModel>> = Vec::new();
        for (model, pin) in models.iter().zip(pins) {
            acquired.push(Arc::new(PinnedModel::new(self.loaded(model).await?, pin)));
        }
        Ok(acquired)
    }

    /// Begins to load a model that nobody uses yet, unless it is loaded; [`ModelPool::residence`] tells when it is.
    ///
    /// # Errors
    /// `model-memory-in-use` when it would not fit beside the models in use.
    pub(super) fn start_loading(self: &Arc<Self>, model: &Model) -> Result<Residence> {
        let digest = &model.facts.digest;
        {
            let mut slots = self.slots();
            let residence = slots.residence(digest);
            if residence.state != ModelState::Unloaded {
                return Ok(residence);
            }
            slots.check_room(&[model]).map_err(Crowded::refusal)?;
            slots.of(model).error = None;
        }
        let (pool, model, loading) = (self.clone(), model.clone(), Loading::new(self, model));
        let residence = self.residence(&model);
        tokio::spawn(async move {
            if let Err(error) = pool.load_unused(&model).await {
                tracing::warn!(model = %model.name, ?error, "a model cannot be loaded");
                pool.slots().of(&model).error = Some(error.message);
            }
            drop(loading);
        });
        Ok(residence)
    }

    /// Begins to load a model for one who will ask for it, and tells that one alone what is wrong with it.
    pub(super) fn load_ahead(self: &Arc<Self>, model: &Model) {
        let (pool, model) = (self.clone(), model.clone());
        tokio::spawn(async move {
            if let Err(error) = pool.load_unused(&model).await {
                tracing::debug!(model = %model.name, ?error, "a model is not loaded ahead");
            }
        });
    }

    /// Gives back the memory of a model that nobody uses.
    ///
    /// # Errors
    /// `model-in-use`, `model-loading`.
    pub(super) async fn unload(&self, model: &Model) -> Result<Residence> {
        let digest = &model.facts.digest;
        let refused = |code, state| {
            let message = format!("model `{}` is {state}; it can be unloaded afterwards", model.name);
            Err(Error::conflict(code, message))
        };
        let unloaded = {
            let mut slots = self.slots();
            match slots.residence(digest).state {
                ModelState::InUse => return refused("model-in-use", "in use by a benchmark"),
                ModelState::Loading => return refused("model-loading", "being loaded"),
                ModelState::Loaded | ModelState::Unloaded => {
                    let slot = slots.of(model);
                    slot.error = None;
                    slot.model.take()
                }
            }
        };
        give_back(unloaded.into_iter().collect()).await;
        Ok(self.slots().residence(digest))
    }

    /// Where a model stands in this process.
    pub(super) fn residence(&self, model: &Model) -> Residence {
        self.slots().residence(&model.facts.digest)
    }

    async fn load_unused(self: &Arc<Self>, model: &Model) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.make_room(&[model]).await.map_err(Crowded::refusal)?;
        self.loaded(model).await.map(drop)
    }

    /// Unloads what must go so that the models fit. Only who has the turn may call it.
    async fn make_room(&self, models: &[&Model]) -> Result<(), Crowded> {
        let evicted = self.slots().make_room(models)?;
        give_back(evicted).await;
        Ok(())
    }

    /// The loaded model, which is loaded if it is not. Only who has the turn may call it.
    async fn loaded(self: &Arc<Self>, model: &Model) -> Result<Arc<dyn LoadedModel>> {
        if let Some(loaded) = self.slots().of(model).model.clone() {
            return Ok(loaded);
        }
        let _loading = Loading::new(self, model);
        let loaded = self.runner.load(model).await?;
        let mut slots = self.slots();
        slots.touch(model);
        let slot = slots.of(model);
        slot.model = Some(loaded.clone());
        slot.error = None;
        drop(slots);
        Ok(loaded)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until models are gone: ending a thread or a process takes a while, which a thread of the runtime must not, and
/// the memory must be free before the next model takes it.
async fn give_back(models: Vec<Arc<dyn LoadedModel>>) {
    if !models.is_empty() && tokio::task::spawn_blocking(move || drop(models)).await.is_err() {
        tracing::error!("a model panicked while it was unloaded");
    }
}
