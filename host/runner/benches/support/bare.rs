//! Greedy decoding without a host: token ids into a session, caches from one step straight into the next.
//!
//! It runs in a child of the benchmark's process, because a process has one ONNX Runtime environment and the runner
//! keeps it to itself.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ort::environment::Environment;
use ort::memory::MemoryInfo;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session, SessionInputValue};
use ort::value::{DynValue, Tensor, ValueType};
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::{library, model_folder};

/// The argument that makes a benchmark's process the child.
const CHILD: &str = "bare-loop";

/// How the session is driven. All give the same tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Loop {
    /// `run`, the caches moved from the outputs to the inputs.
    Moved,
    /// The same with threads that spin while they wait, ONNX Runtime's default.
    Spinning,
    /// `run_binding`, the threads spinning.
    Bound,
}

/// What the child is to write. The prompts of a batch go together, the batches one after the other.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) driven: Loop,
    pub(crate) batches: Vec<Vec<String>>,
    pub(crate) tokens: usize,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Written {
    /// From the first prompt's token ids to the last token, loading and tokenization left out.
    pub(crate) seconds: f64,
    /// Prompt by prompt.
    pub(crate) texts: Vec<String>,
}

/// Lets a child do the work.
pub(crate) fn write(order: &Order) -> Written {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .arg(CHILD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let order = serde_json::to_string(order).expect("an order is JSON");
    // Dropped at the end of the statement, so that the child sees the end.
    child.stdin.take().expect("a pipe").write_all(order.as_bytes()).expect("the child reads");
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "the bare loop failed");
    serde_json::from_slice(&output.stdout).expect("the child wrote JSON")
}

/// Does the work, if this process is the child.
#[expect(clippy::print_stdout, reason = "standard output is the pipe to the parent")]
pub(crate) fn is_child() -> bool {
    if !std::env::args().any(|argument| argument == CHILD) {
        return false;
    }
    let order: Order = serde_json::from_reader(std::io::stdin()).expect("the order is JSON");
    let written = child(&order).expect("the session runs");
    println!("{}", serde_json::to_string(&written).expect("texts are JSON"));
    true
}

