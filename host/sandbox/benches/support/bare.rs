//! The same component without a host around it: wasmtime, its pool, and imports that answer at once.

use std::path::Path;

use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use self::llm_bench::plugin::models::{
    Generation, GenerationRequest, Host, HostModel, LogLikelihood, Model, ScoringRequest,
};
use self::llm_bench::plugin::types::{Context, Error, Sample};
use self::llm_bench::plugin::{data_files, logging, types};

wasmtime::component::bindgen!({ path: "../../wit", world: "task" });

/// A component that is ready to be instantiated.
pub(crate) struct Bare {
    engine: Engine,
    task: TaskPre<State>,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl Bare {
    pub(crate) fn load(component: &Path) -> Self {
        let mut config = Config::new();
        let mut pool = PoolingAllocationConfig::new();
        pool.max_memory_size(1 << 28).total_core_instances(1000);
        pool.linear_memory_keep_resident(1 << 20).table_keep_resident(64 << 10);
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Yes);
        }
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::from_file(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
        Task::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state).unwrap();
        let task = TaskPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, task }
    }

    /// Solves one row in an instance of its own.
    pub(crate) fn solve(&self, input: &str) -> Option<String> {
        let state = State { wasi: WasiCtx::default(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        let task = self.task.instantiate(&mut store).unwrap();
        let context = Context { config: "{}".to_owned(), examples: Vec::new(), seed: 7 };
        let sample = Sample { id: "3".to_owned(), input: input.to_owned(), repeat: 0 };
        let solved = task.llm_bench_plugin_solver().call_solve(&mut store, &context, &sample).unwrap();
        solved.unwrap().answer
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl logging::Host for State {
    fn log(&mut self, _: logging::Level, _: String) {}
}

impl data_files::Host for State {
    fn size(&mut self, _: String) -> Result<u64, Error> {
        unreachable!("the component reads no files")
    }

    fn read(&mut self, _: String, _: u64, _: u32) -> Result<Vec<u8>, Error> {
        unreachable!("the component reads no files")
    }
}

impl Host for State {
    fn open(&mut self, _: String) -> Result<Resource<Model>, Error> {
        Ok(Resource::new_own(1))
    }
}

impl HostModel for State {
    fn log_likelihood(
        &mut self,
        _: Resource<Model>,
        requests: Vec<ScoringRequest>,
    ) -> Result<Vec<LogLikelihood>, Error> {
        let likelihood = |request: &ScoringRequest| LogLikelihood {
            sum: -(request.continuation.len() as f64),
            is_greedy: false,
            tokens: 1,
        };
        Ok(requests.iter().map(likelihood).collect())
    }

    fn generate(&mut self, _: Resource<Model>, _: Vec<GenerationRequest>) -> Result<Vec<Generation>, Error> {
        unreachable!("the component asks for likelihoods alone")
    }

    fn log_likelihood_rolling(
        &mut self,
        _: Resource<Model>,
        _: Vec<String>,
    ) -> Result<Vec<LogLikelihood>, Error> {
        unreachable!("the component asks for likelihoods alone")
    }

    fn embed(&mut self, _: Resource<Model>, _: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
        unreachable!("the component asks for likelihoods alone")
    }

    fn rank(&mut self, _: Resource<Model>, _: String, _: Vec<String>) -> Result<Vec<f32>, Error> {
        unreachable!("the component asks for likelihoods alone")
    }

    fn count_tokens(&mut self, _: Resource<Model>, _: Vec<String>) -> Result<Vec<u32>, Error> {
        unreachable!("the component asks for likelihoods alone")
    }

    fn drop(&mut self, _: Resource<Model>) -> wasmtime::Result<()> {
        Ok(())
    }
}
