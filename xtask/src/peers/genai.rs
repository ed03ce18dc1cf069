//! Greedy decoding, batch 1: our runner on the graph that optimum exports, against onnxruntime-genai on its own graph
//! of the same weights.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::llm_bench::{LlmBench, Order};
use super::machine::{self, Machine};
use super::materials::{LARGE, Materials};
use super::python::{GENAI, Python};
use super::report::{Outcome, Report, Side, median};
use crate::process;
use crate::setup;

const TOKENS: u64 = 128;
const BAR: f64 = 0.95;

/// Texts that both sides wrote after the same prompts.
struct Writing {
    /// Prompt by prompt, from the prompt to the last of the tokens.
    seconds: Vec<f64>,
    /// Prompt by prompt, of that the steps after the first token.
    decode_s: Vec<f64>,
    texts: Vec<String>,
}

/// Lets both sides write in turn. Each figure is the median over the prompts of one repetition.
pub(crate) fn measure(
    bench: &LlmBench,
    python: &Python,
    materials: &Materials,
    repetitions: u32,
) -> Result<Report> {
    let graph = materials.provide_genai(python)?;
    let machine = Machine::look();
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    let mut outcome: Option<Outcome> = None;
    for _ in 0..repetitions {
        let ours = ours(bench, materials)?;
        let theirs = theirs(python, materials, &graph, &bench.scratch)?;
        our_times.push(median(&ours.seconds));
        their_times.push(median(&theirs.seconds));
        // One repetition that differs is enough to distrust the others.
        outcome = match outcome {
            Some(earlier) if !earlier.agree => Some(earlier),
            _ => Some(compare(&ours, &theirs)),
        };
    }
    let Some(scores) = outcome else { bail!("there is nothing to measure in no repetition") };
    Ok(Report {
        name: "genai-135m",
        about: format!("greedy decoding of {TOKENS} tokens, batch 1, 135 M parameters"),
        time: "prompt to last token",
        bar: BAR,
        ours: Side { name: bench.version()?, seconds: our_times },
        theirs: Side { name: format!("{GENAI} {}", python.versions[GENAI]), seconds: their_times },
        scores,
        versions: python.versions.clone(),
        machine,
    })
}

/// Our seconds are those of whole samples: sandbox, tokenizer and queue included.
fn ours(bench: &LlmBench, materials: &Materials) -> Result<Writing> {
    let run = bench.run(
        materials,
        &Order {
            model: &materials.model(LARGE),
            task: "generate-until",
            dataset: materials.data().join("prompts.jsonl").display().to_string(),
            few_shot: 0,
            config: json!({ "prompt": "{{ prompt }}", "until": [], "max_tokens": TOKENS }),
            concurrency: Some(1),
            limit: None,
        },
    )?;
    let mut writing = Writing { seconds: Vec::new(), decode_s: Vec::new(), texts: Vec::new() };
    for sample in &run.samples {
        let call = &sample["calls"][0];
        let answer = &call["response"][0];
        writing.add(
            answer["completion_tokens"].as_u64(),
            milliseconds(&sample["duration_ms"])?,
            milliseconds(&call["timings"]["decode_ms"])?,
            answer["text"].as_str(),
        )?;
    }
    Ok(writing)
}

fn theirs(python: &Python, materials: &Materials, graph: &Path, scratch: &Path) -> Result<Writing> {
    setup::remove(scratch)?;
    fs::create_dir_all(scratch)?;
    let result = scratch.join("result.json");
    let mut script = python.script("generate_genai.py", &materials.python_home());
    script
        .arg(graph)
        .arg(materials.data().join("prompts.jsonl"))
        .args([TOKENS.to_string(), machine::cores().to_string()])
        .arg(&result);
    process::run(&mut script)?;
    let result: Value = serde_json::from_str(&fs::read_to_string(&result)?)?;
    let mut writing = Writing { seconds: Vec::new(), decode_s: Vec::new(), texts: Vec::new() };
    for sample in result["samples"].as_array().context("the script wrote no samples")? {
        let seconds =
            |key: &str| sample[key].as_f64().with_context(|| format!("the script wrote no `{key}`"));
        let decode_s = seconds("decode_s")?;
        writing.add(
            sample["tokens"].as_u64(),
            seconds("prefill_s")? + decode_s,
            decode_s,
            sample["text"].as_str(),
        )?;
    }
    setup::remove(scratch)?;
    Ok(writing)
}

impl Writing {
    fn add(&mut self, tokens: Option<u64>, seconds: f64, decode_s: f64, text: Option<&str>) -> Result<()> {
        ensure!(tokens == Some(TOKENS), "a side wrote {tokens:?} tokens, not {TOKENS}");
        self.seconds.push(seconds);
        self.decode_s.push(decode_s);
        self.texts.push(text.context("an answer has no text")?.to_owned());
        Ok(())
    }

    fn tokens_per_s(&self) -> f64 {
        (TOKENS - 1) as f64 / median(&self.decode_s)
    }
}

/// The texts agree where most are equal. Two graphs round differently, and among 49,152 tokens the best two are now and
/// then so near each other that one text in many goes another way.
fn compare(ours: &Writing, theirs: &Writing) -> Outcome {
    let equal = ours.texts.iter().zip(&theirs.texts).filter(|(ours, theirs)| ours == theirs).count();
    let texts = ours.texts.len();
    let agree = texts == theirs.texts.len() && 2 * equal > texts;
    let [our_speed, their_speed] = [ours, theirs].map(Writing::tokens_per_s);
    Outcome {
        agree,
        json: json!({
            "agree": agree,
            "texts": texts,
            "equal_texts": equal,
            "decode_tokens_per_s": { "llm-bench": our_speed, "peer": their_speed },
        }),
        line: format!(
            "{}: {equal} of {texts} texts are equal; without the prompt {our_speed:.2} and {their_speed:.2} \
             tokens/s",
            if agree { "agree" } else { "DIFFER" }
        ),
    }
}

fn milliseconds(value: &Value) -> Result<f64> {
    Ok(value.as_f64().with_context(|| format!("`{value}` is no number of milliseconds"))? / 1000.0)
}
