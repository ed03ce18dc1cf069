use jiff::Timestamp;
use llm_bench_core::hardware::{GpuInfo, GpuReading, Gpus, HardwareInfo, HardwareReading, HardwareSummary};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the machine has and how busy it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HardwareView {
    #[serde(flatten)]
    pub info: HardwareInfoView,
    pub now: ReadingView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HardwareInfoView {
    pub cpu: String,
    pub logical_cores: u32,
    pub total_memory_bytes: u64,
    pub operating_system: String,
    pub gpus: Vec<GpuView>,
    /// Why no GPU is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus_absent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GpuView {
    pub index: u32,
    pub name: String,
    pub memory_bytes: u64,
    pub driver: String,
}

/// The state of the machine at one time. A value that cannot be read is null, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadingView {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Share of all cores in use, 0 to 100.
    pub cpu_percent: f32,
    /// The server's share of one core, 0 to 100 × cores.
    pub process_cpu_percent: f32,
    pub process_memory_bytes: u64,
    pub used_memory_bytes: u64,
    pub gpus: Vec<GpuReadingView>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuReadingView {
    pub index: u32,
    pub utilization_percent: Option<u32>,
    pub used_memory_bytes: Option<u64>,
    pub power_watts: Option<f64>,
    pub temperature_celsius: Option<u32>,
}

/// What the readings taken while a benchmark ran come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HardwareSummaryView {
    #[serde(flatten)]
    pub info: HardwareInfoView,
    pub readings: u64,
    pub mean_cpu_percent: f64,
    pub peak_process_memory_bytes: u64,
    pub peak_used_memory_bytes: u64,
    /// Null without a GPU.
    pub peak_gpu_memory_bytes: Option<u64>,
    /// Null without a GPU that tells, and where the response cache gave any answer.
    pub mean_gpu_power_watts: Option<f64>,
}

impl From<HardwareInfo> for HardwareInfoView {
    fn from(info: HardwareInfo) -> Self {
        let HardwareInfo { cpu, logical_cores, total_memory_bytes, operating_system, gpus } = info;
        let (gpus, gpus_absent) = match gpus {
            Gpus::Present { devices } => (devices.into_iter().map(GpuView::from).collect(), None),
            Gpus::Absent { reason } => (Vec::new(), Some(reason)),
        };
        Self { cpu, logical_cores, total_memory_bytes, operating_system, gpus, gpus_absent }
    }
}

impl From<GpuInfo> for GpuView {
    fn from(gpu: GpuInfo) -> Self {
        let GpuInfo { index, name, memory_bytes, driver } = gpu;
        Self { index, name, memory_bytes, driver }
    }
}

impl From<HardwareReading> for ReadingView {
    fn from(reading: HardwareReading) -> Self {
        let HardwareReading {
            at,
            cpu_percent,
            process_cpu_percent,
            process_memory_bytes,
            used_memory_bytes,
            gpus,
        } = reading;
        Self {
            at,
            cpu_percent,
            process_cpu_percent,
            process_memory_bytes,
            used_memory_bytes,
            gpus: gpus.into_iter().map(GpuReadingView::from).collect(),
        }
    }
}

impl From<GpuReading> for GpuReadingView {
    fn from(reading: GpuReading) -> Self {
        let GpuReading { index, utilization_percent, used_memory_bytes, power_watts, temperature_celsius } =
            reading;
        Self { index, utilization_percent, used_memory_bytes, power_watts, temperature_celsius }
    }
}

impl From<HardwareSummary> for HardwareSummaryView {
    fn from(summary: HardwareSummary) -> Self {
        Self {
            info: summary.info.into(),
            readings: summary.readings,
            mean_cpu_percent: summary.mean_cpu_percent,
            peak_process_memory_bytes: summary.peak_process_memory_bytes,
            peak_used_memory_bytes: summary.peak_used_memory_bytes,
            peak_gpu_memory_bytes: summary.peak_gpu_memory_bytes,
            mean_gpu_power_watts: summary.mean_gpu_power_watts,
        }
    }
}
