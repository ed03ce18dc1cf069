//! The child's end of the pipes.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::fd::AsFd;

use llm_bench_core::{Error, Result};

/// Keeps the pipes to the parent out of the reach of libraries: their standard input is empty, and what they print
/// goes where the log goes.
///
/// # Errors
/// `process-pipes` when the system refuses.
pub fn take() -> Result<(BufReader<File>, File)> {
    let take = || {
        let input = std::io::stdin().as_fd().try_clone_to_owned()?;
        let output = std::io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        rustix::stdio::dup2_stdout(std::io::stderr())?;
        Ok::<_, std::io::Error>((BufReader::with_capacity(1 << 16, File::from(input)), File::from(output)))
    };
    take().map_err(|error| {
        Error::internal("process-pipes", "cannot take the pipes to the parent").because(error)
    })
}

/// Writes what was put together by [`frames::append`](crate::frames::append).
///
/// # Errors
/// `process-pipes` when nobody listens.
pub fn write(mut output: &File, frames: &[u8]) -> Result<()> {
    output.write_all(frames).map_err(|error| {
        Error::unavailable("process-pipes", "the parent process does not listen").because(error)
    })
}

/// The error of a process that somebody else than the program started.
pub fn not_a_command() -> Error {
    Error::invalid(
        "not-a-command",
        "the program itself starts this command and talks to it over standard input",
    )
}

/// Ends this process without a destructor: the libraries' would run while threads still compute.
pub fn end_now() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
