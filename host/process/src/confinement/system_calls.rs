//! The filter of system calls.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// What a process needs that computes, allocates, waits, and reads and writes what is open.
const NEEDED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_fcntl,
    // Memory; the images of components' memories are files that exist in memory alone.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_membarrier,
    // Threads and waiting.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    // Traps of guests, and the end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What no honest process does that was confined: it is ended at once.
const UNMISTAKABLE: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
    libc::SYS_open_by_handle_at,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// `PAGEMAP_SCAN`: which pages of this process were written to. The pool of instances asks it.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// The name of a thread, which it gives itself when it starts.
const SET_NAME: u64 = 15;

pub(super) fn filter() -> Result<(), seccompiler::Error> {
    let own = u64::from(std::process::id());
    let mut needed: BTreeMap<i64, Vec<SeccompRule>> = NEEDED.iter().map(|&call| (call, Vec::new())).collect();
    // With one value of one argument alone: that ioctl, that name, and signals to itself.
    for (call, argument, value) in [
        (libc::SYS_ioctl, 1, PAGEMAP_SCAN),
        (libc::SYS_prctl, 0, SET_NAME),
        (libc::SYS_kill, 0, own),
        (libc::SYS_tgkill, 0, own),
    ] {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        needed.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let unmistakable = UNMISTAKABLE.iter().map(|&call| (call, Vec::new())).collect();
    let refused = SeccompAction::Errno(Errno::PERM.raw_os_error().unsigned_abs());
    // Of two filters the stricter one counts.
    apply(unmistakable, SeccompAction::Allow, SeccompAction::KillProcess)?;
    apply(needed, refused, SeccompAction::Allow)
}

fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), seccompiler::Error> {
    let filter = SeccompFilter::new(rules, otherwise, matched, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter_all_threads(&program)
}

pub(super) fn can_be_filtered() -> bool {
    // Of the architectures that filters are known for.
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))
        && Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

/// Closes what was inherited besides standard input, output and error.
pub(super) fn close_all_but_standard() -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "there is no safe way to close what nobody in this process owns")]
    // SAFETY: the process has opened nothing yet, so no descriptor past the standard ones has an owner in it.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    // A kernel before 5.9 has no such call; there the program's own descriptors are closed by `exec` alone.
    if closed == 0 || Errno::from_io_error(&std::io::Error::last_os_error()) == Some(Errno::NOSYS) {
        return Ok(());
    }
    Err(Errno::PERM)
}
