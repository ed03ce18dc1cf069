use jiff::Timestamp;
use llm_bench_core::Json;
use llm_bench_core::access::Token;
use llm_bench_core::audit::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A token, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    pub id: String,
    pub name: String,
    /// `viewer`, `runner` or `admin`.
    pub role: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Exact to a minute; null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedTokenView {
    #[serde(flatten)]
    pub token: TokenView,
    /// What its bearer sends as `Authorization: Bearer …`. It is not kept and cannot be shown again.
    pub secret: String,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntryView {
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `token NAME`, `command line`, or `loopback, without a token`.
    pub actor: String,
    /// The id of the token that acted; null: none did.
    pub token_id: Option<String>,
    /// `create-token`, `revoke-token`, `upload-plugin`, `enable-plugin`, `disable-plugin`, `choose-default`,
    /// `grant-plugin`, `block-plugin`, `unblock-plugin`, `remove-plugin`.
    pub action: String,
    /// What was changed.
    pub subject: String,
    #[schema(value_type = Object)]
    pub detail: Json,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            role: token.role.as_str().to_owned(),
            created_at: token.created_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: entry.at,
            actor: entry.actor.to_string(),
            token_id: entry.actor.token().map(|id| id.to_string()),
            action: entry.action.as_str().to_owned(),
            subject: entry.subject,
            detail: entry.detail,
        }
    }
}