fn child(order: &Order) -> ort::Result<Written> {
    let folder = model_folder();
    let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).expect("the tokenizer loads");
    let encode = |prompt: &String| -> Vec<i64> {
        let encoding = tokenizer.encode(prompt.as_str(), true).expect("a prompt is encoded");
        encoding.get_ids().iter().map(|&id| id.into()).collect()
    };
    let batches: Vec<Vec<_>> = order.batches.iter().map(|batch| batch.iter().map(encode).collect()).collect();
    let environment = ort::init_from(library()).expect("the library loads").build()?;
    let mut decoder = Decoder::open(&environment, &folder, order.driven)?;
    decoder.write(&[encode(&"first words".to_owned())], 8)?;
    let start = Instant::now();
    let mut ids = Vec::new();
    for batch in &batches {
        ids.extend(decoder.write(batch, order.tokens)?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let decode = |ids: &Vec<u32>| tokenizer.decode(ids, true).expect("tokens are text");
    Ok(Written { seconds, texts: ids.iter().map(decode).collect() })
}

struct Decoder {
    session: Session,
    binding: Option<IoBinding>,
    cache: Vec<Slot>,
}

/// A tensor of the cache, `[rows, heads, past length, width]`.
struct Slot {
    past: String,
    present: String,
    heads: usize,
    width: usize,
}

/// The new tokens of a batch, and what the graph wants to know of them.
struct Step {
    shape: [usize; 2],
    ids: Vec<i64>,
    mask: Vec<i64>,
    positions: Vec<i64>,
}

impl Decoder {
    fn open(environment: &Environment, folder: &Path, driven: Loop) -> ort::Result<Self> {
        let session = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_op_spinning(driven != Loop::Moved)?
            .with_memory_pattern(false)?
            .commit_from_file(folder.join("model.onnx"))?;
        let cache = session.inputs().iter().filter_map(|input| {
            let rest = input.name().strip_prefix("past_key_values.")?;
            let ValueType::Tensor { shape, .. } = input.dtype() else { panic!("a cache is no tensor") };
            let (past, present) = (input.name().to_owned(), format!("present.{rest}"));
            Some(Slot { past, present, heads: size(shape[1]), width: size(shape[3]) })
        });
        let cache = cache.collect();
        let binding = (driven == Loop::Bound).then(|| session.create_binding()).transpose()?;
        Ok(Self { session, binding, cache })
    }

    /// The most likely tokens after each prompt, all prompts in one batch, padded at the left.
    fn write(&mut self, prompts: &[Vec<i64>], tokens: usize) -> ort::Result<Vec<Vec<u32>>> {
        let rows = prompts.len();
        let length = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let mut step = Step { shape: [rows, length], ids: vec![], mask: vec![], positions: vec![] };
        // Whether each place so far is a token, row by row.
        let mut masks: Vec<Vec<i64>> = Vec::new();
        for prompt in prompts {
            let padding = length - prompt.len();
            let padded = |first: Vec<i64>| [vec![0; padding], first].concat();
            step.ids.extend(padded(prompt.clone()));
            step.positions.extend(padded((0..).take(prompt.len()).collect()));
            masks.push(padded(vec![1; prompt.len()]));
        }
        let mut cache = self.empty_cache(rows)?;
        let mut written = vec![Vec::with_capacity(tokens); rows];
        loop {
            step.mask = masks.concat();
            let (logits, grown) = self.advance(step, cache)?;
            cache = grown;
            let best = best_of_last(&logits)?;
            for (row, &id) in best.iter().enumerate() {
                written[row].push(u32::try_from(id).expect("an id is small"));
            }
            if written[0].len() == tokens {
                return Ok(written);
            }
            let positions = masks.iter().map(|mask| mask.iter().sum()).collect();
            step = Step { shape: [rows, 1], ids: best, mask: vec![], positions };
            for mask in &mut masks {
                mask.push(1);
            }
        }
    }

    fn empty_cache(&self, rows: usize) -> ort::Result<Vec<DynValue>> {
        let empty = |slot: &Slot| {
            let shape = [rows, slot.heads, 0, slot.width];
            Ok(Tensor::from_array((shape, Vec::<f32>::new()))?.into_dyn())
        };
        self.cache.iter().map(empty).collect()
    }

    fn advance(&mut self, step: Step, cache: Vec<DynValue>) -> ort::Result<(DynValue, Vec<DynValue>)> {
        let [rows, length] = step.shape;
        let mask_shape = [rows, step.mask.len() / rows];
        let own = [
            ("input_ids", Tensor::from_array(([rows, length], step.ids))?.into_dyn()),
            ("attention_mask", Tensor::from_array((mask_shape, step.mask))?.into_dyn()),
            ("position_ids", Tensor::from_array(([rows, length], step.positions))?.into_dyn()),
        ];
        let mut outputs = if let Some(binding) = &mut self.binding {
            for (name, value) in &own {
                binding.bind_input(*name, value)?;
            }
            for (slot, value) in self.cache.iter().zip(&cache) {
                binding.bind_input(&slot.past, value)?;
            }
            // A bound output is written to again, so each step binds them anew.
            binding.clear_outputs();
            binding.bind_output_to_device("logits", &MemoryInfo::default())?;
            for slot in &self.cache {
                binding.bind_output_to_device(&slot.present, &MemoryInfo::default())?;
            }
            self.session.run_binding(binding)?
        } else {
            let own = own.into_iter().map(|(name, value)| (name, SessionInputValue::from(value)));
            let past = self.cache.iter().zip(cache).map(|(slot, value)| (slot.past.as_str(), value.into()));
            self.session.run(own.chain(past).collect::<Vec<_>>())?
        };
        let mut take =
            |name: &str| outputs.remove(name).unwrap_or_else(|| panic!("the graph gave no {name}"));
        Ok((take("logits"), self.cache.iter().map(|slot| take(&slot.present)).collect()))
    }
}

/// A size that the graph states.
fn size(size: i64) -> usize {
    usize::try_from(size).expect("the graph states its sizes")
}

/// The id with the greatest logit after the last token of each row.
fn best_of_last(logits: &DynValue) -> ort::Result<Vec<i64>> {
    let (shape, values) = logits.try_extract_tensor::<f32>()?;
    let [rows, length, vocabulary] = [0, 1, 2].map(|axis| size(shape[axis]));
    let best = |row: usize| {
        let start = (row * length + length - 1) * vocabulary;
        let (mut best, mut greatest) = (0, f32::NEG_INFINITY);
        for (id, &value) in (0..).zip(&values[start..start + vocabulary]) {
            if value > greatest {
                (best, greatest) = (id, value);
            }
        }
        best
    };
    Ok((0..rows).map(best).collect())
}
