//! The works whose peer is lm-eval: log-likelihoods of choices and of whole texts.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::llm_bench::{self, LlmBench};
use super::lm_eval;
use super::machine::Machine;
use super::materials::{LARGE, Materials, SMALL, TEXT_TOKENS};
use super::python::Python;
use super::report::{Outcome, Report, Side};
use super::scores::{Agreement, Scores, Tolerance};

/// One work, and the ratio that it is to reach.
pub(crate) struct LikelihoodWork {
    name: &'static str,
    about: String,
    model: &'static str,
    data: Data,
    limit: Option<u64>,
    /// The peer's.
    batch_size: u32,
    time: Time,
    bar: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Choices,
    Texts,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    /// From the start of the process to its end.
    Process,
    /// From the first request to the last answer.
    Requests,
}

impl LikelihoodWork {
    pub(crate) fn choices_1m() -> Self {
        Self {
            name: "choices-1m",
            about: "500 four-choice questions, 5-shot, 1 M parameters".to_owned(),
            model: SMALL,
            data: Data::Choices,
            limit: None,
            batch_size: 16,
            time: Time::Process,
            bar: 40.0,
        }
    }

    pub(crate) fn choices_135m() -> Self {
        Self {
            name: "choices-135m",
            about: "20 four-choice questions, 5-shot, 135 M parameters".to_owned(),
            model: LARGE,
            limit: Some(20),
            time: Time::Requests,
            bar: 10.0,
            ..Self::choices_1m()
        }
    }

    pub(crate) fn one_sample() -> Self {
        Self {
            name: "one-sample",
            about: "1 four-choice question, 5-shot, 1 M parameters".to_owned(),
            limit: Some(1),
            bar: 20.0,
            ..Self::choices_1m()
        }
    }

    pub(crate) fn rolling_1m(tokens: u64) -> Self {
        let texts = tokens.div_ceil(TEXT_TOKENS).max(1);
        Self {
            name: "rolling-1m",
            about: format!("the perplexity of {texts} texts of 4,000 tokens, 1 M parameters"),
            model: SMALL,
            data: Data::Texts,
            limit: Some(texts),
            // The peer's default, with which it is faster than with 16: a window of 2,048 tokens fills the machine alone.
            batch_size: 1,
            time: Time::Requests,
            bar: 2.0,
        }
    }

    pub(crate) fn rolling_135m(tokens: u64) -> Self {
        let small = Self::rolling_1m(tokens);
        Self {
            name: "rolling-135m",
            about: small.about.replace("1 M", "135 M"),
            model: LARGE,
            bar: 1.0,
            ..small
        }
    }

    /// Lets both sides do the work in turn.
    pub(crate) fn measure(
        &self,
        bench: &LlmBench,
        python: &Python,
        materials: &Materials,
        repetitions: u32,
    ) -> Result<Report> {
        let machine = Machine::look();
        let scratch = bench.scratch.with_file_name("scratch-lm-eval");
        if self.time == Time::Process {
            // Fills the caches of the file system and of lm-eval's libraries, as an earlier run would have.
            lm_eval::run(
                python,
                materials,
                &scratch,
                &self.their_order(&materials.model(self.model), Some(1)),
            )?;
        }
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        let mut agreement: Option<Agreement> = None;
        for _ in 0..repetitions {
            let model = materials.model(self.model);
            let ours = bench.run(materials, &self.our_order(materials, &model))?;
            let theirs = lm_eval::run(python, materials, &scratch, &self.their_order(&model, self.limit))?;
            our_times.push(self.our_time(&ours)?);
            their_times.push(self.their_time(&theirs)?);
            let compared =
                Scores::ours(&ours)?.compare(&Scores::theirs(&theirs)?, self.metrics(), self.tolerance())?;
            // One repetition that differs is enough to distrust the others.
            agreement = Some(match agreement {
                Some(earlier) if !earlier.holds => earlier,
                _ => compared,
            });
        }
        let Some(agreement) = agreement else { bail!("there is nothing to measure in no repetition") };
        Ok(Report {
            name: self.name,
            about: self.about.clone(),
            time: match self.time {
                Time::Process => "whole processes",
                Time::Requests => "first request to last answer",
            },
            bar: self.bar,
            ours: Side { name: bench.version()?, seconds: our_times },
            theirs: Side {
                name: format!("lm-eval {} hf, batch {}", python.versions["lm_eval"], self.batch_size),
                seconds: their_times,
            },
            scores: Outcome { agree: agreement.holds, json: agreement.json(), line: agreement.line() },
            versions: python.versions.clone(),
            machine,
        })
    }

    /// What both sides measure.
    fn metrics(&self) -> &'static [&'static str] {
        match self.data {
            Data::Choices => &["acc", "acc_norm"],
            Data::Texts => &["word_perplexity", "byte_perplexity", "bits_per_byte"],
        }
    }

    fn tolerance(&self) -> Tolerance {
        match self.data {
            Data::Choices => Tolerance { absolute: 1e-3, relative: 0.0, metric: 1e-9 },
            // A perplexity is the exponential of a sum, so it takes the sum's tolerance over.
            Data::Texts => Tolerance { absolute: 1e-3, relative: 1e-5, metric: 1e-3 },
        }
    }

    fn our_order<'a>(&self, materials: &Materials, model: &'a std::path::Path) -> llm_bench::Order<'a> {
        let file = |name| materials.data().join(name).display().to_string();
        let (task, dataset, few_shot, config) = match self.data {
            Data::Choices => (
                "multiple-choice",
                format!("train={},test={}", file("train.jsonl"), file("test.jsonl")),
                5,
                json!({ "prompt": "Question: {{ question }}\nAnswer:" }),
            ),
            Data::Texts => ("perplexity", file("texts.jsonl"), 0, Value::Object(serde_json::Map::new())),
        };
        llm_bench::Order { model, task, dataset, few_shot, config, concurrency: None, limit: self.limit }
    }

    fn their_order<'a>(&self, model: &'a std::path::Path, limit: Option<u64>) -> lm_eval::Order<'a> {
        lm_eval::Order {
            model,
            task: match self.data {
                Data::Choices => "peers_choices",
                Data::Texts => "peers_texts",
            },
            batch_size: self.batch_size,
            limit,
            times_requests: self.time == Time::Requests,
        }
    }

    fn our_time(&self, run: &llm_bench::Run) -> Result<f64> {
        match self.time {
            Time::Process => Ok(run.process_s),
            Time::Requests => run.requests_s(),
        }
    }

    fn their_time(&self, run: &lm_eval::Run) -> Result<f64> {
        match self.time {
            Time::Process => Ok(run.process_s),
            Time::Requests => run.requests_s.context("the requests were not timed"),
        }
    }
}
