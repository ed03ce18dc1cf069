//! Where the guests of plugins run, as an option of all commands that run some.

use clap::Args;

use crate::app::SandboxProcess;

#[derive(Debug, Args)]
pub(super) struct SandboxArguments {
    /// Where plugins run. Either way they are WebAssembly under limits; `isolated`, which is for Linux and the default
    /// there unless config.toml says otherwise, adds a process for each plugin that has no files, no network and no way to start a program.
    #[arg(long = "sandbox-process", value_enum, value_name = "WHERE", env = "LLM_BENCH_SANDBOX_PROCESS")]
    pub(super) process: Option<SandboxProcess>,
}
