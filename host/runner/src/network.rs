//! A loaded graph: token ids in, logits and the KV cache out.

mod cache;
mod edit;
mod fork;
mod logits;
mod tensor;
mod trial;

use std::borrow::Cow;
use std::path::Path;

use llm_bench_core::{Error, Result};
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::DynValue;

pub(crate) use cache::{Cache, Stretch};
pub(crate) use fork::Fork;
pub(crate) use logits::Logits;

use crate::folder::ModelFolder;
use crate::graph::{Graph, Padding, in_bfloat16};
use crate::provider::Provider;
pub(crate) use edit::{POSITIONS, VISIBLE};
use edit::{Rewrites, Rewritten, edit};

/// A graph in a larger file is loaded as it stands, since it is rewritten in memory. Large models keep their weights
/// in files beside the graph, which stays small.
const MAX_EDITED_BYTES: u64 = 1 << 30;

/// Models from this size on, in bytes of all their files, let their threads spin during a run.
const LEAST_SPINNING_BYTES: u64 = 64 << 20;

/// New tokens of one row, after what the cache holds of it.
#[derive(Debug, Clone)]
pub(crate) struct Stride<'tokens> {
    /// None for a row that has ended: it runs on padding.
    pub(crate) ids: &'tokens [u32],
    /// For each slot of the cache: 1 where it holds a token of this row, else 0.
    pub(crate) past: &'tokens [i64],
    /// The first new token's place in its sequence.
    pub(crate) place: usize,
    /// Indices into `ids`, ascending: the tokens whose logits are wanted.
    pub(crate) wanted: &'tokens [usize],
    /// Where the tokens are no single sequence. Only of a network that [`Network::forks`].
    pub(crate) fork: Option<&'tokens Fork>,
}

impl Stride<'_> {
    /// The place of a new token in its sequence; of padding, the last token's, which every model has.
    fn place_of(&self, index: usize) -> usize {
        let index = index.min(self.ids.len().saturating_sub(1));
        self.place + self.fork.map_or(index, |fork| fork.place(index))
    }
}

pub(crate) struct Network {
    session: Session,
    graph: Graph,
    rewritten: Rewritten,
    /// Whether a row may fork.
    forks: bool,
    only_logits: RunOptions<HasSelectedOutputs>,
}

/// How a graph is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadOptions {
    /// What one run may use; none for all cores.
    pub(crate) threads: Option<usize>,
    /// Whether rewrites that change no result are applied.
    pub(crate) rewrites: bool,
    pub(crate) provider: Provider,
}

impl Network {
    /// Loads a graph with its weights.
    ///
    /// # Errors
    /// `model-file-broken` when the library refuses the file, `unsupported-graph` for what it takes or gives,
    /// `provider-missing` or `provider-failed` when the library cannot run it on what was asked for.
    pub(crate) fn open(
        environment: &Environment,
        folder: &ModelFolder,
        options: LoadOptions,
    ) -> Result<Self> {
        let file = &folder.graph;
        let path = folder.path.join(file);
        let size =
            |name: &String| std::fs::metadata(folder.path.join(name)).map_or(0, |metadata| metadata.len());
        let weights = folder.files.iter().map(size).sum();
        let builder =
            || options.provider.register(builder(environment, options.threads, weights).map_err(failed)?);
        let edited =
            if options.rewrites { Self::open_edited(&builder, folder, options.provider)? } else { None };
        let mut network = if let Some(network) = edited {
            network
        } else {
            let session = builder()?.commit_from_file(&path).map_err(|error| {
                match &folder.graph_file.bfloat16 {
                    _ if options.provider != Provider::Cpu => Error::unavailable(
                        "provider-failed",
                        format!(
                            "ONNX Runtime cannot load `{file}` for `{}`: {}",
                            options.provider,
                            first_line(&error)
                        ),
                    ),
                    Some(name) => in_bfloat16(name),
                    None => Error::invalid(
                        "model-file-broken",
                        format!("ONNX Runtime cannot load `{file}`: {}", first_line(&error)),
                    ),
                }
                .because(error)
            })?;
            Self::of(session, folder, Rewritten::default())?
        };
        tracing::debug!(file, ?network.rewritten, "a graph is loaded");
        if network.graph.needs_trial {
            network.try_out()?;
        }
        let has_places = network.graph.position_ids.is_some() && network.graph.padding == Padding::Anywhere;
        network.forks = network.rewritten.hides && has_places && network.sees_no_other_branch();
        Ok(network)
    }

