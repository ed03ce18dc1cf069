//! The composition root: the one module that names every adapter.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use llm_bench_core::Result;
use llm_bench_core::benchmark::BenchmarkRepository;
use llm_bench_core::catalog::Catalog;
use llm_bench_core::clock::{Clock, SystemClock};
use llm_bench_core::dataset::DatasetReader;
use llm_bench_core::hardware::HardwareMonitor;
use llm_bench_core::orchestrator::{Orchestrator, Ports, Settings};
use llm_bench_datasets::FileDatasetReader;
use llm_bench_hardware::SystemMonitor;
use llm_bench_runner::{OnnxRunner, RunnerConfig};
use llm_bench_sandbox::{CompilerCommand, SandboxConfig, WasmSandbox};
use llm_bench_storage::Storage;
use tokio_util::sync::CancellationToken;

use crate::bundled::Bundled;
use crate::installation::{DataFolder, Installation};

/// The hidden subcommand that compiles a plugin in a child process.
pub const COMPILE_PLUGIN: &str = "compile-plugin";

/// How often the hardware is read.
const HARDWARE_INTERVAL: Duration = Duration::from_millis(200);

/// Guests that run at once, over all benchmarks.
const GUESTS: u32 = 64;
/// The most that any benchmark may grant a guest: all that a 32-bit memory can have.
const MOST_GUEST_MEMORY: u64 = 1 << 32;

/// What a user may choose about the whole process.
#[derive(Debug, Clone, Default)]
pub struct AppConfig {
    pub data_dir: Option<PathBuf>,
    pub settings: Settings,
}

/// The wired program: everything a route or a command needs.
#[derive(Clone)]
pub struct App {
    pub installation: Installation,
    pub data: DataFolder,
    pub catalog: Catalog,
    pub benchmarks: Arc<dyn BenchmarkRepository>,
    pub datasets: Arc<dyn DatasetReader>,
    pub runner: Arc<OnnxRunner>,
    pub hardware: Arc<dyn HardwareMonitor>,
    pub orchestrator: Arc<Orchestrator>,
    pub clock: Arc<dyn Clock>,
    pub bundled: Arc<Bundled>,
    /// Held while an uploaded split is added to its dataset.
    pub dataset_uploads: Arc<tokio::sync::Mutex<()>>,
}

impl App {
    /// Opens the data folder and wires the adapters. Models and datasets that ship with the program are
    /// registered; its plugins are when they are first asked for.
    ///
    /// # Errors
    /// One sentence on what is missing or broken, and the way out.
    pub async fn open(config: AppConfig, stop: CancellationToken) -> Result<Self> {
        let installation = Installation::locate()?;
        let data = DataFolder::open(config.data_dir.as_deref())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let storage = Storage::open(&data.database()).await?;
        let sandbox = Arc::new(WasmSandbox::open(SandboxConfig {
            folder: data.sandbox(),
            compiler: compiler_command()?,
            concurrency: GUESTS,
            max_memory_bytes: MOST_GUEST_MEMORY,
        })?);
        let runner = Arc::new(OnnxRunner::new(RunnerConfig::new(installation.onnxruntime())));
        let datasets = Arc::new(FileDatasetReader::new());
        let hardware = Arc::new(SystemMonitor::start(HARDWARE_INTERVAL, clock.clone(), stop));
        let storage = Arc::new(storage);
        let bundled = Arc::new(Bundled::find(&installation)?);
        let catalog = Catalog {
            models: storage.clone(),
            datasets: storage.clone(),
            plugins: storage.clone(),
            sandbox: sandbox.clone(),
            clock: clock.clone(),
            reserved: bundled.plugin_names().into(),
        };
        let ports = Ports {
            benchmarks: storage.clone(),
            datasets: datasets.clone(),
            runner: runner.clone(),
            response_cache: storage.clone(),
            sandbox,
            hardware: hardware.clone(),
            clock: clock.clone(),
        };
        let app = Self {
            installation,
            data,
            catalog,
            benchmarks: storage,
            datasets,
            runner,
            hardware,
            orchestrator: Arc::new(Orchestrator::new(ports, config.settings)),
            clock,
            bundled,
            dataset_uploads: Arc::default(),
        };
        app.register_folders().await?;
        Ok(app)
    }
}

/// This very program, as the compiler of plugins.
fn compiler_command() -> Result<CompilerCommand> {
    let program = std::env::current_exe().map_err(|error| {
        llm_bench_core::Error::internal(
            "no-executable-path",
            format!("cannot tell where this program lies: {error}"),
        )
    })?;
    Ok(CompilerCommand { program, arguments: vec![COMPILE_PLUGIN.into()] })
}
