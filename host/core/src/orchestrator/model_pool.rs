//! Loaded models, shared by the benchmarks that use them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use crate::Result;
use crate::model::{LoadedModel, Model, ModelRunner};

/// Loads a model once for all benchmarks that run on it, and keeps the latest one loaded between them.
pub(super) struct ModelPool {
    runner: Arc<dyn ModelRunner>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: HashMap<String, Weak<dyn LoadedModel>>,
    latest: Option<Arc<dyn LoadedModel>>,
}

impl ModelPool {
    pub(super) fn new(runner: Arc<dyn ModelRunner>) -> Self {
        Self { runner, state: Mutex::default() }
    }

    /// The model, loaded. Loads are made one after another: each wants the whole machine.
    pub(super) async fn load(&self, model: &Model) -> Result<Arc<dyn LoadedModel>> {
        let mut state = self.state.lock().await;
        let digest = &model.facts.digest;
        let loaded = if let Some(loaded) = state.loaded.get(digest).and_then(Weak::upgrade) {
            loaded
        } else {
            // The model kept from before makes room first, unless a benchmark still uses it.
            state.latest = None;
            state.loaded.retain(|_, model| model.strong_count() > 0);
            let loaded = self.runner.load(model).await?;
            state.loaded.insert(digest.clone(), Arc::downgrade(&loaded));
            loaded
        };
        state.latest = Some(loaded.clone());
        Ok(loaded)
    }
}
