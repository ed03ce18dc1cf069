//! The compiling child's work: a hidden subcommand of the server's binary calls [`compile_in_child`].

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use llm_bench_core::{Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine;

/// What the child allows itself. Hostile code makes compilers slow and large; the component of a Python interpreter
/// (18 MB) needs a tenth of it.
pub(super) const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
pub(super) const PROCESSOR_SECONDS: u64 = 180;
const CODE_BYTES: u64 = 1 << 30;

/// Limits this process for good, then compiles the component `input` into the new file `output`.
///
/// Only for a process that ends afterwards: its address space, processor time and file size stay limited.
///
/// # Errors
/// `plugin-compilation-failed` with what the compiler says; `internal` when a limit or a file is refused.
pub fn compile_in_child(input: &Path, output: &Path) -> Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::As, ADDRESS_SPACE_BYTES)?;
    limit(Resource::Cpu, PROCESSOR_SECONDS)?;
    limit(Resource::Fsize, CODE_BYTES)?;
    let component = std::fs::read(input).map_err(|error| {
        Error::internal("plugin-file", format!("cannot read {}: {error}", input.display()))
    })?;
    let code = engine::compiling()?.precompile_component(&component).map_err(|error| {
        Error::invalid("plugin-compilation-failed", format!("the component does not compile: {error:#}"))
    })?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output);
    written.and_then(|mut file| file.write_all(&code).and_then(|()| file.sync_all())).map_err(|error| {
        Error::internal("plugin-file", format!("cannot write {}: {error}", output.display()))
    })
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> Result<()> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most);
    // Past the soft limit of processor time comes a signal that tells why, past the hard one a kill.
    let current = if matches!(resource, Resource::Cpu) { allowed.saturating_sub(1).max(1) } else { allowed };
    setrlimit(resource, Rlimit { current: Some(current), maximum: Some(allowed) }).map_err(|error| {
        Error::internal("compiler-limits", "the compiler cannot limit itself").because(error)
    })
}
