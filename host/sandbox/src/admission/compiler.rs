//! Compiling in a child process: a hostile component makes a compiler slow, large or crash, and that must not be the
//! server.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use llm_bench_core::{Error, Result};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::child::CompileLimits;
use crate::convert::lift::shown;

/// What is read of the child's standard error.
const MESSAGE_BYTES: u64 = 8192;

/// The program that compiles: called with `arguments`, the component's path, the path of the new file, and its
/// own two limits, bytes and seconds, it ends with [`compile_in_child`](crate::compile_in_child), its error's message on
/// standard error and a non-zero code.
#[derive(Debug, Clone)]
pub struct CompilerCommand {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub limits: CompileLimits,
}

impl CompilerCommand {
    /// Compiles `input` into the new file `output`.
    ///
    /// # Errors
    /// `plugin-compilation-memory` and `plugin-compilation-time` where it hit a limit, `plugin-compilation-failed` where
    /// it refused or crashed; `compiler-start` when it cannot be started.
    pub(super) async fn compile(&self, input: &Path, output: &Path) -> Result<()> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args([input, output])
            .args(
                [self.limits.address_space_bytes, self.limits.processor_seconds]
                    .map(|limit| limit.to_string()),
            )
            // Nothing of the server's environment concerns the compiler.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let program = self.program.display();
                Error::internal("compiler-start", format!("cannot start the compiler {program}"))
                    .because(error)
            })?;
        let timeout = Duration::from_secs(self.limits.wall_seconds);
        match tokio::time::timeout(timeout, finish(&mut child)).await {
            Err(_) => Err(too_slow(format!("it took longer than {} s", timeout.as_secs()))),
            Ok(Err(error)) => Err(Error::internal("compiler-start", "lost the compiler").because(error)),
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, message))) => Err(self.refusal(status, &message)),
        }
    }

    fn refusal(&self, status: ExitStatus, message: &str) -> Error {
        let CompileLimits { address_space_bytes, processor_seconds, .. } = self.limits;
        let signal = status.signal();
        let out_of_memory =
            message.contains("memory allocation of") || message.contains("Cannot allocate memory");
        if out_of_memory {
            let most = address_space_bytes >> 20;
            refused("plugin-compilation-memory", format!("it needs more than {most} MiB of address space"))
        } else if signal == Some(Signal::XCPU.as_raw()) {
            too_slow(format!("it takes more than {processor_seconds} s of processor time"))
        } else if let Some(signal) = signal {
            failed(format!(
                "the compiler was ended by signal {signal} (a crash, or the system ran out of memory)"
            ))
        } else if message.is_empty() {
            failed(format!("the compiler ended with code {}", status.code().unwrap_or(-1)))
        } else {
            failed(shown(message, 1000))
        }
    }
}

/// Waits for the child's end; reads on past the bound, lest the child blocks on a full pipe.
async fn finish(child: &mut Child) -> std::io::Result<(ExitStatus, String)> {
    let mut message = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        (&mut stderr).take(MESSAGE_BYTES).read_to_end(&mut message).await?;
        tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
    }
    Ok((child.wait().await?, String::from_utf8_lossy(&message).trim().to_owned()))
}

fn too_slow(reason: impl std::fmt::Display) -> Error {
    refused("plugin-compilation-time", reason)
}

fn failed(reason: impl std::fmt::Display) -> Error {
    refused("plugin-compilation-failed", reason)
}

fn refused(code: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::invalid(code, format!("the plugin cannot be compiled: {reason}"))
}
