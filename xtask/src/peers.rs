//! `cargo xtask peers`: the same work done by this project and by a peer, one after the other on this machine, and
//! the ratio of their times.
//!
//! A ratio counts for nothing when the answers differ, so both sides' answers are held together each time.

mod genai;
mod likelihood;
mod llm_bench;
mod lm_eval;
mod machine;
mod materials;
mod python;
mod report;
mod scores;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::dist;
use crate::setup::wasm_target::Provider;
use crate::workspace::Workspace;

use likelihood::LikelihoodWork;
use llm_bench::LlmBench;
use materials::Materials;
use python::Python;

#[derive(Args)]
pub(crate) struct PeersArguments {
    #[command(subcommand)]
    work: Work,

    /// A Python with what xtask/peers/requirements.txt lists.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "LLM_BENCH_PEERS_PYTHON",
        default_value = "python3"
    )]
    python: PathBuf,

    /// How often each side does the work; the medians are compared.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,

    /// About how many tokens the rolling works score, in steps of 4,000.
    #[arg(long, global = true, value_name = "N", default_value_t = materials::TEXTS_TOKENS)]
    tokens: u64,

    /// An installed llm-bench to measure, instead of building target/dist.
    #[arg(long, global = true, value_name = "PATH")]
    program: Option<PathBuf>,

    /// Let our side run the model in a child process, as `llm-bench serve` does.
    #[arg(long, global = true)]
    model_process: bool,
}

#[derive(Clone, Copy, Subcommand)]
enum Work {
    /// Make the models and data of all works, in the cache folder of `cargo xtask setup`.
    Prepare,
    /// 500 four-choice questions, 5-shot, on 1 M parameters: whole processes.
    #[command(name = "choices-1m")]
    Choices1m,
    /// 20 four-choice questions, 5-shot, on 135 M parameters: first to last request.
    #[command(name = "choices-135m")]
    Choices135m,
    /// The perplexity of 100,000 tokens on 1 M parameters: first to last request.
    #[command(name = "rolling-1m")]
    Rolling1m,
    /// The perplexity of 100,000 tokens on 135 M parameters: first to last request.
    #[command(name = "rolling-135m")]
    Rolling135m,
    /// 1 four-choice question on 1 M parameters: whole processes.
    OneSample,
    /// Greedy decoding of 128 tokens on 135 M parameters, against onnxruntime-genai.
    #[command(name = "genai-135m")]
    Genai135m,
    /// Every work, one after the other.
    All,
}

/// A work with what it takes to do it.
enum Measurement {
    Likelihood(LikelihoodWork),
    Genai,
}

impl Work {
    /// What this asks to measure, the quickest first.
    fn measurements(self, tokens: u64) -> Vec<Measurement> {
        use Measurement::{Genai, Likelihood};
        match self {
            Self::Prepare => vec![],
            Self::Choices1m => vec![Likelihood(LikelihoodWork::choices_1m())],
            Self::Choices135m => vec![Likelihood(LikelihoodWork::choices_135m())],
            Self::Rolling1m => vec![Likelihood(LikelihoodWork::rolling_1m(tokens))],
            Self::Rolling135m => vec![Likelihood(LikelihoodWork::rolling_135m(tokens))],
            Self::OneSample => vec![Likelihood(LikelihoodWork::one_sample())],
            Self::Genai135m => vec![Genai],
            Self::All => [
                Self::OneSample,
                Self::Choices1m,
                Self::Rolling1m,
                Self::Genai135m,
                Self::Choices135m,
                Self::Rolling135m,
            ]
            .into_iter()
            .flat_map(|work| work.measurements(tokens))
            .collect(),
        }
    }
}

pub(crate) fn run(
    workspace: &Workspace,
    provider: Option<Provider>,
    arguments: PeersArguments,
) -> Result<()> {
    let PeersArguments { work, python, repetitions, tokens, program, model_process } = arguments;
    let scripts = workspace.root.join("xtask/peers");
    let python = Python::find(python, &scripts)?;
    let materials = Materials::provide(&python)?;
    let measurements = work.measurements(tokens);
    if measurements.is_empty() {
        println!("peers: models and data are in {}", materials.folder.display());
        return Ok(());
    }
    let program = match program {
        Some(program) => std::path::absolute(program)?,
        None => dist::build(workspace, provider)?,
    };
    let results = workspace.target.join(if model_process { "peers/model-process" } else { "peers" });
    let bench = LlmBench { program, scratch: results.join("scratch"), model_process };
    for measurement in measurements {
        let report = match measurement {
            Measurement::Likelihood(work) => work.measure(&bench, &python, &materials, repetitions)?,
            Measurement::Genai => genai::measure(&bench, &python, &materials, repetitions)?,
        };
        report.write(&results)?;
        report.print();
        report.check()?;
    }
    Ok(())
}
