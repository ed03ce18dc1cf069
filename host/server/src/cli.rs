//! The command line.

mod compare;
mod data_files;
mod demo;
mod doctor;
mod exit;
mod limit_arguments;
mod list;
mod model_arguments;
mod output;
mod plain;
mod plugin;
mod plugins;
mod rescore;
mod run;
mod sandbox_arguments;
mod serve;
mod sources;
mod stop;
mod table;
mod tokens;
mod verify;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use exit::ExitCode;
use llm_bench_core::{Error, ErrorKind, Result};
use tracing_subscriber::EnvFilter;

/// Measures language models on this machine. Every task is a WebAssembly component that runs isolated.
#[derive(Debug, Parser)]
#[command(name = "llm-bench", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  llm-bench demo                                        a tour in half a minute
  llm-bench run --model tiny-llama --task multiple-choice --dataset capitals
  llm-bench run --model ./my-model --task arc_easy --dataset arc_easy.jsonl
  llm-bench run --model ./my-model --task ./my_task.wasm --dataset train=a.jsonl,test=b.jsonl --format json
  llm-bench plugin check ./my_task.wasm                 what a server would say of it
  llm-bench serve                                       the HTTP API; its description is at /docs

Exit codes: 0 done, 1 the benchmark or the program failed, 2 wrong usage.
Environment: LLM_BENCH_LOG=info,llm_bench_core=debug sets the log; LLM_BENCH_ONNXRUNTIME names the ONNX Runtime
library instead of the one that ships with the program.";

/// The environment variable that sets the log; a model's process gets it too.
pub(crate) const LOG_VARIABLE: &str = "LLM_BENCH_LOG";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API and work off the queue of benchmarks.
    Serve(serve::ServeArguments),
    /// Run one benchmark here and now, without a server.
    Run(Box<run::RunArguments>),
    /// Judge anew what a benchmark recorded, without its model: by a task, or by a scorer of the stored solutions.
    Rescore(Box<rescore::RescoreArguments>),
    /// Score the stored solutions of a benchmark again, also with shuffled gold answers and blank.
    Verify(verify::VerifyArguments),
    /// Write plugins: check a component as a server does, and try it on some rows without one.
    Plugin(Box<plugin::PluginArguments>),
    /// List or show the registered models.
    Models(ListArguments),
    /// List or show the registered datasets.
    Datasets(ListArguments),
    /// List, show or add plugins; enable, disable, grant, block or remove them, or choose a default version.
    Plugins(plugins::PluginArguments),
    /// List or show the presets: names for tasks with their config and dataset, and for groups of such.
    Presets(ListArguments),
    /// Make, list or revoke tokens of the API.
    Tokens(tokens::TokenArguments),
    /// List who changed what about plugins and tokens.
    Audit(tokens::AuditArguments),
    /// List, show or compare benchmarks.
    Benchmarks(BenchmarkArguments),
    /// Tell what was found: library, GPU, folders, versions.
    Doctor(DoctorArguments),
    /// Evaluate the bundled model with every built-in task, watch a hostile plugin being contained and a
    /// cheating one being found out.
    Demo,
    /// Compile a plugin (the server starts this in a child process).
    #[command(hide = true)]
    CompilePlugin(CompileArguments),
    /// Run a model (the program starts this in a child process and talks to it over standard input and output).
    #[command(hide = true)]
    RunModel,
    /// Run the guests of a plugin (the program starts this in a child process and talks to it over standard input and
    /// output).
    #[command(hide = true)]
    RunGuests,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(subcommand)]
    action: ListAction,
}

