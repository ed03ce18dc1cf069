//! The composition root: the one module that names every adapter.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use llm_bench_core::access::Access;
use llm_bench_core::audit::AuditLog;
use llm_bench_core::benchmark::BenchmarkRepository;
use llm_bench_core::catalog::Catalog;
use llm_bench_core::clock::{Clock, SystemClock};
use llm_bench_core::dataset::DatasetReader;
use llm_bench_core::hardware::HardwareMonitor;
use llm_bench_core::lifecycle::Lifecycle;
use llm_bench_core::orchestrator::{Orchestrator, Ports, Settings};
use llm_bench_core::{Error, Result};
use llm_bench_datasets::FileDatasetReader;
use llm_bench_hardware::SystemMonitor;
use llm_bench_process::ChildCommand;
use llm_bench_runner::{Execution, Isolation, OnnxRunner, ProcessConfig, Provider, RunnerConfig};
use llm_bench_sandbox::{CompileLimits, CompilerCommand, SandboxConfig, WasmSandbox};
use llm_bench_storage::Storage;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::bundled::Bundled;
use crate::cli::LOG_VARIABLE;
use crate::config::{HostConfig, Uploads};
use crate::installation::{DataFolder, Installation};

/// The hidden subcommand that compiles a plugin in a child process.
pub const COMPILE_PLUGIN: &str = "compile-plugin";

/// The hidden subcommand that runs a model in a child process.
pub const RUN_MODEL: &str = "run-model";

/// The hidden subcommand that runs the guests of a plugin in a child process.
pub const RUN_GUESTS: &str = "run-guests";

/// What a model's process gets of the environment: where the loader looks for libraries that ONNX Runtime needs, which
/// GPU it may use, and the log's setting.
const MODEL_ENVIRONMENT: [&str; 4] =
    ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", LOG_VARIABLE];

/// How often the hardware is read.
const HARDWARE_INTERVAL: Duration = Duration::from_millis(200);

/// Guests that run at once, over all benchmarks.
const GUESTS: u32 = 64;
/// The most that any benchmark may grant a guest: all that a 32-bit memory can have.
const MOST_GUEST_MEMORY: u64 = 1 << 32;
/// Memory that the guests of one plugin may take together where they have a process of their own.
const GUESTS_MEMORY: u64 = 8 << 30;

/// What a user may choose about the whole process.
#[derive(Debug, Clone, Default)]
pub struct AppConfig {
    pub data_dir: Option<PathBuf>,
    pub settings: Settings,
    pub models: ModelOptions,
    /// None: what `config.toml` says, else the default.
    pub sandbox: Option<SandboxProcess>,
}

/// Where the guests of plugins run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxProcess {
    /// On threads of this process.
    InProcess,
    /// Those of each plugin in a confined process of their own.
    Isolated,
}

impl Default for SandboxProcess {
    /// Isolated where the system can.
    fn default() -> Self {
        if cfg!(target_os = "linux") { Self::Isolated } else { Self::InProcess }
    }
}

