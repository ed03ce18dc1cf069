//! Runs plugins: WebAssembly components that nobody trusts.
//!
//! [`WasmSandbox::open`] gives the [`Sandbox`](llm_bench_core::plugin::Sandbox) port. A component passes
//! `admission` once (inspected, compiled by a child process, asked to describe itself); every call of it then is a
//! `guest` of its own: a fresh store and instance under counted budgets, thrown away after it. The server's engine
//! has no compiler: it loads only what [`compile_in_child`] wrote into a private folder.

mod admission;
mod bindings;
mod convert;
mod data_files;
mod engine;
mod guest;
mod plugin;
#[doc(hidden)]
pub mod probe;
mod process;
mod sandbox;

pub use admission::{CompileLimits, CompilerCommand, compile_in_child};
pub use process::run_guests_in_child;
pub use sandbox::{Isolation, SandboxConfig, WasmSandbox};

/// The contract that plugins are written against, with its version.
pub const CONTRACT: &str = "llm-bench:plugin@0.1.0";
