//! `llm-bench`: measures language models on this machine.

use std::process::ExitCode;

use clap::Parser;
use llm_bench_server::cli::{self, Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::CompilePlugin(paths) = &arguments.command {
        // Before any thread is started: the child narrows its own address space.
        return cli::compile_plugin(paths);
    }
    cli::main(arguments)
}
