//! What the machine has and how busy it is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What does not change while the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareInfo {
    pub cpu: String,
    pub logical_cores: u32,
    pub total_memory_bytes: u64,
    pub operating_system: String,
    pub gpus: Gpus,
}

/// The GPUs, or why there are none to show: absent is said, not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum Gpus {
    Present { devices: Vec<GpuInfo> },
    Absent { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    pub index: u32,
    pub name: String,
    pub memory_bytes: u64,
    pub driver: String,
}

/// The state of the machine at one time. A value that cannot be read is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HardwareReading {
    pub at: Timestamp,
    /// Share of all cores in use, 0 to 100.
    pub cpu_percent: f32,
    /// The share of one core that this process and those of its models take, 0 to 100 × cores.
    pub process_cpu_percent: f32,
    /// Resident memory of this process and those of its models; what they share counts for each.
    pub process_memory_bytes: u64,
    pub used_memory_bytes: u64,
    pub gpus: Vec<GpuReading>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuReading {
    pub index: u32,
    pub utilization_percent: Option<u32>,
    pub used_memory_bytes: Option<u64>,
    pub power_watts: Option<f64>,
    pub temperature_celsius: Option<u32>,
}

/// What a benchmark's readings come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HardwareSummary {
    pub info: HardwareInfo,
    pub readings: u64,
    pub mean_cpu_percent: f64,
    pub peak_process_memory_bytes: u64,
    pub peak_used_memory_bytes: u64,
    /// Highest memory use over all GPUs together; absent without a GPU.
    pub peak_gpu_memory_bytes: Option<u64>,
    /// Mean power over all GPUs together; absent without a GPU that tells, and where the response cache gave any
    /// answer.
    pub mean_gpu_power_watts: Option<f64>,
}

/// One sampler, many readers.
pub trait HardwareMonitor: Send + Sync {
    fn info(&self) -> HardwareInfo;

    /// The latest reading; a receiver wakes at each new one.
    fn readings(&self) -> watch::Receiver<HardwareReading>;
}
