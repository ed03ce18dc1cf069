//! `llm-bench tokens` and `llm-bench audit`.

use clap::{Args, Subcommand};
use llm_bench_core::Result;
use llm_bench_core::access::Role;
use llm_bench_core::audit::Actor;
use llm_bench_core::name::Name;

use super::{CommonArguments, ExitCode, OutputFormat, list, output};
use crate::view::{AuditEntryView, TokenView};

/// Entries of the audit that a list may show.
const MOST_ENTRIES: u32 = 100_000;

#[derive(Debug, Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Make a token and print its text, which is shown this once. With the first token, a server asks everybody for one.
    Create {
        /// What it is called in lists and in the audit.
        name: String,
        /// viewer: looks; runner: also orders benchmarks, loads models, uploads datasets; admin: everything.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// One line each, oldest first; revoked ones stay in it.
    List {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// End a token. Servers refuse it from now on, and do not open again when it was the last.
    Revoke {
        /// Its name or its id.
        token: String,
        #[command(flatten)]
        common: CommonArguments,
    },
}

#[derive(Debug, Args)]
pub struct AuditArguments {
    #[command(subcommand)]
    action: AuditAction,
}

#[derive(Debug, Subcommand)]
enum AuditAction {
    /// Who changed what about plugins and tokens, newest first.
    List {
        /// At most so many entries.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ENTRIES)))]
        limit: u32,
        #[command(flatten)]
        common: CommonArguments,
    },
}

pub(super) async fn tokens(arguments: TokenArguments) -> Result<ExitCode> {
    match arguments.action {
        TokenAction::Create { name, role, common } => {
            let created =
                list::open(&common).await?.create_token(Name::new(name)?, role, Actor::CommandLine).await?;
            match common.format {
                OutputFormat::Json => output::print(&output::json(&created)?)?,
                OutputFormat::Table => {
                    output::note("the text of the token, which is not kept and cannot be shown again:");
                    output::print(&format!("{}\n", created.secret))?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        TokenAction::List { common } => {
            let tokens = list::open(&common).await?.access.tokens.list().await?;
            let views: Vec<TokenView> = tokens.into_iter().map(TokenView::from).collect();
            let header = ["name", "role", "created", "last used", "revoked", "id"];
            list::show_list(&common, &views, &header, &[], |token| {
                let time = |time: Option<jiff::Timestamp>| time.map_or(String::new(), seconds);
                vec![
                    token.name.clone(),
                    token.role.clone(),
                    seconds(token.created_at),
                    time(token.last_used_at),
                    time(token.revoked_at),
                    token.id.clone(),
                ]
            })
        }
        TokenAction::Revoke { token, common } => {
            let revoked = list::open(&common).await?.access.revoke(&token, Actor::CommandLine).await?;
            list::show_one(&common, &TokenView::from(revoked))
        }
    }
}

pub(super) async fn audit(arguments: AuditArguments) -> Result<ExitCode> {
    let AuditAction::List { limit, common } = arguments.action;
    let page = list::open(&common).await?.audit.list(None, limit).await?;
    let views: Vec<AuditEntryView> = page.items.into_iter().map(AuditEntryView::from).collect();
    list::show_list(&common, &views, &["at", "actor", "action", "subject", "detail"], &[], |entry| {
        vec![
            seconds(entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            entry.subject.clone(),
            entry.detail.to_string(),
        ]
    })
}

/// A time to the second.
fn seconds(time: jiff::Timestamp) -> String {
    format!("{time:.0}")
}
