//! A loaded graph: token ids in, logits and the KV cache out.

mod tensor;
mod trial;

use std::borrow::Cow;
use std::path::Path;

use half::f16;
use llm_bench_core::{Error, Result};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::DynValue;

use crate::folder::ModelFolder;
use crate::graph::{Float, Graph, in_bfloat16};
use crate::provider::Provider;

/// One run of the graph over `rows` sequences of `length` new tokens each, after a cache of some length.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) rows: usize,
    /// `[rows, length]`.
    pub(crate) ids: Vec<i64>,
    /// 1 for a token, 0 for padding: `[rows, cache length + length]`.
    pub(crate) mask: Vec<i64>,
    /// A token's place in its sequence: `[rows, length]`.
    pub(crate) positions: Vec<i64>,
}

/// Keys and values of every layer, `[rows, heads, length, width]` each; native memory that is handed on uncopied.
#[derive(Debug)]
pub(crate) struct Cache {
    values: Vec<DynValue>,
    length: usize,
}

pub(crate) struct Network {
    session: Session,
    graph: Graph,
    only_logits: RunOptions<ort::session::HasSelectedOutputs>,
}

impl Network {
    /// Loads a graph with its weights; `threads` is what one run may use, none for all cores.
    ///
    /// # Errors
    /// `model-file-broken` when the library refuses the file, `unsupported-graph` for what it takes or gives,
    /// `provider-missing` or `provider-failed` when the library cannot run it on what was asked for.
    pub(crate) fn open(
        environment: &Environment,
        folder: &ModelFolder,
        threads: Option<usize>,
        provider: Provider,
    ) -> Result<Self> {
        let file = &folder.graph;
        let builder = provider.register(builder(threads, environment).map_err(failed)?)?;
        let session = commit(builder, &folder.path.join(file)).map_err(|error| {
            match &folder.graph_file.bfloat16 {
                _ if provider != Provider::Cpu => Error::unavailable(
                    "provider-failed",
                    format!("ONNX Runtime cannot load `{file}` for `{provider}`: {}", first_line(&error)),
                ),
                Some(name) => in_bfloat16(name),
                None => Error::invalid(
                    "model-file-broken",
                    format!("ONNX Runtime cannot load `{file}`: {}", first_line(&error)),
                ),
            }
            .because(error)
        })?;
        let graph = Graph::of(&session, &folder.graph_file)?;
        let only_logits =
            RunOptions::new().map_err(failed)?.with_outputs(OutputSelector::no_default().with("logits"));
        let mut network = Self { session, graph, only_logits };
        if network.graph.needs_trial {
            network.try_out()?;
        }
        Ok(network)
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Runs whole sequences and gives their logits only.
    pub(crate) fn score(&mut self, step: Step) -> Result<Logits> {
        let shape = step.shape()?;
        let inputs = inputs(&self.graph, step, self.empty_cache(shape.0)?)?;
        let mut outputs = self.session.run_with_options(inputs, &self.only_logits).map_err(failed)?;
        Logits::new(outputs.remove("logits"), self.graph.logits, shape)
    }

    /// Runs new tokens after `cache` (none: at the start) and gives their logits and the longer cache.
    ///
    /// A graph without a cache gives an empty one: the caller then runs whole sequences each time.
    pub(crate) fn advance(&mut self, step: Step, cache: Option<Cache>) -> Result<(Logits, Cache)> {
        let shape = step.shape()?;
        let cache = match cache {
            Some(cache) => cache,
            None => self.empty_cache(shape.0)?,
        };
        let length = cache.length + shape.1;
        let inputs = inputs(&self.graph, step, cache)?;
        let mut outputs = self.session.run(inputs).map_err(failed)?;
        let values = (self.graph.cache.iter())
            .map(|slot| outputs.remove(&slot.present).ok_or_else(|| missing_output(&slot.present)))
            .collect::<Result<Vec<_>>>()?;
        let logits = Logits::new(outputs.remove("logits"), self.graph.logits, shape)?;
        Ok((logits, Cache { length: if values.is_empty() { 0 } else { length }, values }))
    }

    /// A cache of the given rows of `cache`, in that order.
    pub(crate) fn keep_rows(&self, cache: &Cache, rows: &[usize]) -> Result<Cache> {
        let values = (self.graph.cache.iter().zip(&cache.values))
            .map(|(slot, value)| tensor::select_rows(value, slot.float, rows))
            .collect::<ort::Result<Vec<_>>>()
            .map_err(failed)?;
        Ok(Cache { values, length: cache.length })
    }

    fn empty_cache(&self, rows: usize) -> Result<Cache> {
        let values = (self.graph.cache.iter())
            .map(|slot| tensor::empty(slot.float, [rows, slot.heads, 0, slot.width]))
            .collect::<ort::Result<Vec<_>>>()
            .map_err(failed)?;
        Ok(Cache { values, length: 0 })
    }
}

/// The graph's inputs for one run, by name.
type Inputs<'graph> = Vec<(Cow<'graph, str>, SessionInputValue<'static>)>;

fn inputs(graph: &Graph, step: Step, cache: Cache) -> Result<Inputs<'_>> {
    let (rows, length) = step.shape()?;
    let mut inputs: Inputs<'_> = Vec::new();
    let mut add = |name: &'static str, value: ort::Result<DynValue>| -> Result<()> {
        inputs.push((name.into(), value.map_err(failed)?.into()));
        Ok(())
    };
    add("input_ids", tensor::integers(graph.input_ids, vec![rows, length], step.ids))?;
    if let Some(integer) = graph.attention_mask {
        add("attention_mask", tensor::integers(integer, vec![rows, cache.length + length], step.mask))?;
    }
    if let Some(integer) = graph.position_ids {
        add("position_ids", tensor::integers(integer, vec![rows, length], step.positions))?;
    }
    if let Some(integer) = graph.cache_position {
        let places =
            (cache.length..cache.length + length).map(|place| i64::try_from(place).unwrap_or(i64::MAX));
        add("cache_position", tensor::integers(integer, vec![length], places.collect()))?;
    }
    if graph.use_cache_branch {
        add("use_cache_branch", tensor::boolean(cache.length > 0))?;
    }
    if let Some(keep) = &graph.logits_to_keep {
        // All of the new tokens' logits: what 0 means differs between exporters.
        let shape = if keep.is_array { vec![1] } else { Vec::new() };
        let kept = i64::try_from(length).unwrap_or(i64::MAX);
        let value = tensor::integers(keep.integer, shape, vec![kept]).map_err(failed)?;
        inputs.push((keep.name.as_str().into(), value.into()));
    }
    for (slot, value) in graph.cache.iter().zip(cache.values) {
        inputs.push((slot.past.as_str().into(), value.into()));
    }
    Ok(inputs)
}

