//! The HTTP API, the command line, and the one place that wires the adapters together.

pub mod app;
mod bundled;
pub mod cli;
mod config;
mod digest_header;
mod extract;
pub mod installation;
mod order;
pub mod page;
mod preset;
pub mod problem;
pub mod routes;
mod token;
mod upload;
pub mod view;
