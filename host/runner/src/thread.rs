//! The threads of a model, and the channel to them.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use llm_bench_core::{Error, Result};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::lanes::Lanes;
use crate::provider::Provider;
use crate::runner::{Execution, RunnerConfig};
use crate::runtime;
use crate::worker::{Command, Turn, serve};

/// Models up to this size, in bytes of all their files, are loaded once for each thread that they may use: their operators
/// are too short to be shared by threads, so that each thread runs batches of its own.
const MOST_LANE_BYTES: u64 = 32 << 20;
const MOST_LANES: usize = 4;

/// New tokens in one run of such a thread, at most: what they become on their way through a small model stays in the cache
/// of the core then.
const MOST_LANE_TOKENS: usize = 256;

/// A model's threads, which may still be loading it.
pub(crate) struct Started {
    /// The way to them.
    pub(crate) commands: Sender<Command>,
    /// The word on how loading went.
    pub(crate) opened: oneshot::Receiver<Result<()>>,
    /// What each of them is at.
    pub(crate) turns: Vec<Turn>,
}

/// Starts the threads, which load the library and the model, say how that went, and serve calls until every sender is
/// gone. Calls may be sent before the model is loaded.
///
/// # Errors
/// When no thread can be started; all else is told over the receiver.
pub(crate) fn start(name: &str, config: RunnerConfig, path: PathBuf, bytes: u64) -> Result<Started> {
    let threads = config.threads.unwrap_or_else(|| {
        // Without the number of cores there is one lane, whose threads ONNX Runtime counts.
        std::thread::available_parallelism().map_or(1, NonZero::get)
    });
    let has_lanes = config.execution != Execution::Reference
        && config.provider == Provider::Cpu
        && bytes <= MOST_LANE_BYTES;
    let lanes = if has_lanes { threads.clamp(1, MOST_LANES) } else { 1 };
    if lanes == 1 {
        return start_lane(name, config, path);
    }
    let memory_bytes = config.memory_bytes / lanes;
    let max_batch_tokens = config.max_batch_tokens.min(MOST_LANE_TOKENS);
    let lane = |number: usize| {
        let threads = threads / lanes + usize::from(number < threads % lanes);
        start_lane(
            name,
            RunnerConfig { threads: Some(threads), memory_bytes, max_batch_tokens, ..config.clone() },
            path.clone(),
        )
    };
    let started: Vec<Started> = (0..lanes).map(lane).collect::<Result<_>>()?;
    let turns = started.iter().flat_map(|lane| lane.turns.clone()).collect();
    let (commands, received) = channel::<Command>();
    let (ready, opened) = oneshot::channel();
    let model = name.to_owned();
    spawn(format!("model {name}"), move || {
        let mut ways = Vec::new();
        for Started { commands, opened, .. } in started {
            if let Err(error) = opened.blocking_recv().unwrap_or_else(|_| Err(failed(&model))) {
                // Nobody waits for a model whose loading was given up.
                let _ = ready.send(Err(error));
                return;
            }
            ways.push(commands);
        }
        if ready.send(Ok(())).is_ok() {
            Lanes::new(ways).distribute(&received);
        }
    })?;
    Ok(Started { commands, opened, turns })
}

fn start_lane(name: &str, config: RunnerConfig, path: PathBuf) -> Result<Started> {
    let (commands, received) = channel::<Command>();
    let (ready, opened) = oneshot::channel();
    let turn = Turn::default();
    let turns = vec![turn.clone()];
    let open = move || Engine::open(&runtime::load(&config.library)?, &path, &config);
    spawn(format!("model {name}"), move || match open() {
        Ok(mut engine) => {
            if ready.send(Ok(())).is_ok() {
                serve(&mut engine, &received, &turn);
            }
        }
        Err(error) => {
            // Nobody waits for a model whose loading was given up.
            let _ = ready.send(Err(error));
        }
    })?;
    Ok(Started { commands, opened, turns })
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name).spawn(work).map(drop).map_err(|error| {
        Error::unavailable("model-thread-failed", "no thread could be started for the model").because(error)
    })
}

/// The error of those who lost the thread.
pub(crate) fn failed(name: &str) -> Error {
    Error::unavailable("model-thread-failed", format!("the thread of the model `{name}` failed: see the log"))
}
