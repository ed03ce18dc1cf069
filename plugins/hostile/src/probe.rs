//! Tries to reach what no plugin may reach.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::{Error, ErrorCode};

/// The answer of a guest that got at something.
pub(crate) fn read(what: impl Display) -> Solution {
    Solution::answer(format!("READ: {what}"))
}

fn refused(what: &str, reason: impl Display) -> Error {
    Error::new(ErrorCode::Denied, format!("{what}: {reason}"))
}

pub(crate) fn read_file() -> Result<Solution> {
    let text = std::fs::read_to_string("/etc/passwd");
    text.map(read).map_err(|error| refused("reading /etc/passwd", error))
}

pub(crate) fn write_file() -> Result<Solution> {
    let written = std::fs::write("here.txt", "a plugin was here");
    written.map(|()| read("wrote here.txt")).map_err(|error| refused("writing here.txt", error))
}

pub(crate) fn list_folder() -> Result<Solution> {
    let entries = std::fs::read_dir("/").map_err(|error| refused("listing /", error))?;
    Ok(read(format!("{} entries of /", entries.count())))
}

pub(crate) fn open_socket() -> Result<Solution> {
    let stream = TcpStream::connect("127.0.0.1:80");
    stream.map(|_| read("connected")).map_err(|error| refused("connecting to 127.0.0.1:80", error))
}

pub(crate) fn environment() -> Result<Solution> {
    let variables: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let arguments: Vec<String> = std::env::args().collect();
    if variables.is_empty() && arguments.is_empty() {
        return Err(refused("the environment", "no variables and no arguments"));
    }
    Ok(read(format!("{variables:?} {arguments:?}")))
}

pub(crate) fn clock() -> Result<Solution> {
    let (instant, time) = (Instant::now(), SystemTime::now());
    let mut work = 0_u64;
    for step in 0..1_000_000 {
        work = std::hint::black_box(work ^ step);
    }
    let elapsed = instant.elapsed().max(time.elapsed().unwrap_or_default());
    if elapsed == Duration::ZERO {
        return Err(refused("the clock", "it stands still"));
    }
    Ok(read(format!("{elapsed:?} went by")))
}

pub(crate) fn randomness() -> Solution {
    Solution::answer(format!("RANDOM: {:016x}", RandomState::new().hash_one(0)))
}
