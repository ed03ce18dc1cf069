//! Runs the guests of one plugin for the process that started it. With `--spin` a thread of it computes for ever, as
//! one that a stranger's code has taken over might.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--spin") {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    let Err(error) = llm_bench_sandbox::run_guests_in_child() else { return ExitCode::SUCCESS };
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    {
        eprintln!("{}", error.message);
    }
    ExitCode::FAILURE
}