impl Step {
    /// Rows and new tokens of each.
    fn shape(&self) -> Result<(usize, usize)> {
        match self.ids.len().checked_div(self.rows) {
            Some(length) if length > 0 && length * self.rows == self.ids.len() => Ok((self.rows, length)),
            _ => Err(Error::internal("model-failed", "a batch without tokens reached the model")),
        }
    }
}

/// What the graph gives for each new token: `[rows, length, vocabulary]`.
pub(crate) struct Logits {
    value: DynValue,
    float: Float,
    length: usize,
    vocabulary: usize,
}

impl Logits {
    fn new(value: Option<DynValue>, float: Float, (rows, length): (usize, usize)) -> Result<Self> {
        let value = value.ok_or_else(|| missing_output("logits"))?;
        let shape: Vec<usize> = (value.dtype().tensor_shape().into_iter().flat_map(|shape| shape.iter()))
            .map(|&size| usize::try_from(size).unwrap_or(0))
            .collect();
        match shape[..] {
            [given_rows, given_length, vocabulary]
                if given_rows == rows && given_length == length && vocabulary > 0 =>
            {
                Ok(Self { value, float, length, vocabulary })
            }
            _ => Err(Error::unsupported(
                "unsupported-graph",
                format!("the model's graph gives logits of shape {shape:?} for {rows} × {length} tokens"),
            )),
        }
    }

    /// The logits after the token at `position` of `row`, one for each word of the vocabulary.
    pub(crate) fn at(&self, row: usize, position: usize) -> Result<Cow<'_, [f32]>> {
        let start = (row * self.length + position) * self.vocabulary;
        let range = start..start + self.vocabulary;
        Ok(match self.float {
            Float::F32 => Cow::Borrowed(&self.value.try_extract_tensor::<f32>().map_err(failed)?.1[range]),
            Float::F16 => {
                let halves = &self.value.try_extract_tensor::<f16>().map_err(failed)?.1[range];
                Cow::Owned(halves.iter().map(|half| half.to_f32()).collect())
            }
        })
    }
}

fn builder(threads: Option<usize>, environment: &Environment) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        // Idle threads of one model would take the cores of another, and be counted as its energy.
        .with_intra_op_spinning(false)?
        // Batches have many shapes; a pattern for each is memory that is never given back.
        .with_memory_pattern(false)?;
    Ok(match threads {
        Some(threads) => builder.with_intra_threads(threads)?,
        None => builder,
    })
}

fn commit(mut builder: SessionBuilder, file: &Path) -> ort::Result<Session> {
    builder.commit_from_file(file)
}

fn failed(error: ort::Error) -> Error {
    Error::internal("model-failed", format!("ONNX Runtime failed: {}", first_line(&error))).because(error)
}

fn missing_output(name: &str) -> Error {
    Error::unsupported("unsupported-graph", format!("the model's graph gave no `{name}`"))
}

fn first_line(error: &ort::Error) -> String {
    let message = error.to_string();
    message.lines().next().unwrap_or_default().chars().take(300).collect()
}
