//! A confined process tries what it must not. The test's own binary is the child: it runs the one test that is named
//! by its arguments, with a variable that tells it what to try.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use llm_bench_process::confinement;

const TRY: &str = "LLM_BENCH_TEST_TRY";
/// What the child says where the system refused.
const REFUSED: &str = "refused";

/// The child of the other tests; by itself it has nothing to do.
#[test]
fn child() {
    let Ok(attempt) = std::env::var(TRY) else { return };
    let parent = rustix::process::getppid().unwrap();
    let mut kept = tempfile::tempfile().unwrap();
    confinement::begin().unwrap();
    confinement::deny_files().unwrap();
    confinement::filter_system_calls().unwrap();
    let outcome = match attempt.as_str() {
        "compute" => {
            // What is open stays usable, and memory is there.
            kept.write_all(&vec![1; 1 << 24]).map(drop)
        }
        "read" => std::fs::File::open("/etc/passwd").and_then(|mut file| file.read(&mut [0])).map(drop),
        "write" => std::fs::write("/tmp/llm-bench-confined", "x"),
        "list" => std::fs::read_dir("/").map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "socket" => std::net::TcpStream::connect("127.0.0.1:9").map(drop),
        "listen" => std::net::TcpListener::bind("127.0.0.1:0").map(drop),
        "unix" => std::os::unix::net::UnixStream::connect("/run/some.sock").map(drop),
        "program" => Command::new("/bin/true").status().map(drop),
        "limit" => {
            let limit = rustix::process::Rlimit { current: Some(3600), maximum: Some(3600) };
            rustix::process::setrlimit(confinement::Resource::Cpu, limit).map_err(Into::into)
        }
        "signal" => rustix::process::kill_process(parent, rustix::process::Signal::TERM).map_err(Into::into),
        other => panic!("{other} is nothing to try"),
    };
    let mut stderr = std::io::stderr();
    stderr.write_all(if outcome.is_ok() { b"did it" } else { REFUSED.as_bytes() }).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
}

fn trying(attempt: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(TRY, attempt);
    child.stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_computes_and_writes_what_is_open() {
    let output = trying("compute");
    assert!(said(&output).ends_with("did it"), "{output:?}");
}

#[test]
fn it_cannot_open_write_or_list_files_start_threads_change_limits_or_signal_its_parent() {
    for attempt in ["read", "write", "list", "thread", "limit", "signal"] {
        let output = trying(attempt);
        assert!(said(&output).ends_with(REFUSED), "{attempt}: {output:?}");
    }
}

#[test]
fn it_is_ended_when_it_opens_a_socket_or_starts_a_program() {
    for attempt in ["socket", "listen", "unix"] {
        let output = trying(attempt);
        assert_eq!(
            output.status.signal(),
            Some(rustix::process::Signal::SYS.as_raw()),
            "{attempt}: {output:?}"
        );
    }
    // Starting a program takes a process first, which is refused.
    let output = trying("program");
    assert!(
        said(&output).ends_with(REFUSED)
            || output.status.signal() == Some(rustix::process::Signal::SYS.as_raw()),
        "{output:?}"
    );
}

#[test]
fn files_are_refused_by_landlock_too_where_the_kernel_has_it() {
    if confinement::lacking().iter().any(|lack| lack.contains("Landlock")) {
        return;
    }
    // In a thread of its own: what it gives up is given up for good.
    let refused = std::thread::spawn(|| {
        confinement::deny_files().unwrap();
        std::fs::File::open("/etc/passwd").is_err()
    });
    assert!(refused.join().unwrap());
    assert!(std::fs::File::open("/etc/passwd").is_ok());
}
