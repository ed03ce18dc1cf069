//! Compiles one component under limits: `llm-bench-compile-plugin COMPONENT CODE`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let message = match arguments.as_slice() {
        [component, code] => match llm_bench_sandbox::compile_in_child(component, code) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => error.message,
        },
        _ => "expected a component's path and a path to write to".to_owned(),
    };
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    {
        eprintln!("{message}");
    }
    ExitCode::FAILURE
}
