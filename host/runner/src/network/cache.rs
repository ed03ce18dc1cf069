//! The KV cache of a batch.

use llm_bench_core::Result;
use ort::value::DynValue;

use super::{failed, tensor};
use crate::graph::Graph;

/// Keys and values of every layer, `[rows, heads, length, width]` each, in native memory.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) values: Vec<DynValue>,
    /// Slots of each row; a slot may hold no token of its row.
    pub(crate) length: usize,
}

/// A stretch of one row of a cache, and where it goes in a new one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'cache> {
    pub(crate) cache: &'cache Cache,
    pub(crate) row: usize,
    /// The first slot.
    pub(crate) start: usize,
    /// Slots.
    pub(crate) length: usize,
    pub(crate) to_row: usize,
    /// The slot of the new cache that the first one becomes.
    pub(crate) to: usize,
}

impl Cache {
    /// A cache without layers.
    #[cfg(test)]
    pub(crate) fn of_nothing(length: usize) -> Self {
        Self { values: Vec::new(), length }
    }

    /// Copies stretches into a new cache; slots that none fills are 0.
    pub(crate) fn assemble(
        graph: &Graph,
        rows: usize,
        length: usize,
        stretches: &[Stretch<'_>],
    ) -> Result<Self> {
        tracing::trace!(rows, length, "a cache is copied");
        let values = graph
            .cache
            .iter()
            .enumerate()
            .map(|(index, slot)| {
                let sources = stretches.iter().map(|stretch| (&stretch.cache.values[index], stretch));
                tensor::assemble(slot.float, [rows, slot.heads, length, slot.width], sources)
            })
            .collect::<ort::Result<Vec<_>>>()
            .map_err(failed)?;
        Ok(Self { values, length })
    }

    /// A copy of some rows, whole.
    pub(crate) fn select(&self, graph: &Graph, rows: &[usize]) -> Result<Self> {
        let stretch = |(to_row, &row): (usize, &usize)| Stretch {
            cache: self,
            row,
            start: 0,
            length: self.length,
            to_row,
            to: 0,
        };
        let stretches: Vec<_> = rows.iter().enumerate().map(stretch).collect();
        Self::assemble(graph, rows.len(), self.length, &stretches)
    }

    /// A cache without slots.
    pub(super) fn empty(graph: &Graph, rows: usize) -> Result<Self> {
        let values = (graph.cache.iter())
            .map(|slot| tensor::empty(slot.float, [rows, slot.heads, 0, slot.width]))
            .collect::<ort::Result<Vec<_>>>()
            .map_err(failed)?;
        Ok(Self { values, length: 0 })
    }
}
