//! The audit: who changed what about plugins and tokens.
//!
//! A change never happens without its entry: repository methods that change something audited take the entry and store
//! both in one transaction, or neither. So there is no port that records an entry alone.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::benchmark::Page;
use crate::id::{AuditId, TokenId};
use crate::name::Name;
use crate::{Json, Result};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: Action,
    /// What was changed: `name@version` of a plugin or the digest of one that is not here, the name of a token.
    pub subject: String,
    /// What else is to be known of the change; an object.
    pub detail: Json,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Actor {
    /// The bearer of a token.
    Token { id: TokenId, name: Name },
    /// A command on this machine, by somebody who may write the database.
    CommandLine,
    /// A request to a server on a loopback address that has no tokens.
    Loopback,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    CreateToken,
    RevokeToken,
    UploadPlugin,
    EnablePlugin,
    DisablePlugin,
    /// Makes a version the one that the bare name means.
    ChooseDefault,
    GrantPlugin,
    BlockPlugin,
    UnblockPlugin,
    RemovePlugin,
}

impl Actor {
    /// The token that acts, if one does.
    pub fn token(&self) -> Option<TokenId> {
        match self {
            Self::Token { id, .. } => Some(*id),
            Self::CommandLine | Self::Loopback => None,
        }
    }
}

impl Action {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateToken => "create-token",
            Self::RevokeToken => "revoke-token",
            Self::UploadPlugin => "upload-plugin",
            Self::EnablePlugin => "enable-plugin",
            Self::DisablePlugin => "disable-plugin",
            Self::ChooseDefault => "choose-default",
            Self::GrantPlugin => "grant-plugin",
            Self::BlockPlugin => "block-plugin",
            Self::UnblockPlugin => "unblock-plugin",
            Self::RemovePlugin => "remove-plugin",
        }
    }
}

impl AuditEntry {
    pub fn new(
        at: Timestamp,
        actor: Actor,
        action: Action,
        subject: impl Into<String>,
        detail: Json,
    ) -> Self {
        Self { id: AuditId::new(), at, actor, action, subject: subject.into(), detail }
    }
}

/// For people: `token ci`, `command line`.
impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { name, .. } => write!(formatter, "token {name}"),
            Self::CommandLine => formatter.write_str("command line"),
            Self::Loopback => formatter.write_str("loopback, without a token"),
        }
    }
}

/// Reads the entries that changes left.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// A page of at most `limit` entries, newest first, from behind `after`.
    async fn list(&self, after: Option<AuditId>, limit: u32) -> Result<Page<AuditEntry, AuditId>>;
}
