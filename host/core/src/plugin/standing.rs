//! What an administrator decided about a plugin: whether it may be used, and what it may do beyond the usual.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plugin::DataFiles;
use crate::{Error, Result};

/// Whether a version of a plugin may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "kebab-case")]
pub enum Standing {
    #[default]
    Enabled,
    /// No benchmark starts or goes on with it; those that wait are held until it is enabled.
    Disabled { reason: Option<String> },
    /// Its content is refused, by whatever name and version.
    Blocked { reason: String },
    /// Its code was removed; what it measured stays.
    Removed,
}

impl Standing {
    pub fn is_usable(&self) -> bool {
        *self == Self::Enabled
    }

    /// The name that stands in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled { .. } => "disabled",
            Self::Blocked { .. } => "blocked",
            Self::Removed => "removed",
        }
    }

    /// What the administrator gave as the reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Disabled { reason } => reason.as_deref(),
            Self::Blocked { reason } => Some(reason),
            Self::Enabled | Self::Removed => None,
        }
    }

    /// # Errors
    /// `plugin-disabled`, `plugin-blocked` or `plugin-removed`, with the reason and the way out. `plugin` is its name
    /// and version.
    pub fn ensure_usable(&self, plugin: impl fmt::Display) -> Result<()> {
        let because = self.reason().map_or(String::new(), |reason| format!(" ({reason})"));
        match self {
            Self::Enabled => Ok(()),
            Self::Disabled { .. } => Err(Error::conflict(
                "plugin-disabled",
                format!("plugin `{plugin}` is disabled{because}; an administrator can enable it"),
            )),
            Self::Blocked { .. } => Err(blocked(plugin, self.reason().unwrap_or_default())),
            Self::Removed => Err(Error::conflict(
                "plugin-removed",
                format!(
                    "plugin `{plugin}` was removed; an administrator can upload the same component again"
                ),
            )),
        }
    }
}

/// The refusal of a content that is blocked.
pub(crate) fn blocked(plugin: impl fmt::Display, reason: &str) -> Error {
    Error::denied(
        "plugin-blocked",
        format!("plugin `{plugin}` is blocked by its digest ({reason}); an administrator can unblock it"),
    )
}

/// A content that may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    pub reason: String,
    pub blocked_at: Timestamp,
}

/// What a version of a plugin may do beyond what an uploaded one may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Parts besides `subject` that it may open a model for.
    pub parts: BTreeSet<String>,
    /// Limits that differ from the host's defaults, by the names of [`Limits`](crate::limits::Limits).
    pub limits: BTreeMap<String, u64>,
    /// The files that it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_files: Option<DataFiles>,
}

/// What is to change about grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrantsChange {
    /// All the parts that are granted from now on.
    pub parts: Option<BTreeSet<String>>,
    /// Limits by name; none gives one its default again.
    pub limits: BTreeMap<String, Option<u64>>,
}

impl GrantsChange {
    pub(crate) fn applied_to(&self, grants: &Grants) -> Grants {
        let mut changed = grants.clone();
        if let Some(parts) = &self.parts {
            changed.parts.clone_from(parts);
        }
        for (name, limit) in &self.limits {
            match limit {
                Some(limit) => changed.limits.insert(name.clone(), *limit),
                None => changed.limits.remove(name),
            };
        }
        changed
    }
}

/// The decisions about one version of a plugin that can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    pub enabled: bool,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// Whether the bare name means this version.
    pub is_default: bool,
    pub grants: Grants,
}

impl Decisions {
    /// What a version that stands like this comes to by these decisions.
    pub(crate) fn standing(&self, now: &Standing) -> Standing {
        match now {
            Standing::Blocked { .. } | Standing::Removed => now.clone(),
            _ if self.enabled => Standing::Enabled,
            _ => Standing::Disabled { reason: self.reason.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_plugin_the_reason_and_who_can_help() {
        let disabled = Standing::Disabled { reason: Some("scores look odd".to_owned()) };
        let error = disabled.ensure_usable("task@1.0.0").unwrap_err();
        assert_eq!(error.code, "plugin-disabled");
        assert_eq!(
            error.message,
            "plugin `task@1.0.0` is disabled (scores look odd); an administrator can enable it"
        );
        assert_eq!(Standing::Removed.ensure_usable("t@1").unwrap_err().code, "plugin-removed");
        let blocked = Standing::Blocked { reason: "steals".to_owned() };
        assert_eq!(blocked.ensure_usable("t@1").unwrap_err().code, "plugin-blocked");
        Standing::Enabled.ensure_usable("t@1").unwrap();
    }
}
