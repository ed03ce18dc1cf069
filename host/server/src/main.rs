//! `llm-bench`: measures language models on this machine.

use std::process::ExitCode;

use clap::Parser;
use llm_bench_server::cli::{self, Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.command {
        // Before any thread is started: these children narrow what they may take.
        Command::CompilePlugin(paths) => cli::compile_plugin(paths),
        Command::RunModel => cli::run_model(),
        _ => cli::main(arguments),
    }
}
