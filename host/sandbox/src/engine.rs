//! The engines' configuration. One function makes it for the compiling child and for the server, because code that
//! one wrote loads in the other only where they agree.

use std::hash::{Hash, Hasher};

use llm_bench_core::{Error, Result};
use sha2::{Digest, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

/// Core instances of one component; a Python component has over a hundred.
pub(crate) const INSTANCES: u32 = 300;
pub(crate) const MEMORIES: u32 = 32;
pub(crate) const TABLES: u32 = 200;
/// Elements of one table.
pub(crate) const TABLE_ELEMENTS: u32 = 100_000;

/// What a slot of the pool keeps of the memory and of the table of its last guest, zeroed. Giving pages back interrupts every
/// core, and the next guest faults each in again.
const RESIDENT_MEMORY_BYTES: usize = 1 << 20;
const RESIDENT_TABLE_BYTES: usize = 64 << 10;

const TABLES_PER_MODULE: u32 = 4;
const INSTANCE_BYTES: usize = 10 << 20;
/// Stack of the guest itself; the rest of the fiber's stack is left to host functions.
const GUEST_STACK_BYTES: usize = 1 << 20;
const FIBER_STACK_BYTES: usize = 2 << 20;

fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // The same bits on every machine, so that a benchmark can be replayed.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        // Components with fused adapters and JavaScript guests need these two.
        .wasm_multi_memory(true)
        .wasm_tail_call(true);
    config
}

/// The engine of the compiling child. It never runs anything.
pub(crate) fn compiling() -> Result<Engine> {
    Engine::new(&config()).map_err(|error| broken("the compiler cannot start", &error))
}

/// The engine that runs guests and cannot compile.
///
/// Its pool reserves address space, no memory, for `concurrency` guests of up to `max_memory_bytes` a memory. Where
/// the system refuses the reservation, instances are allocated one by one: slower, and otherwise the same.
pub(crate) fn running(concurrency: u32, max_memory_bytes: u64) -> Result<Engine> {
    let mut config = config();
    // After all other settings of the compiler: they are refused once it is off.
    config.enable_compiler(false);
    let mut pooled = config.clone();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(concurrency, max_memory_bytes)));
    Engine::new(&pooled).or_else(|error| {
        tracing::warn!(
            "no address space for a pool of {concurrency} guests, so each is allocated on its own (slower): {error:#}"
        );
        Engine::new(&config).map_err(|error| broken("the WebAssembly engine cannot start", &error))
    })
}

fn pool(concurrency: u32, max_memory_bytes: u64) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrency)
        .total_core_instances(concurrency.saturating_mul(INSTANCES))
        .total_memories(concurrency.saturating_mul(MEMORIES))
        .total_tables(concurrency.saturating_mul(TABLES))
        .total_stacks(concurrency)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES_PER_MODULE)
        .table_elements(TABLE_ELEMENTS as usize)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES)
        .max_memory_size(usize::try_from(max_memory_bytes).unwrap_or(usize::MAX));
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(RESIDENT_MEMORY_BYTES)
            .table_keep_resident(RESIDENT_TABLE_BYTES);
    }
    pool
}

/// Names what compiled code depends on besides the component: wasmtime's version, the settings, the processor. Taken
/// from a compiling engine, because an engine without compiler does not know all of it.
pub(crate) fn compatibility() -> Result<String> {
    let engine = compiling()?;
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Ok(hex::encode(&hasher.0.finalize()[..8]))
}

/// The standard library's hasher may change with every release of Rust.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Never asked: the digest itself is read.
    fn finish(&self) -> u64 {
        0
    }
}

fn broken(what: &str, error: &wasmtime::Error) -> Error {
    Error::internal("sandbox-engine", format!("{what}: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_many_guests_starts_without_using_memory() {
        let engine = running(256, 1 << 30).unwrap();
        assert!(engine.pooling_allocator_metrics().is_some(), "the pool was refused");
    }

    #[test]
    fn compiled_code_is_named_alike_in_every_process() {
        assert_eq!(compatibility().unwrap(), compatibility().unwrap());
        assert_eq!(compatibility().unwrap().len(), 16);
    }
}
