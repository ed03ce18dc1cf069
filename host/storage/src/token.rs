//! Tokens of the API.

use async_trait::async_trait;
use jiff::Timestamp;
use llm_bench_core::access::{Role, SecretDigest, Token, TokenRepository};
use llm_bench_core::audit::AuditEntry;
use llm_bench_core::id::TokenId;
use llm_bench_core::name::Name;
use llm_bench_core::{Error, Result};
use sqlx::FromRow;

use crate::column::{Id, Moment, Word};
use crate::error::database_error;
use crate::{Storage, audit, commit};

#[async_trait]
impl TokenRepository for Storage {
    async fn insert(&self, token: &Token, digest: &SecretDigest, entry: &AuditEntry) -> Result<()> {
        const INSERT: &str = "INSERT INTO tokens (id, name, role, digest, created_at)
            VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING";
        let mut transaction = self.write().await?;
        let done = sqlx::query(INSERT)
            .bind(Id(token.id.0))
            .bind(token.name.as_str())
            .bind(Word(token.role))
            .bind(digest.as_slice())
            .bind(Moment(token.created_at))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        if done.rows_affected() == 0 {
            let message =
                format!("there is a token `{}` already; revoke it, or choose another name", token.name);
            return Err(Error::conflict("token-exists", message));
        }
        audit::record(&mut transaction, entry).await?;
        commit(transaction).await
    }

    async fn find_by_digest(&self, digest: &SecretDigest) -> Result<Option<Token>> {
        const SELECT: &str = "SELECT * FROM tokens WHERE digest = ?";
        let row: Option<TokenRow> = sqlx::query_as(SELECT)
            .bind(digest.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(database_error)?;
        row.map(Token::try_from).transpose()
    }

    async fn list(&self) -> Result<Vec<Token>> {
        const SELECT: &str = "SELECT * FROM tokens ORDER BY id";
        let rows: Vec<TokenRow> =
            sqlx::query_as(SELECT).fetch_all(&self.readers).await.map_err(database_error)?;
        rows.into_iter().map(Token::try_from).collect()
    }

    async fn is_empty(&self) -> Result<bool> {
        const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM tokens)";
        let is_there: bool =
            sqlx::query_scalar(EXISTS).fetch_one(&self.readers).await.map_err(database_error)?;
        Ok(!is_there)
    }

    async fn revoke(&self, id: TokenId, at: Timestamp, entry: &AuditEntry) -> Result<()> {
        const UPDATE: &str = "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
        let mut transaction = self.write().await?;
        let done = sqlx::query(UPDATE)
            .bind(Moment(at))
            .bind(Id(id.0))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        if done.rows_affected() == 0 {
            return Err(Error::conflict("token-revoked", "the token is revoked already"));
        }
        audit::record(&mut transaction, entry).await?;
        commit(transaction).await
    }

    async fn note_use(&self, id: TokenId, at: Timestamp) -> Result<()> {
        const UPDATE: &str = "UPDATE tokens SET last_used_at = ? WHERE id = ?";
        let mut transaction = self.write().await?;
        sqlx::query(UPDATE)
            .bind(Moment(at))
            .bind(Id(id.0))
            .execute(&mut *transaction)
            .await
            .map_err(database_error)?;
        commit(transaction).await
    }
}

#[derive(FromRow)]
struct TokenRow {
    id: Id,
    name: String,
    role: Word<Role>,
    created_at: Moment,
    last_used_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

impl TryFrom<TokenRow> for Token {
    type Error = Error;

    fn try_from(row: TokenRow) -> Result<Self> {
        Ok(Self {
            id: TokenId(row.id.0),
            name: Name::new(row.name)?,
            role: row.role.0,
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.map(|moment| moment.0),
            revoked_at: row.revoked_at.map(|moment| moment.0),
        })
    }
}
