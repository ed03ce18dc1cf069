//! Runs one model for the process that started it. Arguments tell its instances apart and mean nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(error) = llm_bench_runner::run_model_in_child() else { return ExitCode::SUCCESS };
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    {
        eprintln!("{}", error.message);
    }
    ExitCode::FAILURE
}
