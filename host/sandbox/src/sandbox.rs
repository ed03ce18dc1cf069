//! The sandbox: admits components, keeps them, and loads them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use llm_bench_core::plugin::{Admission, Descriptor, LoadedPlugin, Sandbox};
use llm_bench_core::{Error, Result};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::admission::{Candidate, CompilerCommand, Library};
use crate::bindings::exports::llm_bench::plugin::{plugin, scorer, solver};
use crate::engine;
use crate::guest::{GuestRuntime, GuestState, Program, link};
use crate::plugin::{WasmPlugin, unfit};

/// What a [`WasmSandbox`] needs to know.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where components and their compiled code are kept. The sandbox makes it and closes it to other users; nobody
    /// else may write there, because compiled code is executed as it is.
    pub folder: PathBuf,
    /// How to start the compiling child.
    pub compiler: CompilerCommand,
    /// Guests that run at once; further calls wait.
    pub concurrency: u32,
    /// The most that any guest's limits may grant it, in bytes; at most 4 GiB.
    pub max_memory_bytes: u64,
}

/// Runs plugins with wasmtime.
pub struct WasmSandbox {
    engine: Engine,
    linker: Linker<GuestState>,
    library: Arc<Library>,
    runtime: Arc<GuestRuntime>,
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
    /// `plugin-folder` when the folder cannot be used; `internal` when the engine cannot start.
    pub fn open(config: SandboxConfig) -> Result<Self> {
        // No memory of 32 bits is larger.
        let max_memory_bytes = config.max_memory_bytes.min(1 << 32);
        let concurrency = config.concurrency.max(1);
        let engine = engine::running(concurrency, max_memory_bytes)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)
            .map_err(|error| Error::internal("sandbox-engine", format!("cannot link: {error:#}")))?;
        Ok(Self {
            engine,
            linker,
            library: Arc::new(Library::open(&config.folder, config.compiler)?),
            runtime: Arc::new(GuestRuntime::new(concurrency, max_memory_bytes)?),
            programs: Mutex::default(),
        })
    }

    /// The program of a component whose compiled code is at `compiled`.
    fn program(&self, digest: &str, compiled: &Path) -> Result<Arc<Program>> {
        let mut programs = self.programs();
        if let Some(program) = programs.find(digest) {
            return Ok(program);
        }
        let program = Arc::new(self.link(compiled)?);
        programs.add(digest, &program);
        Ok(program)
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a component what it is, in this engine and under limits.
    async fn describe(&self, digest: &str, compiled: &Path) -> Result<Descriptor> {
        let program = self.program(digest, compiled)?;
        WasmPlugin { runtime: Arc::clone(&self.runtime), program }.describe().await
    }

    fn link(&self, compiled: &Path) -> Result<Program> {
        #[expect(
            unsafe_code,
            reason = "the file was written by our own compiling child from a component it validated, lies in a folder \
                      closed to other users, is never changed in place, and its digest was just verified"
        )]
        let component = unsafe { Component::deserialize_file(&self.engine, compiled) };
        let component = component.map_err(|error| unfit(&error))?;
        let instance = self.linker.instantiate_pre(&component).map_err(|error| unfit(&error))?;
        let exports = |interface| component.get_export_index(None, interface).is_some();
        Ok(Program {
            plugin: plugin::GuestIndices::new(&instance).map_err(|error| unfit(&error))?,
            solver: exports("llm-bench:plugin/solver@0.1.0")
                .then(|| solver::GuestIndices::new(&instance).map_err(|error| unfit(&error)))
                .transpose()?,
            scorer: exports("llm-bench:plugin/scorer@0.1.0")
                .then(|| scorer::GuestIndices::new(&instance).map_err(|error| unfit(&error)))
                .transpose()?,
            instance,
        })
    }
}

#[async_trait]
impl Sandbox for WasmSandbox {
    async fn admit(&self, component: &Path) -> Result<Admission> {
        let (library, path) = (Arc::clone(&self.library), component.to_owned());
        let (candidate, compiled) = self
            .runtime
            .spawn(async move {
                let candidate = Candidate::read(&path).await?;
                let compiled = library.compile(&candidate).await?;
                Ok::<_, Error>((candidate, compiled))
            })
            .await??;
        let descriptor = match self.describe(&candidate.digest, &compiled).await {
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
            digest: digest.clone(),
        };
        let library = Arc::clone(&self.library);
        self.runtime.spawn(async move { library.keep(&digest, bytes).await }).await??;
        Ok(admission)
    }

    async fn load(&self, digest: &str) -> Result<Arc<dyn LoadedPlugin>> {
        let there = self.programs().find(digest);
        let program = if let Some(program) = there {
            program
        } else {
            let (library, wanted) = (Arc::clone(&self.library), digest.to_owned());
            let compiled = self.runtime.spawn(async move { library.find(&wanted).await }).await??;
            self.program(digest, &compiled)?
        };
        Ok(Arc::new(WasmPlugin { runtime: Arc::clone(&self.runtime), program }))
    }
}
