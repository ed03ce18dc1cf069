//! Tokens of the API, and the audit of what is done with them.

use llm_bench_core::access::{Role, Token, TokenRepository};
use llm_bench_core::audit::{Action, Actor, AuditEntry, AuditLog};
use llm_bench_core::id::TokenId;
use llm_bench_core::name::Name;
use serde_json::json;
use sqlx::Connection;

use crate::common::{Database, at};

fn token(name: &str, second: i64) -> Token {
    let name = Name::new(name).unwrap();
    let created_at = at(second);
    Token { id: TokenId::new(), name, role: Role::Runner, created_at, last_used_at: None, revoked_at: None }
}

fn entry(action: Action, subject: &str) -> AuditEntry {
    AuditEntry::new(at(9), Actor::CommandLine, action, subject, json!({}))
}

#[tokio::test]
async fn a_token_is_found_by_its_digest_and_its_name_is_free_again_once_it_is_revoked() {
    let database = Database::new().await;
    let tokens: &dyn TokenRepository = &database.storage;
    assert!(tokens.is_empty().await.unwrap());
    let (first, second) = (token("ci", 1), token("ci", 2));
    tokens.insert(&first, &[1; 32], &entry(Action::CreateToken, "ci")).await.unwrap();
    let error = tokens.insert(&second, &[2; 32], &entry(Action::CreateToken, "ci")).await.unwrap_err();
    assert_eq!(error.code, "token-exists");
    assert_eq!(tokens.find_by_digest(&[1; 32]).await.unwrap(), Some(first.clone()));
    assert_eq!(tokens.find_by_digest(&[2; 32]).await.unwrap(), None);

    tokens.note_use(first.id, at(5)).await.unwrap();
    tokens.revoke(first.id, at(6), &entry(Action::RevokeToken, "ci")).await.unwrap();
    let again = tokens.revoke(first.id, at(7), &entry(Action::RevokeToken, "ci")).await.unwrap_err();
    assert_eq!(again.code, "token-revoked");
    tokens.insert(&second, &[2; 32], &entry(Action::CreateToken, "ci")).await.unwrap();
    let revoked = Token { last_used_at: Some(at(5)), revoked_at: Some(at(6)), ..first };
    assert_eq!(tokens.list().await.unwrap(), [revoked, second]);
    assert!(!tokens.is_empty().await.unwrap());

    // What was refused left no entry.
    let log: &dyn AuditLog = &database.storage;
    let page = log.list(None, 10).await.unwrap();
    let actions: Vec<_> = page.items.iter().map(|entry| entry.action).collect();
    assert_eq!(actions, [Action::CreateToken, Action::RevokeToken, Action::CreateToken]);
}

#[tokio::test]
async fn the_audit_is_read_in_pages_and_cannot_be_changed() {
    let database = Database::new().await;
    let tokens: &dyn TokenRepository = &database.storage;
    let entries: Vec<_> = ["a", "b", "c"].map(|name| entry(Action::CreateToken, name)).into();
    for (number, entry) in (1_u8..).zip(&entries) {
        tokens.insert(&token(&entry.subject, 1), &[number; 32], entry).await.unwrap();
    }
    let log: &dyn AuditLog = &database.storage;
    let first = log.list(None, 2).await.unwrap();
    assert_eq!(first.items, [entries[2].clone(), entries[1].clone()]);
    let rest = log.list(first.next, 2).await.unwrap();
    assert_eq!((rest.items.as_slice(), rest.next), (&entries[..1], None));

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database.path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    for statement in ["UPDATE audit SET subject = 'x'", "DELETE FROM audit"] {
        let refused = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("entries of the audit are never"), "{refused}");
    }
    assert_eq!(log.list(None, 10).await.unwrap().items.len(), 3);
}
