//! The least that a task can be: one call of the model to solve a sample, none to judge it. It stands on the generated
//! bindings alone, so that benchmarks of the sandbox measure the sandbox.

use exports::llm_bench::plugin::plugin::{Descriptor, Metric};
use exports::llm_bench::plugin::{plugin, scorer, solver};
use llm_bench::plugin::models::{self, Prompt, ScoringRequest};
use llm_bench::plugin::types::{Aggregation, Context, Error, Measurement, Sample, Solution};

wit_bindgen::generate!({ path: "../../wit", world: "task" });

struct Bare;

impl plugin::Guest for Bare {
    fn describe() -> Descriptor {
        Descriptor {
            name: "bare".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: env!("CARGO_PKG_DESCRIPTION").into(),
            config_schema: r#"{"type": "object"}"#.into(),
            example_config: "{}".into(),
            parts: vec!["subject".into()],
            data_files: Vec::new(),
        }
    }

    fn metrics(_config: String) -> Result<Vec<Metric>, Error> {
        Ok(vec![Metric {
            name: "done".into(),
            filter: None,
            description: "1 for each sample".into(),
            aggregation: Aggregation::Mean,
            higher_is_better: true,
        }])
    }
}

impl solver::Guest for Bare {
    fn solve(_context: Context, sample: Sample) -> Result<Solution, Error> {
        let request = ScoringRequest {
            context: Prompt::Text(sample.input),
            continuation: " yes".into(),
            extra: Vec::new(),
        };
        let answers = models::open("subject")?.log_likelihood(&[request])?;
        let answer = answers.first().map(|answer| answer.sum.to_string());
        Ok(Solution { answer, passages: Vec::new(), detail: None })
    }
}

impl scorer::Guest for Bare {
    fn score(
        _context: Context,
        _sample: Sample,
        _solution: Solution,
        _target: String,
    ) -> Result<Vec<Measurement>, Error> {
        Ok(vec![Measurement {
            metric: "done".into(),
            filter: None,
            value: Some(1.0),
            weight: 1.0,
            reason: None,
        }])
    }
}

export!(Bare);
