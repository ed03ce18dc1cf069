//! The child processes of a host, as the system shows them.

use std::process::Command;

/// The ids of a process's children that were started with a subcommand.
pub(crate) fn children(parent: u32, subcommand: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // After the command in parentheses: state, parent.
        let its_parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (its_parent == parent && command.contains(subcommand)).then_some(id)
    });
    processes.collect()
}

pub(crate) fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}
