//! `llm-bench plugins`: what is admitted, and what an administrator does with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use llm_bench_core::audit::Actor;
use llm_bench_core::benchmark::BenchmarkFilter;
use llm_bench_core::digest::is_digest;
use llm_bench_core::lifecycle::{PluginChange, Unfinished};
use llm_bench_core::plugin::{GrantsChange, Plugin, PluginReference};
use llm_bench_core::{Error, Result};

use super::data_files::{DataFilesArchive, DataFilesArgument};
use super::sandbox_arguments::SandboxArguments;
use super::{CommonArguments, ExitCode, ListAction, list, output};
use crate::app::App;
use crate::view::{BenchmarkView, BlockView, PluginView};

#[derive(Debug, Args)]
pub struct PluginArguments {
    #[command(subcommand)]
    action: PluginAction,
}

#[derive(Debug, Subcommand)]
enum PluginAction {
    #[command(flatten)]
    Look(ListAction),
    /// Admit a component, as an upload does.
    Add {
        /// The component, a .wasm file.
        file: PathBuf,
        #[command(flatten)]
        data_files: DataFilesArgument,
        #[command(flatten)]
        sandbox: SandboxArguments,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Make a version the one that the bare name means: also the way back to an older one.
    Default(Version),
    /// Allow a version again. Benchmarks that were held go on.
    Enable(Version),
    /// Hold the benchmarks that pin a version, and accept no new ones.
    Disable {
        #[command(flatten)]
        version: Version,
        /// Why, for whoever meets it.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// End benchmarks that have not ended, instead of holding them.
        #[arg(long)]
        cancel: bool,
    },
    /// Let a version do more than an uploaded plugin may.
    Grant {
        #[command(flatten)]
        version: Version,
        /// All the parts besides subject that it may open a model for: judge, embedder; empty for none.
        #[arg(long, value_name = "PART[,PART]")]
        parts: Option<String>,
        /// A limit of one sample, such as fuel=100000000000; without a number it has the host's default again.
        /// `plugins show` names them.
        #[arg(long = "limit", value_name = "NAME=[N]", value_parser = limit)]
        limits: Vec<(String, Option<u64>)>,
        #[command(flatten)]
        data_files: DataFilesArgument,
        /// Take the files away that it was given.
        #[arg(long, conflicts_with = "path")]
        no_data_files: bool,
    },
    /// Refuse a content for ever: it cannot be uploaded again, whatever it calls itself.
    Block {
        /// A version (name@version), or the SHA-256 of a component, here or not.
        plugin: String,
        /// Why, for whoever meets it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// End benchmarks that have not ended, instead of holding them.
        #[arg(long)]
        cancel: bool,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Take a block back.
    Unblock {
        /// A version (name@version), or the SHA-256 of a component.
        plugin: String,
        #[command(flatten)]
        common: CommonArguments,
    },
    /// The contents that are blocked.
    Blocked {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Remove a version and its code. Refused while a benchmark pins it.
    Remove {
        #[command(flatten)]
        version: Version,
        /// Also when benchmarks pin it: they stay and say what they used, those that have not ended are cancelled.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
struct Version {
    /// The version: name@version.
    #[arg(value_name = "NAME@VERSION")]
    plugin: PluginReference,
    #[command(flatten)]
    common: CommonArguments,
}

pub(super) async fn plugins(arguments: PluginArguments) -> Result<ExitCode> {
    match arguments.action {
        PluginAction::Look(action) => list::plugins(action).await,
        PluginAction::Add { file, data_files, sandbox, common } => {
            let app = list::open_to_run(&common, &sandbox).await?;
            let mut plugin = app.catalog.admit_upload(&file, Actor::CommandLine).await?;
            if let Some(path) = data_files.path {
                plugin = give(&app, plugin, &path).await?;
            }
            list::show_one(&common, &PluginView::from(plugin))
        }
        PluginAction::Default(version) => {
            change(version, PluginChange { make_default: true, ..PluginChange::default() }).await
        }
        PluginAction::Enable(version) => {
            change(version, PluginChange { enabled: Some(true), ..PluginChange::default() }).await
        }
        PluginAction::Disable { version, reason, cancel } => {
            let unfinished = unfinished(cancel);
            let disable =
                PluginChange { enabled: Some(false), reason, unfinished, ..PluginChange::default() };
            change(version, disable).await
        }
        PluginAction::Grant { version, parts, limits, data_files, no_data_files } => {
            let parts = parts.map(|parts| {
                parts.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
            });
            let limits: BTreeMap<_, _> = limits.into_iter().collect();
            if parts.is_none() && limits.is_empty() && data_files.path.is_none() && !no_data_files {
                let message = "name --parts, --limit or --data-files";
                return Err(Error::invalid("nothing-to-grant", message));
            }
            let app = list::open(&version.common).await?;
            app.plugin(&version.plugin).await?;
            let change = PluginChange { grants: GrantsChange { parts, limits }, ..PluginChange::default() };
            let mut plugin = app.lifecycle.change(&version.plugin, change, &Actor::CommandLine).await?;
            if let Some(path) = data_files.path {
                plugin = give(&app, plugin, &path).await?;
            } else if no_data_files {
                plugin = app.lifecycle.withdraw_data_files(&version.plugin, &Actor::CommandLine).await?;
            }
            list::show_one(&version.common, &PluginView::from(plugin))
        }
        PluginAction::Block { plugin, reason, cancel, common } => {
            let app = list::open(&common).await?;
            let digest = digest(&app, &plugin).await?;
            let block = app.lifecycle.block(&digest, &reason, unfinished(cancel), Actor::CommandLine).await?;
            list::show_one(&common, &BlockView::from(block))?;
            tell_of_benchmarks(&app, &digest).await?;
            Ok(ExitCode::SUCCESS)
        }
        PluginAction::Unblock { plugin, common } => {
            let app = list::open(&common).await?;
            let digest = digest(&app, &plugin).await?;
            app.lifecycle.unblock(&digest, Actor::CommandLine).await?;
            output::note(&format!("{digest} is no longer blocked"));
            Ok(ExitCode::SUCCESS)
        }
        PluginAction::Blocked { common } => {
            let blocks = list::open(&common).await?.catalog.plugins.blocks().await?;
            let views: Vec<BlockView> = blocks.into_iter().map(BlockView::from).collect();
            list::show_list(&common, &views, &["digest", "blocked", "reason"], &[], |block| {
                vec![block.digest.clone(), format!("{:.0}", block.blocked_at), block.reason.clone()]
            })
        }
        PluginAction::Remove { version, force } => {
            let app = list::open(&version.common).await?;
            app.plugin(&version.plugin).await?;
            app.lifecycle.remove(&version.plugin, force, Actor::CommandLine).await?;
            output::note(&format!("{} is removed", version.plugin));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn give(app: &App, plugin: Plugin, path: &Path) -> Result<Plugin> {
    let archive = DataFilesArchive::new(path, &plugin)?;
    app.lifecycle.give_data_files(&plugin.reference(), archive.path(), &Actor::CommandLine).await
}

async fn change(version: Version, change: PluginChange) -> Result<ExitCode> {
    let app = list::open(&version.common).await?;
    app.plugin(&version.plugin).await?;
    let is_disabled = change.enabled == Some(false);
    let plugin = app.lifecycle.change(&version.plugin, change, &Actor::CommandLine).await?;
    let digest = plugin.digest.clone();
    list::show_one(&version.common, &PluginView::from(plugin))?;
    if is_disabled {
        tell_of_benchmarks(&app, &digest).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which benchmarks a plugin that may not be used any more concerns.
async fn tell_of_benchmarks(app: &App, digest: &str) -> Result<()> {
    let filter = BenchmarkFilter { status: None, task_digest: Some(digest.to_owned()) };
    let page = app.benchmarks.list(&filter, None, list::BENCHMARKS).await?;
    if page.items.is_empty() {
        output::note("no benchmark used it");
        return Ok(());
    }
    let more = if page.next.is_some() { ", the newest" } else { "" };
    let count = page.items.len();
    let line = |view: BenchmarkView| {
        let held = if view.held.is_some() { " (held)" } else { "" };
        format!("\n{} {}{held}", view.id, view.status)
    };
    let lines: String = page.items.into_iter().map(BenchmarkView::from).map(line).collect();
    output::note(&format!("{count} benchmarks used it{more}:{lines}"));
    Ok(())
}

/// The digest of a version, or the one that the text is.
async fn digest(app: &App, text: &str) -> Result<String> {
    if is_digest(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Ok(app.plugin(&text.parse()?).await?.digest)
}

fn unfinished(cancel: bool) -> Unfinished {
    if cancel { Unfinished::Cancel } else { Unfinished::Hold }
}

fn limit(text: &str) -> Result<(String, Option<u64>), String> {
    let (name, number) = text.split_once('=').ok_or("write NAME=N")?;
    let number = match number.replace('_', "") {
        number if number.is_empty() => None,
        number => Some(number.parse().map_err(|error| format!("`{number}` is no number: {error}"))?),
    };
    Ok((name.to_owned(), number))
}
