//! The peer's side: lm-eval's command line with its `hf` backend, as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::llm_bench::json_lines;
use super::materials::Materials;
use super::python::Python;
use crate::process;
use crate::setup;

/// What lm-eval is asked to do.
pub(crate) struct Order<'a> {
    pub(crate) model: &'a Path,
    /// The name of a task in `xtask/peers/tasks`.
    pub(crate) task: &'a str,
    pub(crate) batch_size: u32,
    pub(crate) limit: Option<u64>,
    /// Whether the requests are timed from inside, which needs a script around the program.
    pub(crate) times_requests: bool,
}

/// What one run left.
pub(crate) struct Run {
    /// The whole process.
    pub(crate) process_s: f64,
    /// From the first request to the last answer, where it was timed.
    pub(crate) requests_s: Option<f64>,
    /// The task's entry in the results file.
    pub(crate) metrics: Value,
    /// The lines of the samples file.
    pub(crate) samples: Vec<Value>,
}

pub(crate) fn run(python: &Python, materials: &Materials, scratch: &Path, order: &Order) -> Result<Run> {
    setup::remove(scratch)?;
    fs::create_dir_all(scratch)?;
    let home = materials.python_home();
    let times = scratch.join("times.json");
    let mut command = if order.times_requests {
        let mut command = python.script("time_requests.py", &home);
        command.arg(&times);
        command
    } else {
        let mut command = python.command(&home);
        command.args(["-m", "lm_eval"]);
        command
    };
    command
        .args(["run", "--model", "hf", "--device", "cpu", "--model_args"])
        .arg(format!("pretrained={},dtype=float32", order.model.display()))
        .arg("--include_path")
        .arg(python.scripts.join("tasks"))
        .args(["--tasks", order.task, "--batch_size", &order.batch_size.to_string()])
        .args(order.limit.map(|limit| format!("--limit={limit}")))
        .arg("--log_samples")
        .arg("--output_path")
        .arg(scratch.join("output"))
        // The paths in the task's file are relative to it.
        .current_dir(materials.data());
    let start = Instant::now();
    process::run(&mut command)?;
    let process_s = start.elapsed().as_secs_f64();
    let requests_s = if order.times_requests {
        let times: Value = serde_json::from_str(&fs::read_to_string(&times)?)?;
        Some(times["requests_s"].as_f64().context("the script wrote no `requests_s`")?)
    } else {
        None
    };
    let results = only_file(scratch, "results_")?;
    let results: Value = serde_json::from_str(&fs::read_to_string(results)?)?;
    let mut samples = json_lines(&only_file(scratch, "samples_")?)?;
    samples.sort_by_key(|sample| sample["doc_id"].as_u64());
    setup::remove(scratch)?;
    Ok(Run { process_s, requests_s, metrics: results["results"][order.task].clone(), samples })
}

/// The file below `folder` whose name begins so. lm-eval puts it in a folder named after the model, and the time in
/// its name.
fn only_file(folder: &Path, beginning: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with(beginning) {
                found.push(entry.path());
            }
        }
    }
    ensure!(
        found.len() == 1,
        "lm-eval left {} files {beginning}* below {}, not one",
        found.len(),
        folder.display()
    );
    Ok(found.remove(0))
}
