//! `llm-bench`: measures language models on this machine.

use clap::Parser;
use llm_bench_server::cli::{self, Arguments, Command};

fn main() {
    keep_onnxruntime_quiet();
    let arguments = Arguments::parse();
    let code = match &arguments.command {
        // Before any thread is started: these children narrow what they may take.
        Command::CompilePlugin(paths) => cli::compile_plugin(paths),
        Command::RunModel => cli::run_model(),
        Command::RunGuests => cli::run_guests(),
        _ => cli::main(arguments),
    };
    code.leave()
}

/// ONNX Runtime would keep a database of what is run in the user's cache, to be uploaded to its makers.
#[expect(unsafe_code, reason = "the library reads its setting from the environment alone")]
fn keep_onnxruntime_quiet() {
    // SAFETY: no other thread runs yet that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
