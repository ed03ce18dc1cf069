//! What a model runs on: ONNX Runtime's execution providers.

use std::fmt;
use std::str::FromStr;

use llm_bench_core::{Error, Result};
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;
use serde::{Deserialize, Serialize};

/// An execution provider, where the loaded library has it.
///
/// A provider takes the operators that it knows; the library computes the others, small ones for the most part, on
/// the CPU. A provider that is asked for and is not there is an error: no model runs on the CPU instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Provider {
    #[default]
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// NVIDIA GPUs, by engines that are built when a model is loaded; CUDA takes what it leaves.
    TensorRt,
    /// Intel's processors and GPUs.
    OpenVino,
    /// Apple's GPUs and neural engines.
    CoreMl,
    /// GPUs on Windows.
    DirectMl,
}

impl Provider {
    /// All that can be asked for.
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::Cuda, Self::TensorRt, Self::OpenVino, Self::CoreMl, Self::DirectMl];

    /// Its name in options and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
            Self::CoreMl => "coreml",
            Self::DirectMl => "directml",
        }
    }

    /// Checks that the loaded library has this provider, and gives all that it has.
    ///
    /// # Errors
    /// `provider-missing`, naming those that it has.
    pub(crate) fn find(self) -> Result<Vec<Self>> {
        let available = available()?;
        if available.contains(&self) {
            return Ok(available);
        }
        let names: Vec<_> = available.iter().map(|provider| format!("`{provider}`")).collect();
        Err(Error::unavailable(
            "provider-missing",
            format!(
                "the ONNX Runtime library has no provider `{self}`, only {}: name a library that has it in \
                 LLM_BENCH_ONNXRUNTIME, or choose another provider",
                names.join(", ")
            ),
        ))
    }

    /// Makes a session run on this provider.
    ///
    /// # Errors
    /// As [`Self::find`]; `provider-failed` when the library has it but cannot start it, for want of a device or of a
    /// driver.
    pub(crate) fn register(self, builder: SessionBuilder) -> Result<SessionBuilder> {
        if self == Self::Cpu {
            return Ok(builder);
        }
        let registered = builder.with_execution_providers(self.dispatches(&self.find()?));
        registered.map_err(|error| {
            let error: ort::Error = error.into();
            let message = error.to_string();
            let reason = message.lines().next().unwrap_or_default();
            Error::unavailable(
                "provider-failed",
                format!(
                    "the provider `{self}` does not start: {reason}; `llm-bench doctor` lists what is there"
                ),
            )
            .because(error)
        })
    }

    /// What is registered for this provider, the first choice first.
    fn dispatches(self, available: &[Self]) -> Vec<ExecutionProviderDispatch> {
        let mut dispatches = vec![match self {
            Self::Cpu => ep::CPU::default().build(),
            Self::Cuda => ep::CUDA::default().build(),
            Self::TensorRt => ep::TensorRT::default().build(),
            Self::OpenVino => ep::OpenVINO::default().build(),
            Self::CoreMl => ep::CoreML::default().build(),
            Self::DirectMl => ep::DirectML::default().build(),
        }];
        if self == Self::TensorRt && available.contains(&Self::Cuda) {
            dispatches.push(ep::CUDA::default().build());
        }
        dispatches.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect()
    }

    fn is_available(self) -> ort::Result<bool> {
        match self {
            Self::Cpu => ep::CPU::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::TensorRt => ep::TensorRT::is_available(),
            Self::OpenVino => ep::OpenVINO::is_available(),
            Self::CoreMl => ep::CoreML::is_available(),
            Self::DirectMl => ep::DirectML::is_available(),
        }
    }
}

/// The providers of the loaded library.
pub(crate) fn available() -> Result<Vec<Provider>> {
    let mut available = Vec::new();
    for provider in Provider::ALL {
        let is_available = provider.is_available().map_err(|error| {
            Error::unavailable(
                "onnxruntime-incompatible",
                "the ONNX Runtime library does not tell its providers",
            )
            .because(error)
        })?;
        if is_available {
            available.push(provider);
        }
    }
    Ok(available)
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|provider| provider.as_str()).collect();
            Error::invalid("unknown-provider", format!("there is no provider `{name}`: {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Provider;

    #[test]
    fn every_provider_has_a_name_that_reads_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse::<Provider>().unwrap(), provider);
        }
        let error = "gpu".parse::<Provider>().unwrap_err();
        assert!(error.message.contains("`gpu`") && error.message.contains("cuda"), "{error}");
    }
}
