//! `llm-bench plugin`: what the author of a plugin needs, without a server.

mod check;
mod new;
mod report;
mod run;

use clap::{Args, Subcommand};
use llm_bench_core::Result;

use super::ExitCode;

#[derive(Debug, Args)]
pub struct PluginArguments {
    #[command(subcommand)]
    action: PluginAction,
}

#[derive(Debug, Subcommand)]
enum PluginAction {
    /// Write the project of a small task that builds at once.
    New(new::NewArguments),
    /// Do what a server does with an upload: inspect the component, compile it, ask it what it is. Nothing is registered.
    Check(check::CheckArguments),
    /// Run a plugin on some rows, by recorded answers or by a model, and show all that came of each.
    Run(Box<run::TryArguments>),
}

pub(super) async fn plugin(arguments: PluginArguments) -> Result<ExitCode> {
    match arguments.action {
        PluginAction::New(arguments) => new::new(&arguments),
        PluginAction::Check(arguments) => check::check(arguments).await,
        PluginAction::Run(arguments) => run::run(*arguments).await,
    }
}
