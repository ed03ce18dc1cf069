//! What keeps a model loaded, or says that it is being loaded, for as long as it lives.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::ModelPool;
use crate::Result;
use crate::model::{LoadedModel, Model, ModelAnswer, ModelRequest};

/// A model that a benchmark uses.
pub(super) struct PinnedModel {
    // Dropped in this order: the pool holds the model until nobody else does, so that it is the pool that ends it.
    model: Arc<dyn LoadedModel>,
    _pin: Pin,
}

impl PinnedModel {
    pub(super) fn new(model: Arc<dyn LoadedModel>, pin: Pin) -> Self {
        Self { model, _pin: pin }
    }
}

#[async_trait]
impl LoadedModel for PinnedModel {
    async fn answer(&self, request: ModelRequest, cancel: CancellationToken) -> Result<ModelAnswer> {
        self.model.answer(request, cancel).await
    }
}

/// One that a model is not unloaded under.
pub(super) struct Pin {
    pool: Arc<ModelPool>,
    model: Model,
}

impl Pin {
    pub(super) fn new(pool: &Arc<ModelPool>, model: &Model) -> Self {
        pool.slots().of(model).pins += 1;
        let pin = Self { pool: pool.clone(), model: model.clone() };
        pin.mark_used();
        pin
    }

    fn mark_used(&self) {
        let now = self.pool.clock.now();
        let mut slots = self.pool.slots();
        slots.touch(&self.model);
        slots.of(&self.model).last_used_at = Some(now);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.mark_used();
        self.pool.slots().of(&self.model).pins -= 1;
        self.pool.released.notify_one();
    }
}

/// One who waits for a model to be loaded.
pub(super) struct Loading {
    pool: Arc<ModelPool>,
    model: Model,
}

impl Loading {
    pub(super) fn new(pool: &Arc<ModelPool>, model: &Model) -> Self {
        pool.slots().of(model).loads += 1;
        Self { pool: pool.clone(), model: model.clone() }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.pool.slots().of(&self.model).loads -= 1;
    }
}
