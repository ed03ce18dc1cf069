//! `config.toml` in the data folder: what an administrator sets for the whole host. Without the file, the defaults hold.
//!
//! ```toml
//! [uploads]
//! plugin_mib = 64        # the largest component that is accepted
//! data_files_mib = 256   # the most that the data files of a plugin may have together
//!
//! [sandbox]
//! process = "isolated"   # or "in-process": where plugins run; `--sandbox-process` comes before it
//!
//! [limits]               # what one call of a plugin may use; the rest keep their defaults
//! fuel = 10_000_000_000
//! memory_bytes = 268_435_456
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use llm_bench_core::limits::Limits;
use llm_bench_core::{Error, Result};
use serde::Deserialize;

use crate::app::SandboxProcess;

/// The name of the file.
pub(crate) const FILE: &str = "config.toml";

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HostConfig {
    pub(crate) uploads: Uploads,
    pub(crate) sandbox: Sandbox,
    limits: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Uploads {
    /// The largest component that is accepted, in MiB.
    pub(crate) plugin_mib: u64,
    /// The most that the data files of a plugin may have together, in MiB.
    pub(crate) data_files_mib: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sandbox {
    /// Where the guests of plugins run.
    pub(crate) process: Option<SandboxProcess>,
}

impl Default for Uploads {
    /// A component written in Python has about 18 MB.
    fn default() -> Self {
        Self { plugin_mib: 64, data_files_mib: 256 }
    }
}

impl HostConfig {
    const MOST_PLUGIN_MIB: u64 = 1024;
    const MOST_DATA_FILES_MIB: u64 = 64 * 1024;

    /// Reads the file of a data folder.
    ///
    /// # Errors
    /// `invalid-host-config` with the place and the reason.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|reason| {
                Error::invalid("invalid-host-config", format!("{}: {reason}", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::unavailable(
                "invalid-host-config",
                format!("cannot read {}: {error}", path.display()),
            )),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let Uploads { plugin_mib, data_files_mib } = config.uploads;
        for (name, mib, most) in [
            ("plugin_mib", plugin_mib, Self::MOST_PLUGIN_MIB),
            ("data_files_mib", data_files_mib, Self::MOST_DATA_FILES_MIB),
        ] {
            if !(1..=most).contains(&mib) {
                return Err(format!("uploads.{name} is {mib}; it must be 1 to {most}"));
            }
        }
        config.limits().map_err(|error| format!("limits: {}", error.message))?;
        Ok(config)
    }

    /// What one call of a plugin may use unless an order or a grant says otherwise.
    ///
    /// # Errors
    /// `unknown-limit`, `invalid-limit`; never of a config that was read.
    pub(crate) fn limits(&self) -> Result<Limits> {
        Limits::default().with(&self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_defaults_hold() {
        let folder = tempfile::tempdir().unwrap();
        let config = HostConfig::read(folder.path()).unwrap();
        assert_eq!(config.limits().unwrap(), Limits::default());
        assert_eq!(config.uploads.plugin_mib, 64);
    }

    #[test]
    fn what_is_not_said_keeps_its_default() {
        let config = HostConfig::parse("[sandbox]\nprocess = \"in-process\"").unwrap();
        assert_eq!(config.sandbox.process, Some(SandboxProcess::InProcess));
        let config = HostConfig::parse("[limits]\nfuel = 7\n[uploads]\nplugin_mib = 2").unwrap();
        assert_eq!(config.limits().unwrap(), Limits { fuel: 7, ..Limits::default() });
        assert_eq!(config.uploads.plugin_mib, 2);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let refused = |text: &str| HostConfig::parse(text).unwrap_err();
        assert!(refused("[limit]\nfuel = 7").contains("unknown field `limit`"));
        assert!(refused("[sandbox]\nprocess = \"outside\"").contains("unknown variant `outside`"));
        assert!(refused("[limits]\noil = 7").contains("there is no limit `oil`"));
        assert!(refused("[limits]\nfuel = -7").contains("line 2"));
        assert!(refused("[uploads]\nplugin_mib = 0").contains("it must be 1 to 1024"));
        assert!(refused("[uploads]\ndata_files_mib = 65537").contains("it must be 1 to 65536"));
    }
}
