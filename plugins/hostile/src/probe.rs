//! Tries to reach what no plugin may reach.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::{Error, ErrorCode};

/// The answer of a guest that got at something.
pub(crate) fn read(what: impl Display) -> Solution {
    Solution::answer(format!("READ: {what}"))
}

pub(crate) fn refused(what: &str, reason: impl Display) -> Error {
    Error::new(ErrorCode::Denied, format!("{what}: {reason}"))
}

pub(crate) fn read_file() -> Result<Solution> {
    let text = std::fs::read_to_string("/etc/passwd");
    text.map(read).map_err(|error| refused("reading /etc/passwd", error))
}

pub(crate) fn data_file() -> Result<Solution> {
    for name in ["../data.bin", "/etc/passwd", "./data.bin", "files/data.bin", "", "other.bin"] {
        if let Ok(bytes) = data::bytes(name) {
            return Ok(read(format!("{} bytes of {name}", bytes.len())));
        }
    }
    data::bytes("data.bin").map(|bytes| read(format!("{} bytes of data.bin", bytes.len())))
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
    Solution::answer(format!("RANDOM: {}", random()))
}

/// Whatever may differ from run to run, in one text.
pub(crate) fn fingerprint() -> Solution {
    let zero = std::hint::black_box(0.0_f64);
    let nans = [f64::INFINITY * zero, f64::from_bits(0x7ff8_dead_beef_0001) + zero, (zero - 1.0).sqrt()];
    let bits: Vec<String> = nans.iter().map(|nan| format!("{:016x}", nan.to_bits())).collect();
    let order: Vec<u32> = (0..32).collect::<HashSet<_>>().into_iter().collect();
    let place = Box::new(7_u8);
    let (time, instant) = (SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(), Instant::now());
    Solution::answer(format!("{bits:?} {order:?} {:p} {time:?} {instant:?} {}", place, random()))
}

/// A static that an earlier call changed would say so.
pub(crate) fn leftovers() -> Result<Solution> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Err(refused("what an earlier call left", "there is nothing")),
        calls => Ok(read(format!("{calls} calls"))),
    }
}

fn random() -> String {
    format!("{:016x}", RandomState::new().hash_one(0))
}
