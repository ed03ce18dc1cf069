//! Runs the guests of one plugin for the process that started it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = llm_bench_sandbox::run_guests_in_child() else { return ExitCode::SUCCESS };
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    {
        eprintln!("{}", error.message);
    }
    ExitCode::FAILURE
}
