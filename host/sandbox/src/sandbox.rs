//! The sandbox: admits components, keeps them, and loads them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use llm_bench_core::plugin::{Admission, DataFiles, Descriptor, LoadedPlugin, Sandbox};
use llm_bench_core::{Error, Result};
use llm_bench_process::{ChildCommand, Processes, confinement};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::admission::{CONTRACT_VERSION, Candidate, CompilerCommand, Library};
use crate::data_files::DataLibrary;
use crate::engine;
use crate::guest::{Files, GuestRuntime, GuestState, Program, linker};
use crate::plugin::{Place, WasmPlugin, unfit};
use crate::process::GuestProcesses;

/// What a [`WasmSandbox`] needs to know.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where components and their compiled code are kept. The sandbox makes it and closes it to other users; nobody
    /// else may write there, because compiled code is executed as it is.
    pub folder: PathBuf,
    /// How to start the compiling child.
    pub compiler: CompilerCommand,
    /// The largest component that is admitted, in bytes.
    pub max_component_bytes: u64,
    /// The most that the data files of a plugin may have together, in bytes.
    pub max_data_bytes: u64,
    /// Guests that run at once; further calls wait.
    pub concurrency: u32,
    /// The most that any guest's limits may grant it, in bytes; at most 4 GiB.
    pub max_memory_bytes: u64,
    pub isolation: Isolation,
}

/// Where guests run.
#[derive(Debug, Clone, Default)]
pub enum Isolation {
    /// On threads of this process.
    #[default]
    InProcess,
    /// Those of each plugin in a confined child process, on Linux.
    Process {
        /// The program that runs them: it ends with [`run_guests_in_child`](crate::run_guests_in_child).
        command: ChildCommand,
        /// Memory that the guests of one plugin may take together, in bytes; what the process reserves for them does
        /// not count.
        memory_bytes: u64,
    },
}

/// Runs plugins with wasmtime.
pub struct WasmSandbox {
    library: Arc<Library>,
    data: Arc<DataLibrary>,
    runtime: Arc<GuestRuntime>,
    guests: Guests,
    max_component_bytes: u64,
}

enum Guests {
    Here(Box<Loader>),
    Isolated(Arc<GuestProcesses>),
}

/// Loads programs into this process.
struct Loader {
    engine: Engine,
    linker: Linker<GuestState>,
    programs: Mutex<Programs>,
}

/// Programs in memory.
#[derive(Default)]
struct Programs {
    /// Those that somebody uses, by digest.
    used: HashMap<String, Weak<Program>>,
    /// Those that were used last: who orders a benchmark asks its plugin before who executes it does.
    recent: VecDeque<Arc<Program>>,
}

impl Programs {
    /// Programs that stay in memory while nobody uses them.
    const RECENT: usize = 4;

    fn find(&mut self, digest: &str) -> Option<Arc<Program>> {
        let program = self.used.get(digest)?.upgrade()?;
        self.touch(&program);
        Some(program)
    }

    fn add(&mut self, digest: &str, program: &Arc<Program>) {
        self.touch(program);
        self.used.retain(|_, program| program.strong_count() > 0);
        self.used.insert(digest.to_owned(), Arc::downgrade(program));
    }

    /// Whoever uses it goes on.
    fn forget(&mut self, digest: &str) {
        let program = self.used.remove(digest).and_then(|program| program.upgrade());
        self.recent.retain(|there| !program.as_ref().is_some_and(|program| Arc::ptr_eq(there, program)));
    }

    fn touch(&mut self, program: &Arc<Program>) {
        self.recent.retain(|there| !Arc::ptr_eq(there, program));
        self.recent.push_back(Arc::clone(program));
        if self.recent.len() > Self::RECENT {
            self.recent.pop_front();
        }
    }
}

impl WasmSandbox {
    /// Starts the engine and the guests' threads. Nothing is compiled before it is asked for.
    ///
    /// # Errors
    /// `plugin-folder` when the folder cannot be used; `sandbox-process-unsupported` for processes of guests elsewhere
    /// than on Linux; `internal` when the engine cannot start.
    pub fn open(config: SandboxConfig) -> Result<Self> {
        // No memory of 32 bits is larger.
        let max_memory_bytes = config.max_memory_bytes.min(1 << 32);
        let concurrency = config.concurrency.max(1);
        let runtime = Arc::new(GuestRuntime::new(concurrency, max_memory_bytes)?);
        for lack in confinement::lacking() {
            tracing::warn!(
                "the processes of plugins and of their compiler are confined less than elsewhere: {lack}"
            );
        }
        let guests = match config.isolation {
            Isolation::InProcess => {
                let engine = engine::running(concurrency, max_memory_bytes)?;
                let linker = linker(&engine)?;
                Guests::Here(Box::new(Loader { engine, linker, programs: Mutex::default() }))
            }
            Isolation::Process { .. } if !cfg!(target_os = "linux") => {
                return Err(Error::unsupported(
                    "sandbox-process-unsupported",
                    "guests can be isolated in processes on Linux only: run them in the process of the host",
                ));
            }
            Isolation::Process { command, memory_bytes } => Guests::Isolated(GuestProcesses::new(
                command,
                runtime.clone(),
                concurrency,
                max_memory_bytes,
                memory_bytes,
            )?),
        };
        let library = Arc::new(Library::open(&config.folder, config.compiler)?);
        let data = Arc::new(DataLibrary::open(&config.folder, config.max_data_bytes)?);
        Ok(Self { library, data, runtime, guests, max_component_bytes: config.max_component_bytes })
    }

