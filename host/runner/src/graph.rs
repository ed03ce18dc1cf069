//! What a graph takes and gives, and what may be asked of it: read from the graph, never assumed.

mod outlets;

use llm_bench_core::Result;
use ort::session::Session;

use crate::graph_file::GraphFile;
use crate::network::{POSITIONS, VISIBLE};

pub(crate) use outlets::in_bfloat16;
use outlets::{boolean, integer, logits, number, slot, unsupported};

/// The integer type of an input of ids or positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    I64,
    I32,
}

/// The type of logits and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F32,
    F16,
}

/// One tensor of the KV cache, `[rows, heads, past length, width]`: what comes out of a step goes into the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheSlot {
    /// The input, such as `past_key_values.0.key`.
    pub(crate) past: String,
    /// The output, such as `present.0.key`.
    pub(crate) present: String,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) float: Float,
}

/// An input that says of how many tokens, from the last, logits are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogitsToKeep {
    pub(crate) name: String,
    pub(crate) integer: Integer,
    /// An array of one number, not a number alone.
    pub(crate) is_array: bool,
}

/// How rows of different length may share a batch. Rows without a cache may be padded at the right in any graph whose
/// rows may meet: a causal model's tokens don't see what follows them, and none of their places shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Padding may stand anywhere, in the batch and in the cache: the mask hides it, and positions are given.
    Anywhere,
    /// A row's tokens stand first, in the batch and in its cache, and padding after them: the graph takes a row's
    /// length from the sum of its mask, and writes the next token behind it, wherever the cache ends. (What stands in
    /// the cache after the row's length is never read.)
    Behind,
    /// The caches of all rows must be equally long and without padding: the graph counts places itself.
    Nowhere,
    /// Each row runs alone: activations are quantised over the whole batch, so that rows change each other's numbers.
    /// For the same reason a text that is cut in two runs gives other numbers than in one.
    Alone,
}

/// What a graph takes after a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Continues {
    /// Nothing: it has no cache, or one that it can't take up again. Whole sequences run each time.
    Never,
    /// One token of each row.
    OneToken,
    /// One token of each row, or several of a single row.
    ManyOfOneRow,
    /// Several tokens of each row, padded at the right.
    Many,
}

/// Inputs and outputs of a decoder's graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) input_ids: Integer,
    pub(crate) attention_mask: Option<Integer>,
    pub(crate) position_ids: Option<Integer>,
    pub(crate) cache_position: Option<Integer>,
    /// A merged decoder: a boolean input chooses between the graphs with and without cache.
    pub(crate) use_cache_branch: bool,
    pub(crate) logits_to_keep: Option<LogitsToKeep>,
    /// Empty for a graph without a cache.
    pub(crate) cache: Vec<CacheSlot>,
    pub(crate) logits: Float,
    /// Where the graph states it.
    pub(crate) vocabulary: Option<usize>,
    pub(crate) padding: Padding,
    pub(crate) continues: Continues,
    /// `padding` and `continues` are what such graphs usually allow; only a trial shows what this one does.
    pub(crate) needs_trial: bool,
}

impl Graph {
    /// # Errors
    /// `unsupported-graph` naming the input or output that this build cannot serve.
    pub(crate) fn of(session: &Session, file: &GraphFile) -> Result<Self> {
        let outputs = session.outputs();
        let mut graph = Self {
            input_ids: Integer::I64,
            attention_mask: None,
            position_ids: None,
            cache_position: None,
            use_cache_branch: false,
            logits_to_keep: None,
            cache: Vec::new(),
            logits: Float::F32,
            vocabulary: None,
            padding: Padding::Nowhere,
            continues: Continues::Never,
            needs_trial: false,
        };
        let mut has_ids = false;
        for input in session.inputs() {
            match input.name() {
                "input_ids" => {
                    graph.input_ids = integer(input, 2)?;
                    has_ids = true;
                }
                "attention_mask" => graph.attention_mask = Some(integer(input, 2)?),
                "position_ids" => graph.position_ids = Some(integer(input, 2)?),
                "cache_position" => graph.cache_position = Some(integer(input, 1)?),
                "use_cache_branch" => {
                    boolean(input)?;
                    graph.use_cache_branch = true;
                }
                name @ ("logits_to_keep" | "num_logits_to_keep") => {
                    let (integer, is_array) = number(input)?;
                    graph.logits_to_keep = Some(LogitsToKeep { name: name.to_owned(), integer, is_array });
                }
                // Added when the graph was loaded.
                POSITIONS | VISIBLE => {}
                name => match slot(input, outputs)? {
                    Some(slot) => graph.cache.push(slot),
                    None => {
                        return Err(unsupported(&format!(
                            "takes an input `{name}` that is not known: a decoder that is served takes `input_ids`, \
                             a mask, positions and caches alone"
                        )));
                    }
                },
            }
        }
        if !has_ids {
            return Err(unsupported("has no input `input_ids`"));
        }
        (graph.logits, graph.vocabulary) = logits(outputs)?;
        graph.judge(file);
        Ok(graph)
    }

    /// Tells from the inputs and the operators what may be asked of the graph.
    fn judge(&mut self, file: &GraphFile) {
        let is_masked = self.attention_mask.is_some() && self.position_ids.is_some();
        let is_packed = file.uses(|operator| operator == "GroupQueryAttention");
        // One scale for all activations of a run, its padding included.
        let is_quantised_at_once = file
            .uses(|operator| operator.starts_with("DynamicQuantize") || operator == "MatMulIntegerToFloat");
        self.padding = match () {
            () if is_quantised_at_once => Padding::Alone,
            () if is_packed => Padding::Behind,
            () if is_masked => Padding::Anywhere,
            () => Padding::Nowhere,
        };
        self.continues = match () {
            () if self.cache.is_empty() => Continues::Never,
            () if is_packed => Continues::ManyOfOneRow,
            () => Continues::Many,
        };
        // Half of a merged decoder may have been traced with a single token, and fused attention masks as it likes.
        let is_fused = file.uses(|operator| operator.contains("Attention")) && !is_packed;
        self.needs_trial = self.use_cache_branch || is_fused;
    }

    /// Whether `rows` rows may each run several tokens after a cache.
    pub(crate) fn continues_with_many(&self, rows: usize) -> bool {
        match self.continues {
            Continues::Many => true,
            Continues::ManyOfOneRow => rows == 1,
            Continues::OneToken | Continues::Never => false,
        }
    }

    /// Whether a sequence may be cut in several runs and still get the numbers of one.
    pub(crate) fn can_be_cut(&self, rows: usize) -> bool {
        self.padding != Padding::Alone && self.continues_with_many(rows)
    }

    /// What one token takes in the cache.
    pub(crate) fn cache_bytes_per_token(&self) -> usize {
        let bytes = |float| match float {
            Float::F32 => 4,
            Float::F16 => 2,
        };
        self.cache.iter().map(|slot| slot.heads * slot.width * bytes(slot.float)).sum()
    }
}
