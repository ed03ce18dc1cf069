//! What one guest call may use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Json, Result, Row};

/// All that a memory of 32 bits can have.
pub const MOST_MEMORY_BYTES: u64 = 1 << 32;

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
    /// Calls of imported functions (models, data files and logging together).
    pub host_calls: u32,
    /// Bytes of all model requests together; they are recorded.
    pub request_bytes: u64,
    /// Bytes of data files that one sample may read, each time that they are read.
    #[serde(default = "data_bytes")]
    pub data_bytes: u64,
    /// Tokens the guest may ask models to generate, summed over its requests.
    pub requested_tokens: u64,
    /// Bytes of standard output, standard error and log messages kept (the tail).
    pub log_bytes: u32,
    /// Bytes of a solution or of all measurements of one sample.
    pub output_bytes: u64,
    /// Measurements of one sample.
    pub measurements: u32,
}

/// Limits from before there were data files say nothing of them.
fn data_bytes() -> u64 {
    256 * 1024 * 1024
}

impl Limits {
    /// An aggregator, which is granted fuel and time anew for every batch of samples, may take so many times as much
    /// for all of them.
    pub const AGGREGATION_STEPS: u32 = 50;

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
            data_bytes: data_bytes(),
            requested_tokens: 1_000_000,
            log_bytes: 16 * 1024,
            output_bytes: 4 * 1024 * 1024,
            measurements: 256,
        }
    }

    /// These limits with some replaced, by their names.
    ///
    /// # Errors
    /// `unknown-limit` lists the names; `invalid-limit` for a number that a limit cannot be.
    pub fn with(self, changes: &BTreeMap<String, u64>) -> Result<Self> {
        let mut fields = self.fields();
        for (name, value) in changes {
            if !fields.contains_key(name) {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                let shown: String = name.chars().take(64).collect();
                let message = format!("there is no limit `{shown}`; the limits are {}", names.join(", "));
                return Err(Error::invalid("unknown-limit", message));
            }
            if *value == 0 {
                return Err(Error::invalid("invalid-limit", format!("{name} is 0; it must be at least 1")));
            }
            if name == "memory_bytes" && *value > MOST_MEMORY_BYTES {
                let message = format!("memory_bytes is {value}; it must be at most {MOST_MEMORY_BYTES}");
                return Err(Error::invalid("invalid-limit", message));
            }
            fields.insert(name.clone(), (*value).into());
        }
        serde_json::from_value(Json::Object(fields))
            .map_err(|error| Error::invalid("invalid-limit", format!("a limit is too large: {error}")))
    }

    /// The first limit that is above that of `most`: its name, its value here and its value there.
    pub fn beyond(&self, most: &Self) -> Option<(String, u64, u64)> {
        let most = most.fields();
        self.fields().into_iter().find_map(|(name, value)| {
            let (value, most) = (value.as_u64()?, most.get(&name)?.as_u64()?);
            (value > most).then_some((name, value, most))
        })
    }

    /// Every limit by its name.
    pub fn fields(&self) -> Row {
        match serde_json::to_value(self) {
            Ok(Json::Object(fields)) => fields,
            // A flat record of numbers is written as an object, always.
            _ => Row::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([(name.to_owned(), value)])
    }

    #[test]
    fn limits_are_replaced_by_name() {
        let limits = Limits::default();
        assert_eq!(limits.with(&one("fuel", 7)).unwrap(), Limits { fuel: 7, ..limits });
        assert_eq!(limits.with(&one("host_calls", 7)).unwrap(), Limits { host_calls: 7, ..limits });
        assert_eq!(limits.with(&BTreeMap::new()).unwrap(), limits);
    }

    #[test]
    fn a_limit_that_is_none_is_refused_by_name() {
        let refused = |name, value| Limits::default().with(&one(name, value)).unwrap_err();
        assert_eq!(refused("oil", 7).code, "unknown-limit");
        assert!(refused("oil", 7).message.contains("memory_bytes"));
        assert_eq!(refused("fuel", 0).code, "invalid-limit");
        assert_eq!(refused("host_calls", 1 << 32).code, "invalid-limit");
        assert_eq!(refused("memory_bytes", MOST_MEMORY_BYTES + 1).code, "invalid-limit");
        assert!(Limits::default().with(&one("memory_bytes", MOST_MEMORY_BYTES)).is_ok());
    }

    #[test]
    fn what_lies_above_is_found_and_what_is_equal_is_not() {
        let most = Limits::default();
        assert_eq!(most.beyond(&most), None);
        let more = Limits { output_bytes: most.output_bytes + 1, fuel: 1, ..most };
        let found = ("output_bytes".to_owned(), most.output_bytes + 1, most.output_bytes);
        assert_eq!(more.beyond(&most), Some(found));
    }
}