/// How models run. Each has a process of its own unless it is wanted in this one.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelOptions {
    pub in_process: bool,
    /// What computes.
    pub provider: Provider,
    /// Threads that one model may use; none: one for each core.
    pub threads: Option<usize>,
    /// Memory for the KV caches of one model; none: the runner's default.
    pub kv_cache_bytes: Option<usize>,
    pub execution: Execution,
    /// Memory that the process of one model may reserve.
    pub memory_bytes: Option<u64>,
    /// How long the process of a model may take to answer any of its calls.
    pub call_deadline: Option<Duration>,
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
    pub access: Access,
    pub audit: Arc<dyn AuditLog>,
    pub orchestrator: Arc<Orchestrator>,
    pub lifecycle: Lifecycle,
    pub(crate) uploads: Uploads,
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
        let host = HostConfig::read(data.path())?;
        let settings = Settings { guest_limits: host.limits()?, ..config.settings };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let defaults = RunnerConfig::new(installation.onnxruntime());
        let runner = Arc::new(OnnxRunner::new(RunnerConfig {
            threads: config.models.threads,
            memory_bytes: config.models.kv_cache_bytes.unwrap_or(defaults.memory_bytes),
            execution: config.models.execution,
            provider: config.models.provider,
            isolation: isolation(config.models)?,
            ..defaults
        }));
        if config.models.provider != Provider::Cpu {
            runner.check_provider()?;
        }
        if config.models.in_process {
            runner.load_library_ahead();
        }
        let storage = Storage::open(&data.database()).await?;
        let sandbox = Arc::new(WasmSandbox::open(SandboxConfig {
            folder: data.sandbox(),
            compiler: compiler_command()?,
            concurrency: GUESTS,
            // What comes with the program is not an upload.
            max_component_bytes: host.uploads.plugin_mib.max(Uploads::default().plugin_mib) << 20,
            max_data_bytes: host.uploads.data_files_mib << 20,
            max_memory_bytes: MOST_GUEST_MEMORY,
            isolation: guest_isolation(config.sandbox.or(host.sandbox.process).unwrap_or_default())?,
        })?);
        let datasets = Arc::new(FileDatasetReader::new());
        let (models, guests) = (runner.processes(), sandbox.processes());
        let children = move || [models.ids(), guests.ids()].concat();
        let hardware = Arc::new(SystemMonitor::start(HARDWARE_INTERVAL, clock.clone(), children, stop));
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
            verifications: storage.clone(),
            sandbox,
            hardware: hardware.clone(),
            clock: clock.clone(),
        };
        let orchestrator = Arc::new(Orchestrator::new(ports, settings));
        let lifecycle = Lifecycle {
            catalog: catalog.clone(),
            benchmarks: storage.clone(),
            orchestrator: orchestrator.clone(),
        };
        let app = Self {
            installation,
            data,
            catalog,
            access: Access { tokens: storage.clone(), clock: clock.clone() },
            audit: storage.clone(),
            benchmarks: storage,
            datasets,
            runner,
            hardware,
            orchestrator,
            lifecycle,
            uploads: host.uploads,
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
    Ok(CompilerCommand {
        program: this_program()?,
        arguments: vec![COMPILE_PLUGIN.into()],
        limits: CompileLimits::default(),
    })
}

/// This very program, as the runner of one model.
fn model_command() -> Result<ChildCommand> {
    let environment: Vec<(OsString, OsString)> =
        (MODEL_ENVIRONMENT.iter()).filter_map(|&name| Some((name.into(), std::env::var_os(name)?))).collect();
    Ok(ChildCommand { program: this_program()?, arguments: vec![RUN_MODEL.into()], environment })
}

/// This very program, as the process of a plugin's guests. Of the environment it gets the log's setting alone.
fn guest_isolation(process: SandboxProcess) -> Result<llm_bench_sandbox::Isolation> {
    if process == SandboxProcess::InProcess {
        return Ok(llm_bench_sandbox::Isolation::InProcess);
    }
    let log = std::env::var_os(LOG_VARIABLE).map(|log| (LOG_VARIABLE.into(), log));
    let command = ChildCommand {
        program: this_program()?,
        arguments: vec![RUN_GUESTS.into()],
        environment: log.into_iter().collect(),
    };
    Ok(llm_bench_sandbox::Isolation::Process { command, memory_bytes: GUESTS_MEMORY })
}

fn isolation(models: ModelOptions) -> Result<Isolation> {
    if models.in_process {
        return Ok(Isolation::InProcess);
    }
    let mut config = ProcessConfig::new(model_command()?);
    config.memory_bytes = models.memory_bytes;
    if let Some(deadline) = models.call_deadline {
        config.call_deadline = deadline;
    }
    Ok(Isolation::Process(config))
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| {
        Error::internal("no-executable-path", format!("cannot tell where this program lies: {error}"))
    })
}
