//! GPUs of NVIDIA, through the library (NVML) that comes with their driver and is looked for at run time.

use llm_bench_core::hardware::{GpuInfo, GpuReading, Gpus};
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use tracing::{debug, info, warn};

/// Looks at the GPUs, when there are any.
pub(crate) struct GpuProbe {
    nvml: Option<Nvml>,
    gpus: Gpus,
}

impl GpuProbe {
    /// Loads the library. `total_memory_bytes` is the machine's.
    pub(crate) fn new(total_memory_bytes: u64) -> Self {
        match present(total_memory_bytes) {
            Ok((nvml, devices)) => Self { nvml: Some(nvml), gpus: Gpus::Present { devices } },
            Err(reason) => {
                info!(%reason, "no GPU is watched");
                Self { nvml: None, gpus: Gpus::Absent { reason } }
            }
        }
    }

    pub(crate) fn gpus(&self) -> &Gpus {
        &self.gpus
    }

    /// One reading a device; what a device does not tell is absent.
    pub(crate) fn read(&self) -> Vec<GpuReading> {
        let (Some(nvml), Gpus::Present { devices }) = (&self.nvml, &self.gpus) else { return Vec::new() };
        devices.iter().map(|info| read_device(nvml, info.index)).collect()
    }
}

fn read_device(nvml: &Nvml, index: u32) -> GpuReading {
    let device = nvml.device_by_index(index);
    GpuReading {
        index,
        utilization_percent: told(index, &device, |device| Ok(device.utilization_rates()?.gpu)),
        used_memory_bytes: told(index, &device, |device| Ok(device.memory_info()?.used)),
        power_watts: told(index, &device, |device| Ok(f64::from(device.power_usage()?) / 1000.0)),
        temperature_celsius: told(index, &device, |device| device.temperature(TemperatureSensor::Gpu)),
    }
}

/// The value, or none where the device fails or does not know; devices differ in what they tell.
fn told<'nvml, T>(
    index: u32,
    device: &Result<Device<'nvml>, NvmlError>,
    value: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>,
) -> Option<T> {
    match device {
        Ok(device) => {
            value(device).inspect_err(|error| debug!(index, %error, "a GPU does not tell a value")).ok()
        }
        Err(error) => {
            debug!(index, %error, "a GPU does not answer");
            None
        }
    }
}

/// The library and the devices that answer, or a sentence that says what is missing.
fn present(total_memory_bytes: u64) -> Result<(Nvml, Vec<GpuInfo>), String> {
    let nvml = Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(error) => {
            format!("the NVIDIA management library (NVML) is not found on this machine: {error}")
        }
        NvmlError::DriverNotLoaded => {
            "the NVIDIA management library is there, but its driver is not loaded".into()
        }
        error => format!("the NVIDIA management library (NVML) does not start: {error}"),
    })?;
    let count =
        nvml.device_count().map_err(|error| format!("the NVIDIA driver cannot count its GPUs: {error}"))?;
    if count == 0 {
        return Err("the NVIDIA driver is loaded, but there is no GPU".to_owned());
    }
    let driver = nvml.sys_driver_version().unwrap_or_else(|_| "unknown".to_owned());
    let mut devices = Vec::new();
    let mut failures = Vec::new();
    for index in 0..count {
        match describe(&nvml, index, &driver, total_memory_bytes) {
            Ok(device) => devices.push(device),
            Err(error) => {
                warn!(index, %error, "a GPU is left out: it cannot be watched");
                failures.push(format!("GPU {index}: {error}"));
            }
        }
    }
    if devices.is_empty() {
        return Err(format!("no GPU can be watched: {}", failures.join("; ")));
    }
    Ok((nvml, devices))
}

fn describe(nvml: &Nvml, index: u32, driver: &str, total_memory_bytes: u64) -> Result<GpuInfo, NvmlError> {
    let device = nvml.device_by_index(index)?;
    let memory_bytes = match device.memory_info() {
        Ok(memory) => memory.total,
        // A GPU without memory of its own works in the machine's.
        Err(NvmlError::NotSupported) => total_memory_bytes,
        Err(error) => return Err(error),
    };
    Ok(GpuInfo { index, name: device.name()?, memory_bytes, driver: driver.to_owned() })
}
