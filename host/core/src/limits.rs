//! What one guest call may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A ready-made set of [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Compiled guests that do little.
    Small,
    /// Compiled guests; enough for interpreted ones that do little.
    #[default]
    Normal,
    /// Interpreted guests (Python, JavaScript) that work on long texts.
    Large,
}

/// The budget of one sample in one guest call. Every limit that is hit fails the sample with a named kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// WebAssembly fuel, about one unit an instruction; a compiled guest burns 10⁹ to 10¹⁰ a second.
    pub fuel: u64,
    /// Sum over all linear memories of the instance, in bytes.
    pub memory_bytes: u64,
    /// Wall-clock time the guest itself may compute, in milliseconds; waiting for a model does not count.
    pub compute_timeout_ms: u64,
    /// Wall-clock time the guest may wait for models, in milliseconds.
    pub model_timeout_ms: u64,
    /// Calls of imported functions (models and logging together).
    pub host_calls: u32,
    /// Bytes of all model requests together; they are recorded.
    pub request_bytes: u64,
    /// Tokens the guest may ask models to generate, summed over its requests.
    pub requested_tokens: u64,
    /// Bytes of standard output, standard error and log messages kept (the tail).
    pub log_bytes: u32,
    /// Bytes of a solution or of all measurements of one sample.
    pub output_bytes: u64,
    /// Measurements of one sample.
    pub measurements: u32,
}

impl Limits {
    pub fn of(budget: Budget) -> Self {
        let (fuel, memory_mib, compute_timeout_s) = match budget {
            Budget::Small => (1_000_000_000, 64, 5),
            Budget::Normal => (10_000_000_000, 256, 30),
            Budget::Large => (100_000_000_000, 1024, 120),
        };
        Self {
            fuel,
            memory_bytes: memory_mib * 1024 * 1024,
            compute_timeout_ms: compute_timeout_s * 1000,
            model_timeout_ms: 3_600_000,
            host_calls: 10_000,
            request_bytes: 64 * 1024 * 1024,
            requested_tokens: 1_000_000,
            log_bytes: 16 * 1024,
            output_bytes: 4 * 1024 * 1024,
            measurements: 256,
        }
    }

    pub fn compute_timeout(&self) -> Duration {
        Duration::from_millis(self.compute_timeout_ms)
    }

    pub fn model_timeout(&self) -> Duration {
        Duration::from_millis(self.model_timeout_ms)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(Budget::default())
    }
}
