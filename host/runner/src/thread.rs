//! The thread of a model, and the channel to it.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use llm_bench_core::{Error, Result};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::runner::RunnerConfig;
use crate::runtime;
use crate::worker::{Command, serve};

/// Starts the thread, which loads the library and the model, says how that went, and serves calls until every sender
/// is gone. Calls may be sent before the model is loaded.
///
/// # Errors
/// When no thread can be started; all else is told over the receiver.
pub(crate) fn start(
    name: &str,
    config: RunnerConfig,
    path: PathBuf,
) -> Result<(Sender<Command>, oneshot::Receiver<Result<()>>)> {
    let (commands, received) = channel::<Command>();
    let (ready, opened) = oneshot::channel();
    let open = move || Engine::open(&runtime::load(&config.library)?, &path, &config);
    std::thread::Builder::new()
        .name(format!("model {name}"))
        .spawn(move || match open() {
            Ok(mut engine) => {
                if ready.send(Ok(())).is_ok() {
                    serve(&mut engine, &received);
                }
            }
            Err(error) => {
                // Nobody waits for a model whose loading was given up.
                let _ = ready.send(Err(error));
            }
        })
        .map_err(|error| {
            Error::unavailable("model-thread-failed", "no thread could be started for the model")
                .because(error)
        })?;
    Ok((commands, opened))
}

/// The error of those who lost the thread.
pub(crate) fn failed(name: &str) -> Error {
    Error::unavailable("model-thread-failed", format!("the thread of the model `{name}` failed: see the log"))
}
