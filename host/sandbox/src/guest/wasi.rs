//! The system interface of a guest: linked because standard libraries import it, and empty.
//!
//! No folders, no environment, no arguments, no network; standard input is closed, standard output and error go to
//! the log. Randomness follows from the call's seed. Time stands still but for the guest's own sleeping, which takes
//! no real time: a guest sees the same in every run.

mod time;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncRead;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::InputStream;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::pipe::ClosedInputStream;

use super::log::Log;
use super::state::GuestState;
use time::HasVirtualTime;
pub(super) use time::{TimeView, VirtualTime};

/// Random bytes of one host call; they cost the guest no fuel.
const RANDOM_BYTES: u64 = 65_536;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Our own clock instead of theirs, which sleeps for real.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<GuestState, HasVirtualTime>(linker, GuestState::time)?;
    linker.allow_shadowing(false);
    Ok(())
}

pub(super) fn context(seed: u64, log: &Log, time: &VirtualTime) -> WasiCtx {
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    let hash_seed = u128::from(seeds.next_u64()) << 64 | u128::from(seeds.next_u64());
    WasiCtx::builder()
        .stdin(ClosedInput)
        .stdout(log.clone())
        .stderr(log.clone())
        .secure_random(Xoshiro256PlusPlus::seed_from_u64(seeds.next_u64()))
        .insecure_random(Xoshiro256PlusPlus::seed_from_u64(seeds.next_u64()))
        .insecure_random_seed(hash_seed)
        .max_random_size(RANDOM_BYTES)
        .wall_clock(time.clone())
        .monotonic_clock(time.clone())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .build()
}

struct ClosedInput;

impl IsTerminal for ClosedInput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for ClosedInput {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(ClosedInputStream)
    }

    /// Never asked by the interfaces that are linked.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }
}
