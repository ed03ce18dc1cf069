//! Where the guests of plugins run, as an option of `serve` and `run`.

use clap::{Args, ValueEnum};

use crate::app::SandboxProcess;

#[derive(Debug, Args)]
pub(super) struct SandboxArguments {
    /// Where plugins run. Either way they are WebAssembly under limits; `isolated` adds, on Linux, a process for each
    /// plugin that has no files, no network and no way to start a program, at the cost of some speed.
    #[arg(long, value_enum, value_name = "WHERE", env = "LLM_BENCH_SANDBOX_PROCESS", default_value_t)]
    sandbox_process: Place,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Place {
    /// On threads of this process.
    #[default]
    InProcess,
    /// In a confined process for each plugin.
    Isolated,
}

impl SandboxArguments {
    pub(super) fn process(&self) -> SandboxProcess {
        match self.sandbox_process {
            Place::InProcess => SandboxProcess::InProcess,
            Place::Isolated => SandboxProcess::Isolated,
        }
    }
}
