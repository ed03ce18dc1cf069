//! An uploaded file, before anything of it is compiled: it passes, or it is refused in a short sentence.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_bench_core::ErrorKind;
use llm_bench_sandbox::probe;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = probe::inspect(bytes) {
        assert!(matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported), "{error:?}");
        assert!(error.code.contains("plugin") && error.message.chars().count() <= 2500, "{error:?}");
        let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(!error.message.contains(steers), "{error:?}");
    }
});