    /// Loads the graph rewritten, with as many of the rewrites as the library takes; none where nothing is rewritten.
    fn open_edited(
        builder: &dyn Fn() -> Result<SessionBuilder>,
        folder: &ModelFolder,
        provider: Provider,
    ) -> Result<Option<Self>> {
        /// Where the weights beside a graph lie that is loaded from memory.
        const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";
        let path = folder.path.join(&folder.graph);
        // A file that cannot be read is refused where it is loaded as it stands.
        let is_small = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= MAX_EDITED_BYTES);
        let Some(model) = is_small.then(|| std::fs::read(&path).ok()).flatten() else { return Ok(None) };
        let Some(weights) = path.parent().and_then(Path::to_str) else { return Ok(None) };
        let most = if provider == Provider::Cpu { Rewrites::All } else { Rewrites::Fewer };
        let mut next = Some(most);
        while let Some(rewrites) = next.take() {
            let Some(edited) = edit(&model, rewrites) else { break };
            let session = (builder()?.with_config_entry(WEIGHTS_FOLDER, weights))
                .map_err(ort::Error::from)
                .and_then(|mut builder| builder.commit_from_memory(&edited.bytes));
            let problem = match session {
                Ok(session) => {
                    let mut network = Self::of(session, folder, edited.rewritten)?;
                    if !edited.rewritten.is_fused || network.goes_on_from_a_cache() {
                        return Ok(Some(network));
                    }
                    "it does not run".to_owned()
                }
                Err(error) => error.to_string(),
            };
            tracing::debug!(?rewrites, problem, "a rewritten graph cannot be used");
            next = edited.rewritten.is_fused.then_some(Rewrites::Fewer);
        }
        Ok(None)
    }

    fn of(session: Session, folder: &ModelFolder, rewritten: Rewritten) -> Result<Self> {
        let graph = Graph::of(&session, &folder.graph_file)?;
        let only_logits =
            RunOptions::new().map_err(failed)?.with_outputs(OutputSelector::no_default().with("logits"));
        Ok(Self { session, graph, rewritten, forks: false, only_logits })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Keeps padding out of the caches: a sliding window counts slots, not tokens.
    pub(crate) fn forbid_gaps(&mut self) {
        if self.graph.padding == Padding::Anywhere {
            self.graph.padding = Padding::Nowhere;
        }
    }

    /// Whether the graph computes the logits of wanted tokens only.
    pub(crate) fn selects_logits(&self) -> bool {
        self.rewritten.selects_logits
    }

    /// Whether the new tokens of a row may be several continuations of its past, beside each other.
    pub(crate) fn forks(&self) -> bool {
        self.forks
    }

    /// Runs new tokens of several rows after `past` (none: at the start), shorter rows padded at the right.
    ///
    /// Gives the wanted logits and, where it is asked for, the longer cache: it has a slot for each place of the
    /// longest row, in which the padding of shorter ones lies too.
    pub(crate) fn run(
        &mut self,
        rows: &[Stride<'_>],
        past: Option<&Cache>,
        keeps_cache: bool,
    ) -> Result<(Logits, Option<Cache>)> {
        let length = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        if length == 0 {
            return Err(Error::internal("model-failed", "a batch without tokens reached the model"));
        }
        let none;
        let past = if let Some(past) = past {
            past
        } else {
            none = Cache::empty(&self.graph, rows.len())?;
            &none
        };
        tracing::trace!(
            rows = rows.len(),
            tokens = rows.iter().map(|row| row.ids.len()).sum::<usize>(),
            padded = rows.len() * length,
            past = past.length,
            wanted = rows.iter().map(|row| row.wanted.len()).sum::<usize>(),
            "a run"
        );
        let mut inputs = inputs(&self.graph, self.rewritten.selects_logits, rows, length, past)?;
        if self.rewritten.hides {
            let (shape, visible) = fork::visible(rows, past.length, length);
            inputs.push((VISIBLE.into(), tensor::booleans(shape, visible).map_err(failed)?.into()));
        }
        if keeps_cache {
            let mut outputs = self.session.run(inputs).map_err(failed)?;
            let values = (self.graph.cache.iter())
                .map(|slot| outputs.remove(&slot.present).ok_or_else(|| missing_output(&slot.present)))
                .collect::<Result<Vec<_>>>()?;
            let logits = outputs.remove("logits");
            drop(outputs);
            let logits = self.logits(logits, rows, length)?;
            let cache = Cache { values, length: past.length + length };
            Ok((logits, Some(cache)))
        } else {
            let mut outputs = self.session.run_with_options(inputs, &self.only_logits).map_err(failed)?;
            let logits = outputs.remove("logits");
            drop(outputs);
            Ok((self.logits(logits, rows, length)?, None))
        }
    }

    fn logits(&self, value: Option<DynValue>, rows: &[Stride<'_>], length: usize) -> Result<Logits> {
        // What the graph leaves out before the first column.
        let skipped = if self.graph.logits_to_keep.is_some() { first_wanted(rows, length) } else { 0 };
        let (width, columns): (_, Vec<Vec<usize>>) = if self.rewritten.selects_logits {
            (most_wanted(rows).max(1), rows.iter().map(|row| (0..row.wanted.len()).collect()).collect())
        } else {
            let column = |&place: &usize| place - skipped;
            (length - skipped, rows.iter().map(|row| row.wanted.iter().map(column).collect()).collect())
        };
        Logits::new(value, self.graph.logits, width, columns)
    }
}

/// The graph's inputs for one run, by name.
type Inputs<'run> = Vec<(Cow<'run, str>, SessionInputValue<'run>)>;

fn inputs<'run>(
    graph: &'run Graph,
    selects_logits: bool,
    rows: &[Stride<'_>],
    length: usize,
    past: &'run Cache,
) -> Result<Inputs<'run>> {
    let count = rows.len();
    let (mut ids, mut mask, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        ids.extend((0..length).map(|index| row.ids.get(index).map_or(0, |&id| i64::from(id))));
        mask.extend_from_slice(row.past);
        mask.extend((0..length).map(|index| i64::from(index < row.ids.len())));
        positions.extend((0..length).map(|index| signed(row.place_of(index))));
    }
    let mut inputs: Inputs<'_> = Vec::new();
    let mut add = |name: &'static str, value: ort::Result<DynValue>| -> Result<()> {
        inputs.push((name.into(), value.map_err(failed)?.into()));
        Ok(())
    };
    add("input_ids", tensor::integers(graph.input_ids, vec![count, length], ids))?;
    if let Some(integer) = graph.attention_mask {
        add("attention_mask", tensor::integers(integer, vec![count, past.length + length], mask))?;
    }
    if let Some(integer) = graph.position_ids {
        add("position_ids", tensor::integers(integer, vec![count, length], positions))?;
    }
    if let Some(integer) = graph.cache_position {
        let places = (past.length..past.length + length).map(signed).collect();
        add("cache_position", tensor::integers(integer, vec![length], places))?;
    }
    if graph.use_cache_branch {
        add("use_cache_branch", tensor::booleans(vec![1], vec![past.length > 0]))?;
    }
    if selects_logits {
        let most = most_wanted(rows).max(1);
        let wanted = rows.iter().flat_map(|row| {
            (0..most).map(|index| row.wanted.get(index).map_or(0, |&position| signed(position)))
        });
        let wanted = wanted.collect();
        add(POSITIONS, tensor::integers(crate::graph::Integer::I64, vec![count, most, 1], wanted))?;
    }
    if let Some(keep) = &graph.logits_to_keep {
        let shape = if keep.is_array { vec![1] } else { Vec::new() };
        let kept = tensor::integers(keep.integer, shape, vec![signed(length - first_wanted(rows, length))]);
        inputs.push((keep.name.as_str().into(), kept.map_err(failed)?.into()));
    }
    for (slot, value) in graph.cache.iter().zip(&past.values) {
        inputs.push((slot.past.as_str().into(), value.into()));
    }
    Ok(inputs)
}

fn most_wanted(rows: &[Stride<'_>]) -> usize {
    rows.iter().map(|row| row.wanted.len()).max().unwrap_or(0)
}

/// The first of all rows' wanted tokens; the last token where none is wanted.
fn first_wanted(rows: &[Stride<'_>], length: usize) -> usize {
    rows.iter().filter_map(|row| row.wanted.first().copied()).min().unwrap_or(length - 1)
}

fn signed(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn builder(environment: &Environment, threads: Option<usize>, weights: u64) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        // Threads that spin while they wait for the next operator make decoding a quarter faster where an operator takes
        // long enough to matter, and take the cores from guests where it does not.
        .with_intra_op_spinning(weights >= LEAST_SPINNING_BYTES)?
        // Between runs idle threads would take the cores of another model, and be counted as its energy.
        .with_config_entry("session.force_spinning_stop", "1")?
        // Batches have many shapes; a pattern for each is memory that is never given back.
        .with_memory_pattern(false)?;
    if let Some(threads) = threads {
        builder = builder.with_intra_threads(threads)?;
    }
    Ok(builder)
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
