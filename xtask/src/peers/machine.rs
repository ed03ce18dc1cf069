//! What the times depend on besides the programs.

use std::fs;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::{Value, json};

/// The share of busy processors from which a figure is not to be trusted.
const DISTURBED: f64 = 0.1;

pub(crate) struct Machine {
    pub(crate) cores: usize,
    cpu: Option<String>,
    /// The share of the processors' time that others used in the second before the measurement, where the system tells.
    busy: Option<f64>,
}

impl Machine {
    /// Takes a second, in which this process does nothing.
    pub(crate) fn look() -> Self {
        Self { cores: cores(), cpu: cpu(), busy: busy() }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.cpu,
            "system": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "busy_before": self.busy,
        })
    }

    pub(crate) fn line(&self) -> String {
        let cpu = self.cpu.as_deref().unwrap_or("CPU unknown");
        let busy = match self.busy {
            Some(busy) if busy >= DISTURBED => {
                format!("; {:.0} % busy with other work: measure again when it is not", 100.0 * busy)
            }
            _ => String::new(),
        };
        let system = std::env::consts::OS;
        let architecture = std::env::consts::ARCH;
        format!("{} cores, {cpu}, {system} on {architecture}{busy}", self.cores)
    }
}

/// Cores that this process may use: the thread count of both sides.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn busy() -> Option<f64> {
    let before = Times::read()?;
    std::thread::sleep(Duration::from_secs(1));
    let after = Times::read()?;
    let total = after.total.checked_sub(before.total).filter(|&total| total > 0)?;
    Some(1.0 - after.idle.saturating_sub(before.idle) as f64 / total as f64)
}

/// What all processors together have spent since the system started, in its ticks.
struct Times {
    total: u64,
    idle: u64,
}

impl Times {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The line `cpu`: user, nice, system, idle, waiting for devices, interrupts and what other machines took. Guests,
    /// which follow, are part of user.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
        Some(Self { total: ticks.iter().sum(), idle: ticks.get(3)? + ticks.get(4)? })
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn idle_time_is_told_from_work() {
        let text = "cpu  10 20 30 400 50 6 7 8 900 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        let times = Times::parse(text).unwrap();
        assert_eq!((times.total, times.idle), (531, 450));
        assert!(Times::parse("intr 1 2 3\n").is_none());
    }
}
