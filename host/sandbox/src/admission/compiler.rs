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

use super::child::{ADDRESS_SPACE_BYTES, PROCESSOR_SECONDS};
use crate::convert::lift::shown;

/// Longer than the child's processor time: only a child that does not even compute lives that long.
const TIMEOUT: Duration = Duration::from_secs(2 * PROCESSOR_SECONDS);

/// What is read of the child's standard error.
const MESSAGE_BYTES: u64 = 8192;

/// The program that compiles: called with `arguments`, the component's path and the path of the new file, it ends
/// with [`compile_in_child`](crate::compile_in_child), its error's message on standard error and a non-zero code.
#[derive(Debug, Clone)]
pub struct CompilerCommand {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

impl CompilerCommand {
    /// Compiles `input` into the new file `output`.
    ///
    /// # Errors
    /// `plugin-compilation-failed`, whether the compiler refused, crashed or hit a limit; `compiler-start` when it
    /// cannot be started.
    pub(super) async fn compile(&self, input: &Path, output: &Path) -> Result<()> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args([input, output])
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
        match tokio::time::timeout(TIMEOUT, finish(&mut child)).await {
            Err(_) => Err(failed(format!("it took longer than {} s", TIMEOUT.as_secs()))),
            Ok(Err(error)) => Err(Error::internal("compiler-start", "lost the compiler").because(error)),
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, message))) => Err(failed(reason(status, &message))),
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

fn reason(status: ExitStatus, message: &str) -> String {
    let signal = status.signal();
    let out_of_memory =
        message.contains("memory allocation of") || message.contains("Cannot allocate memory");
    if out_of_memory {
        format!("compiling it needs more than {} GiB of address space", ADDRESS_SPACE_BYTES >> 30)
    } else if signal == Some(Signal::XCPU.as_raw()) {
        format!("compiling it takes more than {PROCESSOR_SECONDS} s of processor time")
    } else if let Some(signal) = signal {
        format!("the compiler was ended by signal {signal} (a crash, or the system ran out of memory)")
    } else if message.is_empty() {
        format!("the compiler ended with code {}", status.code().unwrap_or(-1))
    } else {
        shown(message, 1000)
    }
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::invalid("plugin-compilation-failed", format!("the plugin cannot be compiled: {reason}"))
}
