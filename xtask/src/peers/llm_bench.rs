//! Our side: `llm-bench run` as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::materials::Materials;
use crate::process;
use crate::setup;

pub(crate) struct LlmBench {
    pub(crate) program: PathBuf,
    /// A folder that is emptied before each run.
    pub(crate) scratch: PathBuf,
    /// Whether the model lives in a child process.
    pub(crate) model_process: bool,
}

/// What `run` is asked to do, besides where.
pub(crate) struct Order<'a> {
    pub(crate) model: &'a Path,
    pub(crate) task: &'a str,
    pub(crate) dataset: String,
    pub(crate) few_shot: u32,
    pub(crate) config: Value,
    pub(crate) concurrency: Option<u32>,
    pub(crate) limit: Option<u64>,
}

/// What one run left.
pub(crate) struct Run {
    /// The whole process.
    pub(crate) process_s: f64,
    /// As `--format json` has it.
    pub(crate) benchmark: Value,
    /// As `--samples` has them.
    pub(crate) samples: Vec<Value>,
}

impl LlmBench {
    /// The program's name and version, and how it runs models.
    pub(crate) fn version(&self) -> Result<String> {
        let version = process::output(Command::new(&self.program).arg("--version"))?;
        Ok(format!("{}{}", version.trim(), if self.model_process { ", model process" } else { "" }))
    }

    /// Runs one benchmark in a data folder that has the plugins compiled and the model known, but has not seen any of
    /// the questions: what a second run on other data finds.
    pub(crate) fn run(&self, materials: &Materials, order: &Order) -> Result<Run> {
        setup::remove(&self.scratch)?;
        fs::create_dir_all(&self.scratch)?;
        self.warm_up(materials, order.model)?;
        let [result, samples] = ["result.json", "samples.jsonl"].map(|name| self.scratch.join(name));
        let mut command = self.command(order.model);
        command
            .args(["--task", order.task, "--dataset", &order.dataset])
            .arg(format!("--config={}", order.config))
            .arg(format!("--few-shot={}", order.few_shot))
            .args(["--max-failed=0", "--format=json"])
            .args(order.limit.map(|limit| format!("--limit={limit}")))
            .args(order.concurrency.map(|concurrency| format!("--concurrency={concurrency}")))
            .arg("--output")
            .arg(&result)
            .arg("--samples")
            .arg(&samples);
        let start = Instant::now();
        process::run(&mut command)?;
        let process_s = start.elapsed().as_secs_f64();
        let benchmark: Value = serde_json::from_str(&fs::read_to_string(&result)?)?;
        let samples = json_lines(&samples)?;
        ensure!(
            benchmark["samples"]["failed"] == 0 && benchmark["samples"]["total"] == samples.len(),
            "samples of {} failed or are missing: {}",
            order.dataset,
            benchmark["failures"]
        );
        setup::remove(&self.scratch)?;
        Ok(Run { process_s, benchmark, samples })
    }

    fn warm_up(&self, materials: &Materials, model: &Path) -> Result<()> {
        let other_data = materials.data().join("train.jsonl");
        let mut command = self.command(model);
        command
            .args(["--task=multiple-choice", "--limit=1", "--output"])
            .arg(self.scratch.join("warm-up.txt"));
        process::run(command.arg("--dataset").arg(other_data))
    }

    fn command(&self, model: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--data-dir").arg(self.scratch.join("data")).arg("--model").arg(model);
        command.args(self.model_process.then_some("--model-process"));
        command
    }
}

impl Run {
    /// From the first request to the last sample stored.
    pub(crate) fn requests_s(&self) -> Result<f64> {
        self.benchmark["speed"]["active_s"].as_f64().context("the result has no `speed.active_s`")
    }
}

/// The objects of a JSON Lines file.
pub(crate) fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
