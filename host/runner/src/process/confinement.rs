//! What the child takes from itself before it reads anything of a model.

use llm_bench_core::{Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How readily the kernel ends this process when the machine has no memory left: long before the server.
#[cfg(target_os = "linux")]
const OUT_OF_MEMORY_SCORE: &str = "500";

/// Takes from this process, and from all threads that it starts later, what running a model does not need.
///
/// On Linux it dies with the thread that started it, gains no privileges, and is the first to go when the machine is
/// out of memory. Nowhere does it leave a core dump, which would hold the user's data.
pub(super) fn confine() -> Result<()> {
    limit(Resource::Core, 0)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused)?;
        rustix::thread::set_no_new_privs(true).map_err(refused)?;
        // A kernel without it, or a container that forbids it, ends another process instead.
        if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE) {
            tracing::debug!(%error, "the model's process cannot offer itself when memory runs out");
        }
    }
    Ok(())
}

/// Limits the private writable memory of this process for good.
///
/// # Errors
/// `memory-limit-unsupported` on systems that do not keep such a limit.
pub(super) fn limit_memory(bytes: u64) -> Result<()> {
    if cfg!(target_os = "linux") {
        return limit(Resource::Data, bytes);
    }
    Err(Error::unsupported(
        "memory-limit-unsupported",
        "the memory of a model can be limited on Linux only: leave the limit out",
    ))
}

/// Lowers a limit; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> Result<()> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most);
    setrlimit(resource, Rlimit { current: Some(allowed), maximum: Some(allowed) }).map_err(refused)
}

fn refused(error: rustix::io::Errno) -> Error {
    Error::internal("model-limits", "the model's process cannot limit itself").because(error)
}
