//! What the times depend on besides the programs.

use std::fs;
use std::num::NonZeroUsize;

use serde_json::{Value, json};

pub(crate) struct Machine {
    pub(crate) cores: usize,
    cpu: Option<String>,
    /// Processes that wanted to run during the last minute before the measurement, where the system tells. Far above
    /// 0, others disturbed it.
    load: Option<f64>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        Self { cores: cores(), cpu: cpu(), load: load() }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cores": self.cores,
            "cpu": self.cpu,
            "system": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "load_before": self.load,
        })
    }

    pub(crate) fn line(&self) -> String {
        let cpu = self.cpu.as_deref().unwrap_or("CPU unknown");
        let load = self.load.map_or(String::new(), |load| format!(", load {load:.2} before"));
        let system = std::env::consts::OS;
        let architecture = std::env::consts::ARCH;
        format!("{} cores, {cpu}, {system} on {architecture}{load}", self.cores)
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

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
