//! Who may do what over the API: tokens, each with a role.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::audit::{Action, Actor, AuditEntry};
use crate::clock::Clock;
use crate::id::TokenId;
use crate::name::Name;
use crate::{Error, Result};

/// How the text of every token begins, so that a leaked one can be recognised.
const PREFIX: &str = "llmb_";
/// Uses of a token are written down at most this often.
const USE_INTERVAL_S: i64 = 60;

/// What a token's bearer may do. A later one may do all that an earlier one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks at everything but tokens and the audit.
    Viewer,
    /// Also orders and cancels benchmarks, loads models and uploads datasets.
    Runner,
    /// Everything.
    Admin,
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    /// No two tokens that are not revoked share it.
    pub name: Name,
    pub role: Role,
    pub created_at: Timestamp,
    /// None: never used. Exact to a minute.
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// The text that its bearer sends: 256 random bits. It is shown once and kept nowhere.
pub struct Secret(String);

/// SHA-256 of a token's text.
pub type SecretDigest = [u8; 32];

impl Secret {
    /// The text that stands for some random bytes.
    pub fn of(random: [u8; 32]) -> Self {
        let digits = random.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
        Self(format!("{PREFIX}{digits}"))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Keeps secrets out of logs.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub actor: Actor,
    pub role: Role,
}

/// Storage of tokens. A change and its entry in the audit are stored together.
#[async_trait]
pub trait TokenRepository: Send + Sync {
    /// # Errors
    /// `token-exists` where a token that is not revoked has the name.
    async fn insert(&self, token: &Token, digest: &SecretDigest, entry: &AuditEntry) -> Result<()>;

    async fn find_by_digest(&self, digest: &SecretDigest) -> Result<Option<Token>>;

    /// All that ever were, oldest first.
    async fn list(&self) -> Result<Vec<Token>>;

    /// Whether there ever was one.
    async fn is_empty(&self) -> Result<bool>;

    async fn revoke(&self, id: TokenId, at: Timestamp, entry: &AuditEntry) -> Result<()>;

    async fn note_use(&self, id: TokenId, at: Timestamp) -> Result<()>;
}

/// The application service for tokens.
#[derive(Clone)]
pub struct Access {
    pub tokens: Arc<dyn TokenRepository>,
    pub clock: Arc<dyn Clock>,
}

impl Access {
    /// Makes a token; `random` are 32 bytes that nobody else knows.
    ///
    /// # Errors
    /// `token-exists`.
    pub async fn create(
        &self,
        name: Name,
        role: Role,
        random: [u8; 32],
        actor: Actor,
    ) -> Result<(Token, Secret)> {
        let secret = Secret::of(random);
        let created_at = self.clock.now();
        let token =
            Token { id: TokenId::new(), name, role, created_at, last_used_at: None, revoked_at: None };
        let detail = json!({ "id": token.id, "role": role });
        let entry = AuditEntry::new(created_at, actor, Action::CreateToken, token.name.as_str(), detail);
        self.tokens.insert(&token, &digest(secret.expose()), &entry).await?;
        Ok((token, secret))
    }

    /// Ends a token that is named by its id or its name.
    ///
    /// # Errors
    /// `token-not-found`; `token-revoked` where it is already.
    pub async fn revoke(&self, reference: &str, actor: Actor) -> Result<Token> {
        let tokens = self.tokens.list().await?;
        let by_id = tokens.iter().find(|token| token.id.to_string() == reference);
        // Of several of one name at most the last is not revoked.
        let token = by_id.or_else(|| tokens.iter().rfind(|token| token.name.as_str() == reference));
        let Some(token) = token else {
            let shown: String = reference.chars().take(64).collect();
            let message =
                format!("there is no token `{shown}`; `llm-bench tokens list` shows which there are");
            return Err(Error::not_found("token-not-found", message));
        };
        if token.revoked_at.is_some() {
            let message = format!("the token `{}` is revoked already", token.name);
            return Err(Error::conflict("token-revoked", message));
        }
        let at = self.clock.now();
        let detail = json!({ "id": token.id, "role": token.role });
        let entry = AuditEntry::new(at, actor, Action::RevokeToken, token.name.as_str(), detail);
        self.tokens.revoke(token.id, at, &entry).await?;
        Ok(Token { revoked_at: Some(at), ..token.clone() })
    }

    /// Who bears this text.
    ///
    /// # Errors
    /// `token-unknown`, `token-revoked`, both denied.
    pub async fn bearer(&self, text: &str) -> Result<Caller> {
        // A digest tells an attacker nothing by the time it takes to compare it.
        let Some(token) = self.tokens.find_by_digest(&digest(text)).await? else {
            return Err(Error::denied("token-unknown", "this server knows no such token"));
        };
        if token.revoked_at.is_some() {
            let message = format!("the token `{}` is revoked; ask an administrator for another", token.name);
            return Err(Error::denied("token-revoked", message));
        }
        let now = self.clock.now();
        let is_noted = token.last_used_at.is_some_and(|at| now.as_second() - at.as_second() < USE_INTERVAL_S);
        if !is_noted {
            self.tokens.note_use(token.id, now).await?;
        }
        Ok(Caller { actor: Actor::Token { id: token.id, name: token.name }, role: token.role })
    }
}

fn digest(text: &str) -> SecretDigest {
    Sha256::digest(text).into()
}

impl Caller {
    /// # Errors
    /// `role-required`, with the role needed and the one held.
    pub fn require(&self, needed: Role) -> Result<()> {
        if self.role >= needed {
            return Ok(());
        }
        Err(Error::denied(
            "role-required",
            format!(
                "this needs a token of the role `{}`; yours has `{}`",
                needed.as_str(),
                self.role.as_str()
            ),
        ))
    }
}

impl Role {
    /// The name that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Runner => "runner",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Viewer, Self::Runner, Self::Admin].into_iter().find(|role| role.as_str() == text).ok_or_else(
            || Error::invalid("invalid-role", format!("`{text}` is not a role: viewer, runner or admin")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_all_of_its_random_bits_and_stays_out_of_logs() {
        let secret = Secret::of([0xa0; 32]);
        assert_eq!(secret.expose(), format!("llmb_{}", "a0".repeat(32)));
        assert!(!format!("{secret:?}").contains("a0"));
        assert_ne!(digest(secret.expose()), digest(Secret::of([0xa1; 32]).expose()));
    }

    #[test]
    fn a_role_does_what_the_smaller_ones_do_and_no_more() {
        let caller = |role| Caller { actor: Actor::Loopback, role };
        assert!(caller(Role::Admin).require(Role::Runner).is_ok());
        assert!(caller(Role::Runner).require(Role::Runner).is_ok());
        let refused = caller(Role::Viewer).require(Role::Runner).unwrap_err();
        assert_eq!(refused.code, "role-required");
        assert!(refused.message.contains("`runner`") && refused.message.contains("`viewer`"), "{refused}");
    }

    #[test]
    fn roles_are_read_by_their_names() {
        for role in [Role::Viewer, Role::Runner, Role::Admin] {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
        assert_eq!("root".parse::<Role>().unwrap_err().code, "invalid-role");
    }
}
