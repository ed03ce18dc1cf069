//! The compiling child's work: a hidden subcommand of the server's binary calls [`compile_in_child`].

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use llm_bench_core::{Error, Result};
use llm_bench_process::confinement::{self, Resource};

use crate::engine;

const CODE_BYTES: u64 = 1 << 30;

/// What compiling one component may take. Hostile code makes compilers slow and large; the component of a Python
/// interpreter (18 MB) needs a tenth of the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    pub address_space_bytes: u64,
    pub processor_seconds: u64,
    /// Which the parent keeps: only a child that hardly computes, or does so on a crowded machine, comes near it.
    pub wall_seconds: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { address_space_bytes: 4 << 30, processor_seconds: 180, wall_seconds: 900 }
    }
}

/// Confines this process for good, then compiles the component `input` into the new file `output`.
///
/// Only for a process that ends afterwards: its address space, processor time and file size stay limited, and once it
/// has opened both files, it can neither open another, connect to anything nor start a program.
///
/// # Errors
/// `plugin-compilation-failed` with what the compiler says; `internal` when a limit or a file is refused.
pub fn compile_in_child(input: &Path, output: &Path, limits: CompileLimits) -> Result<()> {
    confinement::begin()?;
    confinement::close_inherited()?;
    confinement::limit(Resource::As, limits.address_space_bytes)?;
    confinement::limit(Resource::Cpu, limits.processor_seconds)?;
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