#[derive(Debug, Subcommand)]
enum ListAction {
    /// One line each.
    List {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Everything about one.
    Show {
        /// Its name; for a plugin also name@version, for a benchmark its id.
        name: String,
        #[command(flatten)]
        common: CommonArguments,
    },
}

#[derive(Debug, Args)]
pub struct BenchmarkArguments {
    #[command(subcommand)]
    action: BenchmarkAction,
}

#[derive(Debug, Subcommand)]
enum BenchmarkAction {
    #[command(flatten)]
    Look(ListAction),
    /// Hold two over the same data against each other, sample by sample.
    Compare {
        /// The id of the one that the other is measured by.
        first: String,
        /// The id of the other.
        second: String,
        #[command(flatten)]
        common: CommonArguments,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Args)]
struct CommonArguments {
    /// A table for people, or JSON for machines.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
    #[command(flatten)]
    data: DataArguments,
}

#[derive(Debug, Args)]
struct DataArguments {
    /// The folder with the database, plugins and uploads [default: $XDG_DATA_HOME/llm-bench].
    #[arg(long, value_name = "DIR", env = "LLM_BENCH_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RecordArguments {
    /// What may be kept of one benchmark's calls, solutions and logs, in MiB: one that exceeds it fails, and its finished
    /// samples stay.
    #[arg(long, value_name = "N", default_value_t = 16384, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    max_record_mib: u64,
}

impl RecordArguments {
    fn bytes(&self) -> u64 {
        self.max_record_mib << 20
    }
}

#[derive(Debug, Args)]
pub struct CompileArguments {
    /// The component.
    pub input: PathBuf,
    /// Where the compiled code goes.
    pub output: PathBuf,
    pub address_space_bytes: u64,
    pub processor_seconds: u64,
}

impl CompileArguments {
    fn limits(&self) -> llm_bench_sandbox::CompileLimits {
        llm_bench_sandbox::CompileLimits {
            address_space_bytes: self.address_space_bytes,
            processor_seconds: self.processor_seconds,
            ..llm_bench_sandbox::CompileLimits::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum OutputFormat {
    #[default]
    Table,
    Json,
}

/// Executes a command and says how the process ends.
pub fn main(arguments: Arguments) -> ExitCode {
    start_log(&arguments.command);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(arguments.command)) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error.message);
            tracing::debug!(?error);
            match error.kind {
                ErrorKind::Invalid
                | ErrorKind::NotFound
                | ErrorKind::Unsupported
                | ErrorKind::TooLarge
                | ErrorKind::Denied => ExitCode::MISUSE,
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Compiles one component in this process, whose limits it narrows for good.
pub fn compile_plugin(arguments: &CompileArguments) -> ExitCode {
    match llm_bench_sandbox::compile_in_child(&arguments.input, &arguments.output, arguments.limits()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.message);
            ExitCode::FAILURE
        }
    }
}

/// Runs one model in this process, which it confines for good, for the process that started it.
pub fn run_model() -> ExitCode {
    run_child(llm_bench_runner::run_model_in_child)
}

/// Runs the guests of one plugin in this process, which it confines for good, for the process that started it.
pub fn run_guests() -> ExitCode {
    run_child(llm_bench_sandbox::run_guests_in_child)
}

fn run_child(work: fn() -> Result<()>) -> ExitCode {
    // The parent's log has times and targets of its own, and tells the level by a line's first word.
    tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_env_filter(log_filter("info"))
        .with_writer(std::io::stderr)
        .init();
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.message);
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(arguments) => serve::serve(arguments).await,
        Command::Run(arguments) => run::run(*arguments).await,
        Command::Rescore(arguments) => rescore::rescore(*arguments).await,
        Command::Verify(arguments) => verify::verify(arguments).await,
        Command::Plugin(arguments) => plugin::plugin(*arguments).await,
        Command::Models(arguments) => list::models(arguments.action).await,
        Command::Datasets(arguments) => list::datasets(arguments.action).await,
        Command::Plugins(arguments) => plugins::plugins(arguments).await,
        Command::Presets(arguments) => list::presets(arguments.action).await,
        Command::Benchmarks(arguments) => match arguments.action {
            BenchmarkAction::Look(action) => list::benchmarks(action).await,
            BenchmarkAction::Compare { first, second, common } => {
                compare::compare(&first, &second, &common).await
            }
        },
        Command::Tokens(arguments) => tokens::tokens(arguments).await,
        Command::Audit(arguments) => tokens::audit(arguments).await,
        Command::Doctor(arguments) => doctor::doctor(arguments.common).await,
        Command::Demo => demo::demo().await,
        Command::CompilePlugin(_) => Err(Error::internal(
            "not-a-command",
            "the compiler of plugins runs without the command line's runtime",
        )),
        Command::RunModel | Command::RunGuests => Err(Error::internal(
            "not-a-command",
            "the process of a model or a plugin runs without the command line's runtime",
        )),
    }
}

/// The log goes to standard error; a server says what it does, a command only what is wrong.
fn start_log(command: &Command) {
    let default = if matches!(command, Command::Serve(_)) { "info" } else { "error" };
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(log_filter(default))
        .with_writer(std::io::stderr)
        .init();
}

fn log_filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default))
}
