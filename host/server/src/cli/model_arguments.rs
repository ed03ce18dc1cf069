//! How models run, as options of `serve` and `run`.

use std::time::Duration;

use clap::Args;
use llm_bench_core::{Error, Result};
use llm_bench_runner::{Execution, Provider};

use crate::app::ModelOptions;

#[derive(Debug, Args)]
pub(super) struct ModelArguments {
    /// What models run on: cpu, cuda, tensorrt, openvino, coreml or directml, where the ONNX Runtime library has it
    /// (`llm-bench doctor` lists what it has).
    #[arg(long, value_name = "P", env = "LLM_BENCH_PROVIDER", default_value_t)]
    provider: Provider,
    /// Threads that one model may use [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    model_threads: Option<u16>,
    /// Memory in MiB for the KV caches of one model, of what is computed at once and of prefixes that are kept, and for
    /// the logits of its batches [default: 4096].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    kv_cache_mib: Option<u32>,
    /// Compute what prompts begin with in common for each of them; slower, and the same but for rounding.
    #[arg(long)]
    no_share_prefixes: bool,
    /// Memory in MiB that the process of one model may reserve, on Linux; files that are only mapped do not count
    /// [default: no limit].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    model_memory_mib: Option<u64>,
    /// Seconds that the process of a model may take to answer any of its calls before it is replaced [default: 3600].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    model_deadline_s: Option<u64>,
}

impl ModelArguments {
    /// # Errors
    /// `needs-model-process` for limits that only a process of its own can keep.
    pub(super) fn options(&self, in_process: bool) -> Result<ModelOptions> {
        if in_process && (self.model_memory_mib.is_some() || self.model_deadline_s.is_some()) {
            return Err(Error::invalid(
                "needs-model-process",
                "--model-memory-mib and --model-deadline-s limit a model that has a process of its own: `run` gives it \
                 one with --model-process, `serve` without --models-in-process",
            ));
        }
        Ok(ModelOptions {
            in_process,
            provider: self.provider,
            threads: self.model_threads.map(usize::from),
            kv_cache_bytes: self.kv_cache_mib.map(|mebibytes| (mebibytes as usize) << 20),
            execution: if self.no_share_prefixes { Execution::Unshared } else { Execution::Shared },
            memory_bytes: self.model_memory_mib.map(|mebibytes| mebibytes << 20),
            call_deadline: self.model_deadline_s.map(Duration::from_secs),
        })
    }
}