    /// The processes that guests run in.
    pub fn processes(&self) -> Processes {
        match &self.guests {
            Guests::Here(_) => Processes::default(),
            Guests::Isolated(processes) => processes.processes.clone(),
        }
    }

    /// Where a component runs whose compiled code is at `compiled`.
    async fn place(&self, digest: &str, compiled: &Path) -> Result<Place> {
        Ok(match &self.guests {
            Guests::Here(loader) => self.here(loader.program(digest, compiled)?),
            Guests::Isolated(processes) => Place::Isolated(processes.open(digest, compiled).await?),
        })
    }

    fn here(&self, program: Arc<Program>) -> Place {
        Place::Here { runtime: Arc::clone(&self.runtime), program }
    }

    /// A program that is in memory, else the compiled code of a component once it is known to be whole.
    async fn find(&self, digest: &str) -> Result<Place> {
        let there = match &self.guests {
            Guests::Here(loader) => loader.programs().find(digest).map(|program| self.here(program)),
            Guests::Isolated(processes) => {
                // The process of one that was removed goes on for those that use it, and for nobody else.
                self.library.admitted(digest)?;
                processes.find(digest).map(Place::Isolated)
            }
        };
        if let Some(place) = there {
            return Ok(place);
        }
        let (library, wanted) = (Arc::clone(&self.library), digest.to_owned());
        let compiled = self.runtime.spawn(async move { library.find(&wanted).await }).await??;
        self.place(digest, &compiled).await
    }

    async fn files(&self, digest: &str, data_files: Option<&str>) -> Result<Files> {
        let Some(wanted) = data_files.map(str::to_owned) else { return Ok(Files::None) };
        let (data, digest) = (Arc::clone(&self.data), digest.to_owned());
        let files = self.runtime.spawn(async move { data.find(&digest, &wanted).await }).await??;
        Ok(Files::Here(files))
    }

    /// Asks a component what it is, under limits.
    async fn rehearse(&self, digest: &str, compiled: &Path) -> Result<Descriptor> {
        let place = self.place(digest, compiled).await?;
        WasmPlugin { place, files: Files::None }.rehearse().await
    }
}

impl Loader {
    fn program(&self, digest: &str, compiled: &Path) -> Result<Arc<Program>> {
        let mut programs = self.programs();
        if let Some(program) = programs.find(digest) {
            return Ok(program);
        }
        #[expect(
            unsafe_code,
            reason = "the file was written by our own compiling child from a component it validated, lies in a folder \
                      closed to other users, is never changed in place, and its digest was just verified"
        )]
        let component = unsafe { Component::deserialize_file(&self.engine, compiled) };
        let program = Arc::new(Program::new(&self.linker, &component.map_err(unfit)?)?);
        programs.add(digest, &program);
        Ok(program)
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn admit(&self, component: &Path) -> Result<Admission> {
        let (library, path, most) =
            (Arc::clone(&self.library), component.to_owned(), self.max_component_bytes);
        let (candidate, ready) = self
            .runtime
            .spawn(async move {
                let candidate = Candidate::read(&path, most).await?;
                let ready = library.compile(&candidate).await?;
                Ok::<_, Error>((candidate, ready))
            })
            .await??;
        let descriptor = match self.rehearse(&candidate.digest, &ready.code).await {
            Ok(descriptor) => descriptor,
            Err(error) => {
                self.library.discard(&candidate.digest).await;
                return Err(error);
            }
        };
        let Candidate { digest, bytes, inspection } = candidate;
        let admission = Admission {
            bytes: bytes.len() as u64,
            descriptor,
            exports: inspection.exports,
            imports: inspection.imports,
            contract: CONTRACT_VERSION.to_owned(),
            compile_ms: ready.compile_ms,
            digest: digest.clone(),
        };
        let library = Arc::clone(&self.library);
        self.runtime.spawn(async move { library.keep(&digest, bytes).await }).await??;
        Ok(admission)
    }

    async fn load(&self, digest: &str, data_files: Option<&str>) -> Result<Arc<dyn LoadedPlugin>> {
        let place = self.find(digest).await?;
        let files = self.files(digest, data_files).await?;
        Ok(Arc::new(WasmPlugin { place, files }))
    }

    async fn keep_data_files(&self, digest: &str, archive: &Path, names: &[String]) -> Result<DataFiles> {
        let (library, data) = (Arc::clone(&self.library), Arc::clone(&self.data));
        let (digest, archive, names) = (digest.to_owned(), archive.to_owned(), names.to_vec());
        let kept = async move {
            library.admitted(&digest)?;
            data.keep(&digest, &archive, &names).await
        };
        self.runtime.spawn(kept).await?
    }

    async fn forget_data_files(&self, digest: &str, stays: Option<&str>) -> Result<()> {
        let data = Arc::clone(&self.data);
        let (digest, stays) = (digest.to_owned(), stays.map(str::to_owned));
        self.runtime.spawn(async move { data.forget(&digest, stays.as_deref()).await }).await?
    }

    async fn component(&self, digest: &str) -> Result<Vec<u8>> {
        let (library, wanted) = (Arc::clone(&self.library), digest.to_owned());
        self.runtime.spawn(async move { library.read(&wanted).await }).await?
    }

    async fn forget(&self, digest: &str) -> Result<()> {
        match &self.guests {
            Guests::Here(loader) => loader.programs().forget(digest),
            Guests::Isolated(processes) => processes.forget(digest),
        }
        let (library, wanted) = (Arc::clone(&self.library), digest.to_owned());
        let data = Arc::clone(&self.data);
        let forgotten = async move {
            library.forget(&wanted).await?;
            data.forget(&wanted, None).await
        };
        self.runtime.spawn(forgotten).await?
    }
}
