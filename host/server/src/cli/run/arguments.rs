//! What `llm-bench run` is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use llm_bench_core::Result;
use llm_bench_core::benchmark::FewShotSampling;

use crate::cli::data_files::DataFilesArgument;
use crate::cli::limit_arguments::LimitArguments;
use crate::cli::model_arguments::ModelArguments;
use crate::cli::sandbox_arguments::SandboxArguments;
use crate::cli::{DataArguments, OutputFormat, RecordArguments, sources};
use crate::order::OrderRequest;
use crate::preset::FewShotChoices;

#[derive(Debug, Args)]
pub struct RunArguments {
    /// A registered model, or a folder with an ONNX model.
    #[arg(long, value_name = "M")]
    pub(super) model: String,
    /// A preset or a group of them (`llm-bench presets list`), a plugin (name or name@version), or a .wasm file
    /// (FILE@sha256:DIGEST pins its content).
    #[arg(long, value_name = "T")]
    pub(super) task: String,
    /// A registered dataset, a file (JSON Lines or CSV), a folder with a file a split (test.jsonl), or
    /// train=a.jsonl,test=b.jsonl. A preset may bring its own. For a group: folders in which the members' files or
    /// folders bear their names, and such files.
    #[arg(long, value_name = "D", num_args = 1..)]
    pub(super) dataset: Vec<String>,
    /// The split to evaluate [default: the preset's, else test, else validation, else the first].
    #[arg(long, value_name = "S")]
    pub(super) split: Option<String>,
    /// At most so many rows, from the first.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// Solved examples before each question [default: the preset's, else 0].
    #[arg(long, value_name = "K")]
    pub(super) few_shot: Option<u32>,
    /// How examples are chosen: the first rows, or rows drawn for each question as lm-evaluation-harness draws them
    /// [default: the preset's, else first].
    #[arg(long, value_enum, value_name = "HOW")]
    pub(super) few_shot_sampling: Option<SamplingArgument>,
    /// The split that examples come from [default: the preset's, else train].
    #[arg(long, value_name = "S")]
    pub(super) few_shot_split: Option<String>,
    /// Ask by the model's chat template; `--chat false` where a preset does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(super) chat: Option<bool>,
    /// Instructions to the model, before everything.
    #[arg(long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// A column of the dataset under the name that the task knows, such as question=query.
    #[arg(long = "column", value_name = "NAME=COLUMN", value_parser = |text: &str| pair(text, "NAME=COLUMN, such as question=query"))]
    pub(super) columns: Vec<(String, String)>,
    /// The task's settings: a JSON object, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(super) config: Option<String>,
    /// A model for a further part of the task, such as judge=M.
    #[arg(long = "part", value_name = "NAME=M", value_parser = part)]
    pub(super) parts: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) data_files: DataFilesArgument,
    /// [default: 1234]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Samples in flight at once, 1 to 256 [default: 16].
    #[arg(long, value_name = "N")]
    pub(super) concurrency: Option<u32>,
    #[command(flatten)]
    pub(super) limits: LimitArguments,
    /// The share of samples, 0 to 1, that may fail before the benchmark does [default: 0.1].
    #[arg(long, value_name = "SHARE")]
    pub(super) max_failed: Option<f64>,
    /// Ask the model again, also what it was asked and answered before.
    #[arg(long)]
    pub(super) no_response_cache: bool,
    #[command(flatten)]
    pub(super) result: ResultArguments,
    /// Run each model in a child process, as `serve` does: one that crashes, hangs or wants all memory fails alone.
    #[arg(long)]
    pub(super) model_process: bool,
    #[command(flatten)]
    pub(super) models: ModelArguments,
    #[command(flatten)]
    pub(super) record: RecordArguments,
    #[command(flatten)]
    pub(super) sandbox: SandboxArguments,
    #[command(flatten)]
    pub(super) data: DataArguments,
}

/// Where the result of a benchmark goes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResultArguments {
    /// A table for people, or JSON for machines.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: OutputFormat,
    /// Write the result to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Write one JSON line per sample, in dataset order, with every model call.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) samples: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SamplingArgument {
    First,
    Random,
}

impl From<SamplingArgument> for FewShotSampling {
    fn from(sampling: SamplingArgument) -> Self {
        match sampling {
            SamplingArgument::First => Self::First,
            SamplingArgument::Random => Self::Random,
        }
    }
}

impl RunArguments {
    /// The choices, but for models and datasets.
    pub(super) fn request(&self) -> Result<OrderRequest> {
        Ok(OrderRequest {
            task: self.task.clone(),
            dataset: None,
            split: self.split.clone(),
            limit: self.limit,
            few_shot: FewShotChoices {
                count: self.few_shot,
                split: self.few_shot_split.clone(),
                sampling: self.few_shot_sampling.map(FewShotSampling::from),
                exclude_evaluated: None,
            },
            columns: self.columns.iter().cloned().collect(),
            chat: self.chat,
            system: self.system.clone(),
            config: sources::config(self.config.as_deref())?,
            seed: self.seed,
            concurrency: self.concurrency,
            limits: self.limits.choices(),
            max_failed: self.max_failed,
            response_cache: self.no_response_cache.then_some(false),
        })
    }
}

/// A model for a part.
pub(in crate::cli) fn part(text: &str) -> Result<(String, String), String> {
    pair(text, "PART=MODEL, such as judge=tiny-llama")
}

/// Two words with `=` between them; `form` shows what is expected.
fn pair(text: &str, form: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("write {form}")),
    }
}
