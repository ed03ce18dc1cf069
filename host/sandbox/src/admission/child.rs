//! The compiling child's work: a hidden subcommand of the server's binary calls [`compile_in_child`].

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use llm_bench_core::{Error, Result};
use llm_bench_process::confinement::{self, Resource};

use crate::engine;

/// What the child allows itself. Hostile code makes compilers slow and large; the component of a Python interpreter
/// (18 MB) needs a tenth of it.
pub(super) const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
pub(super) const PROCESSOR_SECONDS: u64 = 180;
const CODE_BYTES: u64 = 1 << 30;

/// Confines this process for good, then compiles the component `input` into the new file `output`.
///
/// Only for a process that ends afterwards: its address space, processor time and file size stay limited, and once it
/// has opened both files, it can neither open another, connect to anything nor start a program.
///
/// # Errors
/// `plugin-compilation-failed` with what the compiler says; `internal` when a limit or a file is refused.
pub fn compile_in_child(input: &Path, output: &Path) -> Result<()> {
    confinement::begin()?;
    confinement::close_inherited()?;
    confinement::limit(Resource::As, ADDRESS_SPACE_BYTES)?;
    confinement::limit(Resource::Cpu, PROCESSOR_SECONDS)?;
    confinement::limit(Resource::Fsize, CODE_BYTES)?;
    let component = std::fs::read(input).map_err(|error| {
        Error::internal("plugin-file", format!("cannot read {}: {error}", input.display()))
    })?;
    let unwritable = |error: std::io::Error| {
        Error::internal("plugin-file", format!("cannot write {}: {error}", output.display()))
    };
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(unwritable)?;
    // From here on a stranger's bytes are at work.
    confinement::deny_files()?;
    confinement::filter_system_calls()?;
    let code = engine::compiling()?.precompile_component(&component).map_err(|error| {
        Error::invalid("plugin-compilation-failed", format!("the component does not compile: {error:#}"))
    })?;
    written.write_all(&code).and_then(|()| written.sync_all()).map_err(unwritable)
}
