//! The domain of LLM Bench Local: what a benchmark is, how it is queued and executed, what its numbers mean.
//!
//! Nothing here knows SQL, HTTP, WebAssembly or ONNX. What the domain needs of the outside stands here as a
//! port (a trait); the adapters beside this crate implement them, and the server crate wires them together.

pub mod access;
pub mod answers;
pub mod audit;
pub mod benchmark;
pub mod catalog;
pub mod clock;
pub mod comparison;
pub mod dataset;
pub mod digest;
pub mod error;
pub mod group;
pub mod hardware;
pub mod id;
pub mod lifecycle;
pub mod limits;
pub mod model;
pub mod name;
pub mod orchestrator;
pub mod plugin;
mod python_random;
pub mod rescore;
pub mod response_cache;
pub mod sample;
pub mod statistics;
pub mod verification;

pub use error::{Error, ErrorKind, Result};

/// Any JSON value; an alias so that adapters agree on one JSON library.
pub type Json = serde_json::Value;

/// A row of a dataset or the columns of one: a JSON object that keeps its order.
pub type Row = serde_json::Map<String, Json>;
