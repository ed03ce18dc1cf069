//! End-to-end suites: the real program as a process, over real HTTP and its real command line, with real ONNX
//! Runtime, real WebAssembly components and a real database file.
//!
//! `cargo xtask layout` assembles what the program needs beside it; `cargo xtask test` does that first.
#![expect(clippy::unwrap_used, reason = "what a suite's own helpers find broken fails the test that asked")]

mod access;
mod api;
mod authors;
mod command_line;
mod comparison;
mod containment;
mod contract;
mod corpus;
mod data_files;
mod dialogue;
mod dialogue_in_python;
mod lifecycle;
#[cfg(target_os = "linux")]
mod misbehaviour;
mod model_cache;
#[cfg(target_os = "linux")]
mod model_processes;
mod models;
#[cfg(target_os = "linux")]
mod plugin_processes;
mod presets;
mod recovery;
mod reference;
mod replay;
mod response_cache;
mod retrieval;
mod rows;
mod sharing;
mod support;
mod untrusted_text;
mod verification;
