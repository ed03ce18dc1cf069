//! Runs ONNX language models: tokenizers, chat templates, scoring, generation with a KV cache.
//!
//! [`OnnxRunner`] loads models; each lives on a thread of its own, in this process or in a child of it, and is reached
//! over a channel of plain requests and answers. Requests that wait together are batched. What the numbers mean
//! follows lm-evaluation-harness 0.4.13 (its `hf` backend), token by token.

mod calls;
mod chat;
mod digest;
mod engine;
mod folder;
mod forward;
mod generation;
mod graph;
mod graph_file;
mod inspection;
mod lanes;
mod network;
mod oracle;
mod prefix;
mod process;
mod prompt;
mod provider;
mod runner;
mod runtime;
mod sampling;
mod scheduler;
mod scoring;
mod settings;
mod softmax;
mod stop;
mod thread;
mod tokenizer;
mod white_space;
mod worker;

pub use process::{Isolation, ProcessConfig, run_model_in_child};
pub use provider::Provider;
pub use runner::{Execution, OnnxRunner, RunnerConfig};
