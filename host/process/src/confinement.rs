//! What a child takes from itself before it reads anything of a stranger's.
//!
//! Every child begins with [`begin`]. One that a stranger's code may take over goes on: [`close_inherited`] first,
//! [`deny_files`] once it has opened what it needs, [`filter_system_calls`] once its threads are started.
//! [`lacking`] tells what this machine's kernel cannot do of that.

#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod system_calls;

use llm_bench_core::{Error, Result};
pub use rustix::process::Resource;
use rustix::process::{Rlimit, getrlimit, setrlimit};

/// How readily the kernel ends this process when the machine has no memory left: long before the server.
#[cfg(target_os = "linux")]
const OUT_OF_MEMORY_SCORE: &str = "500";

/// Takes from this process, and from all threads that it starts later, what no child needs.
///
/// On Linux it dies with the thread that started it, gains no privileges, and is the first to go when the machine is
/// out of memory. Nowhere does it leave a core dump, which would hold the user's data.
///
/// # Errors
/// `process-limits` when the system refuses.
pub fn begin() -> Result<()> {
    limit(Resource::Core, 0)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused)?;
        rustix::thread::set_no_new_privs(true).map_err(refused)?;
        // A kernel without it, or a container that forbids it, ends another process instead.
        if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE) {
            tracing::debug!(%error, "a child process cannot offer itself when memory runs out");
        }
    }
    Ok(())
}

/// Makes this process unreadable for others of the same user, and closes what it inherited besides standard input,
/// output and error. To be called before it opens anything.
///
/// # Errors
/// `process-limits` when the system refuses.
pub fn close_inherited() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
        system_calls::close_all_but_standard().map_err(refused)?;
    }
    Ok(())
}

/// Limits the private writable memory of this process for good; what is only reserved does not count.
///
/// # Errors
/// `memory-limit-unsupported` on systems that do not keep such a limit.
pub fn limit_memory(bytes: u64) -> Result<()> {
    if cfg!(target_os = "linux") {
        return limit(Resource::Data, bytes);
    }
    Err(Error::unsupported(
        "memory-limit-unsupported",
        "the memory of a process can be limited on Linux only: leave the limit out",
    ))
}

/// Lowers a limit; one that is lower already stays.
///
/// # Errors
/// `process-limits` when the system refuses.
pub fn limit(resource: Resource, most: u64) -> Result<()> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX).min(most);
    // Past the soft limit of processor time comes a signal that tells why, past the hard one a kill.
    let current = if matches!(resource, Resource::Cpu) { allowed.saturating_sub(1).max(1) } else { allowed };
    setrlimit(resource, Rlimit { current: Some(current), maximum: Some(allowed) }).map_err(refused)
}

/// Takes every file, folder, TCP port and abstract socket from this thread and those that it starts later, where the
/// kernel has Landlock. What is open stays open.
///
/// # Errors
/// `process-limits` when a kernel that has it refuses.
pub fn deny_files() -> Result<()> {
    #[cfg(target_os = "linux")]
    landlock::restrict().map_err(refused)?;
    Ok(())
}

/// Leaves to all threads of this process the system calls that computing, allocating, waiting, and reading and writing
/// of what is open take. Starting a program, a process or a connection, or looking into another process, ends this
/// one; whatever else is not needed fails, so that a library may do without.
///
/// # Errors
/// `process-limits` when a kernel that has such filters refuses.
pub fn filter_system_calls() -> Result<()> {
    #[cfg(target_os = "linux")]
    if system_calls::can_be_filtered() {
        system_calls::filter().map_err(refused)?;
    }
    Ok(())
}

/// What a confined child goes without on this machine, a sentence for each.
pub fn lacking() -> Vec<&'static str> {
    let mut lacking = Vec::new();
    #[cfg(target_os = "linux")]
    {
        if !system_calls::can_be_filtered() {
            lacking.push("this kernel cannot filter system calls (seccomp)");
        }
        if !landlock::is_there() {
            lacking.push("this kernel cannot take files from a process (Landlock, Linux 5.13 or later)");
        }
    }
    #[cfg(not(target_os = "linux"))]
    lacking.push("this system has neither a filter of system calls nor Landlock, which are Linux's");
    lacking
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    let message = format!(
        "the process cannot confine itself: {error}; what it runs in, such as a container, has to allow limits, seccomp and \
         Landlock"
    );
    Error::unavailable("process-limits", message).because(error)
}
