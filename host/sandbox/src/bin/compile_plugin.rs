//! Compiles one component under limits: `llm-bench-compile-plugin COMPONENT CODE ADDRESS_SPACE_BYTES PROCESSOR_SECONDS`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use llm_bench_sandbox::{CompileLimits, compile_in_child};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let message = match arguments.as_slice() {
        [component, code, bytes, seconds] => match (number(bytes), number(seconds)) {
            (Some(address_space_bytes), Some(processor_seconds)) => {
                let limits =
                    CompileLimits { address_space_bytes, processor_seconds, ..CompileLimits::default() };
                match compile_in_child(Path::new(component), Path::new(code), limits) {
                    Ok(()) => return ExitCode::SUCCESS,
                    Err(error) => error.message,
                }
            }
            _ => "the limits are no numbers".to_owned(),
        },
        _ => "expected a component's path, a path to write to, and two limits".to_owned(),
    };
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    {
        eprintln!("{message}");
    }
    ExitCode::FAILURE
}

fn number(argument: &OsString) -> Option<u64> {
    argument.to_str()?.parse().ok()
}
