//! `cargo xtask`: what a checkout needs beyond `cargo build`. It fetches the tools that Cargo can't, builds
//! the plugins to WebAssembly, lays out the folders in which the server looks for its files, and runs every
//! check. No state of its own but a cache folder that may be deleted at any time.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on standard output")]

mod checks;
mod contract;
mod dist;
mod layout;
mod mirror;
mod peers;
mod plugins;
mod process;
mod setup;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use setup::wasm_target::Provider;
use workspace::Workspace;

/// Set-up and chores of this repository.
///
/// On a fresh checkout, `cargo xtask demo` shows the project at work and `cargo xtask test` runs every suite;
/// both set up what is missing first. Downloads come through the package managers that the machine already
/// uses (pip, rustup or apt, Cargo), so their mirrors and proxies apply.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,

    /// Where the compiler for plugins comes from; by default rustup, and Debian's packages where that fails.
    #[arg(long, global = true, value_enum, env = "LLM_BENCH_WASM_TOOLCHAIN")]
    wasm_toolchain: Option<Provider>,
}

#[derive(Subcommand)]
enum Chore {
    /// Fetch what Cargo can't: ONNX Runtime and the WebAssembly target.
    ///
    /// ONNX Runtime's shared library (28 MB) comes from its Python wheel through pip, checked against a pinned
    /// SHA-256.
    ///
    /// The `wasm32-wasip2` standard library comes through `rustup target add` (25 MB) or, where rustup reaches
    /// no server, with a Rust 1.85 from Debian's packages (197 MB), unpacked to the cache and not installed.
    ///
    /// The cache is `$LLM_BENCH_TOOLS`, else `$XDG_CACHE_HOME/llm-bench-build`, else
    /// `~/.cache/llm-bench-build`. What is there already is not fetched again; delete it to start over.
    Setup,

    /// Build every plugin under plugins/ to WebAssembly and list the components.
    ///
    /// They are built for release with the target directory <target>/plugins.
    Plugins {
        /// Build the project of one plugin that lies elsewhere, as `llm-bench plugin new` writes them: in Rust with the
        /// target directory <target>/projects; in Python or JavaScript with tools that are fetched through pip or npm.
        #[arg(long, value_name = "DIR")]
        project: Option<PathBuf>,
    },

    /// Lay out the files that a development build of the server looks for.
    ///
    /// The server finds its installation as the parent of the folder its executable is in. For
    /// target/debug/llm-bench that is target/, so this fills target/lib with ONNX Runtime and
    /// target/share/llm-bench with plugins, models, datasets, presets and the plugin SDK. Run it after a
    /// change to any of them; it copies what changed and removes what is gone.
    Layout,

    /// Build an installation in target/dist: bin/, lib/ and share/, ready to be copied anywhere.
    Dist,

    /// Build the installation and run its demonstration: the bundled model on bundled data.
    Demo,

    /// Run every test suite: the workspace's, with doc tests, and the plugins' own.
    ///
    /// Arguments after `--` go to the workspace's `cargo test`, for example
    /// `cargo xtask test -- -p llm-bench-core`; the plugins' own tests are left out then.
    Test {
        #[arg(last = true)]
        arguments: Vec<String>,
    },

    /// Do the same work as a peer, and print the ratio of the times.
    ///
    /// docs/benchmarks.md says what each work is and what it needs.
    Peers(peers::PeersArguments),

    /// Keep components that are built against the contract, as what every later host has to load.
    ///
    /// Writes tests/fixtures/contract/VERSION, VERSION being that of wit/plugin.wit: the contract, plugins of plugins/, the
    /// dialogue in Python and a new project in JavaScript, each a folder with the component (compressed by the program `zstd`, which
    /// has to be there), rows, recorded answers and config, and what the program of this checkout makes of them:
    /// descriptor and results. The test suite holds every later host against all of it. docs/plugins.md has the promise.
    ///
    /// Rows and answers come from xtask/contract, from the examples and from the template.
    PublishContract {
        /// Write a version again that is there. Only for one that was not announced.
        #[arg(long)]
        overwrite: bool,
    },

    /// Run what continuous integration runs: lockfiles, format, lints, dependency rules, every test.
    ///
    /// Security advisories are not part of it, because their database comes from a git host that a build
    /// machine may not reach. Where it can be reached: `cargo deny check advisories`.
    Ci,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { chore, wasm_toolchain }: Arguments) -> Result<()> {
    let workspace = Workspace::locate()?;
    match chore {
        Chore::Setup => {
            let ready = setup::all(wasm_toolchain)?;
            println!("setup: ONNX Runtime is {}", ready.onnxruntime.library.display());
            println!("setup: plugins are compiled by {}", ready.wasm_toolchain);
            Ok(())
        }
        Chore::Plugins { project } => {
            let plugins = match project {
                Some(project) => plugins::build_project(&workspace, wasm_toolchain, &project)?,
                None => plugins::build(&workspace, &setup::wasm_target_only(wasm_toolchain)?)?,
            };
            for plugin in plugins {
                println!("{} {}", plugin.name, plugin.component.display());
            }
            Ok(())
        }
        Chore::Layout => layout::develop(&workspace, &setup::all(wasm_toolchain)?),
        Chore::Dist => dist::build(&workspace, wasm_toolchain).map(drop),
        Chore::Demo => dist::demo(&workspace, wasm_toolchain),
        Chore::Test { arguments } => checks::test(&workspace, wasm_toolchain, &arguments),
        Chore::Peers(arguments) => peers::run(&workspace, wasm_toolchain, arguments),
        Chore::PublishContract { overwrite } => contract::publish(&workspace, wasm_toolchain, overwrite),
        Chore::Ci => checks::ci(&workspace, wasm_toolchain),
    }
}
