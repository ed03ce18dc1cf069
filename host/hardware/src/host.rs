//! CPU and memory, of the machine and of this program's processes.

use std::collections::HashSet;

use llm_bench_core::hardware::{Gpus, HardwareInfo};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tracing::warn;

/// What one look at the machine finds; the fields are those of `HardwareReading`.
pub(crate) struct HostReading {
    pub(crate) cpu_percent: f32,
    pub(crate) process_cpu_percent: f32,
    pub(crate) process_memory_bytes: u64,
    pub(crate) used_memory_bytes: u64,
}

/// Looks at the machine, and of all processes at this one and those that it is told of.
pub(crate) struct HostProbe {
    /// None where the library knows nothing of the operating system.
    system: Option<System>,
    process: Option<Pid>,
}

impl HostProbe {
    pub(crate) fn new() -> Self {
        let mut system = System::new()
            .inspect_err(|error| warn!(%error, "CPU and memory of this system cannot be watched"))
            .ok();
        let process = sysinfo::get_current_pid()
            .inspect_err(|error| warn!(%error, "CPU and memory of this process cannot be watched"))
            .ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        }
        Self { system, process }
    }

    pub(crate) fn total_memory_bytes(&self) -> u64 {
        self.system.as_ref().map_or(0, System::total_memory)
    }

    pub(crate) fn info(&self, gpus: Gpus) -> HardwareInfo {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let cpus = self.system.as_ref().map(System::cpus).unwrap_or_default();
        let brand = cpus.first().map(|cpu| cpu.brand().trim()).filter(|brand| !brand.is_empty());
        let system = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
        HardwareInfo {
            cpu: brand.map_or_else(System::cpu_arch, str::to_owned),
            logical_cores: u32::try_from(if cpus.is_empty() { cores } else { cpus.len() })
                .unwrap_or(u32::MAX),
            total_memory_bytes: self.total_memory_bytes(),
            operating_system: format!("{} ({})", system.trim(), std::env::consts::ARCH),
            gpus,
        }
    }

    /// `children` are the ids of further processes that belong to this program.
    pub(crate) fn read(&mut self, children: &[u32]) -> HostReading {
        let mut reading = HostReading {
            cpu_percent: 0.0,
            process_cpu_percent: 0.0,
            process_memory_bytes: 0,
            used_memory_bytes: 0,
        };
        let Some(system) = &mut self.system else { return reading };
        system.refresh_cpu_usage();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let cores = system.cpus().len().max(1);
        reading.cpu_percent = share(system.global_cpu_usage(), 1);
        // Not the library's `used_memory`: in containers the available memory can exceed the total.
        reading.used_memory_bytes = system.total_memory().saturating_sub(system.available_memory());
        let children = children.iter().map(|&id| Pid::from_u32(id));
        let processes: Vec<Pid> = self.process.into_iter().chain(children).collect();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        // Those that ended are forgotten, if they are looked at once more: their numbers are given to others one day.
        // Each once: a second look measures the time since the first.
        let known = system.processes().keys();
        let watched: HashSet<Pid> = known.chain(&processes).copied().collect();
        let watched: Vec<Pid> = watched.into_iter().collect();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&watched), true, kind);
        let mut percent = 0.0;
        for process in processes.iter().filter_map(|&process| system.process(process)) {
            percent += process.cpu_usage();
            reading.process_memory_bytes += process.memory();
        }
        reading.process_cpu_percent = share(percent, cores);
        reading
    }
}

/// A percentage of `cores`; a quotient over no time at all counts as nothing.
fn share(percent: f32, cores: usize) -> f32 {
    let full = u16::try_from(cores).map_or(f32::MAX, |cores| 100.0 * f32::from(cores));
    if percent.is_finite() { percent.clamp(0.0, full) } else { 0.0 }
}
