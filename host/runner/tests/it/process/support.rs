//! Models in real child processes, which a test can find and end.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use llm_bench_core::{Error, Result};
use llm_bench_process::ChildCommand;
use llm_bench_runner::{Isolation, OnnxRunner, ProcessConfig, RunnerConfig};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Loaded, copy_of, fixture, library, load};

pub(super) const MEBIBYTE: u64 = 1 << 20;

/// Models whose children carry a mark, by which they are found among all processes.
pub(super) struct Marked {
    pub(super) config: ProcessConfig,
    threads: usize,
    mark: String,
}

impl Marked {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let program = env!("CARGO_BIN_EXE_llm-bench-run-model").into();
        let command = ChildCommand { program, arguments: vec![mark.clone().into()], environment: vec![] };
        Self { config: ProcessConfig::new(command), threads: 1, mark }
    }

    pub(super) fn with_deadline(mut self, seconds: f32) -> Self {
        self.config.call_deadline = Duration::from_secs_f32(seconds);
        self
    }

    pub(super) fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    pub(super) fn with_memory(mut self, mebibytes: u64) -> Self {
        self.config.memory_bytes = Some(mebibytes * MEBIBYTE);
        self
    }

    pub(super) fn runner(&self) -> OnnxRunner {
        let isolation = Isolation::Process(self.config.clone());
        OnnxRunner::new(RunnerConfig {
            threads: Some(self.threads),
            isolation,
            ..RunnerConfig::new(library())
        })
    }

    pub(super) async fn load(&self, path: &Path) -> Result<Loaded> {
        load(path, &self.runner()).await
    }

    pub(super) async fn loaded(&self, name: &str) -> Loaded {
        self.load(&fixture(name)).await.unwrap()
    }

    pub(super) async fn refusal(&self, path: &Path) -> Error {
        match self.load(path).await {
            Ok(_) => panic!("{} was loaded", path.display()),
            Err(error) => error,
        }
    }

    /// The children that are alive.
    pub(super) fn children(&self) -> Vec<Pid> {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
            // A process that has ended and is not waited for yet has no command any more.
            command.split('\0').any(|argument| argument == self.mark).then(|| Pid::from_raw(id))?
        });
        processes.collect()
    }

    /// The one child, once there is one.
    pub(super) async fn child(&self) -> Pid {
        self.wait_until(|children| children.len() == 1).await[0]
    }

    /// Looks at the children until they are as wanted, and fails the test if that takes a minute.
    pub(super) async fn wait_until(&self, wanted: impl Fn(&[Pid]) -> bool) -> Vec<Pid> {
        let began = std::time::Instant::now();
        loop {
            let children = self.children();
            if wanted(&children) {
                return children;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "the children are {children:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) async fn signal(&self, signal: Signal) -> Pid {
        let child = self.child().await;
        kill_process(child, signal).unwrap();
        child
    }
}

/// Processor time that a process has used, in the kernel's ticks of 10 ms.
pub(super) fn ticks(process: Pid) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap();
    // After the command in parentheses: the state is the third field, user and system time are 14 and 15.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// A copy of a fixture with another graph.
pub(super) fn with_graph(graph: &str) -> tempfile::TempDir {
    let folder = copy_of("llama");
    let graph = fixture("hostile").join(format!("{graph}.onnx"));
    std::fs::copy(graph, folder.path().join("model.onnx")).unwrap();
    folder
}

/// A copy of a fixture whose tokenizer is changed.
pub(super) fn with_tokenizer(change: impl FnOnce(&mut serde_json::Value)) -> tempfile::TempDir {
    let folder = copy_of("llama");
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut tokenizer);
    std::fs::write(&path, serde_json::to_string(&tokenizer).unwrap()).unwrap();
    folder
}
