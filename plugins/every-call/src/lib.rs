//! A task that asks the host for everything that the contract has, and answers with everything that it may: published
//! with each version of the contract, it shows that later hosts still provide and take all of it. It stands on the
//! generated bindings alone.

mod asked;

use exports::llm_bench::plugin::aggregator::{self, GuestAggregation, Scored};
use exports::llm_bench::plugin::plugin::{Descriptor, Metric};
use exports::llm_bench::plugin::{plugin, scorer, solver};
use llm_bench::plugin::logging::{self, Level};
use llm_bench::plugin::models;
use llm_bench::plugin::types::{
    Aggregation, Context, Error, ErrorCode, Measurement, Passage, Sample, Solution,
};
use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../wit", world: "corpus-task" });

struct EveryCall;

/// How samples become one number, each with a metric of its name; the last is the aggregator's.
const AGGREGATIONS: [(&str, Aggregation); 8] = [
    ("mean", Aggregation::Mean),
    ("sum", Aggregation::Sum),
    ("median", Aggregation::Median),
    ("weighted_mean", Aggregation::WeightedMean),
    ("perplexity", Aggregation::Perplexity),
    ("weighted_perplexity", Aggregation::WeightedPerplexity),
    ("bits_per_byte", Aggregation::BitsPerByte),
    ("corpus", Aggregation::Corpus),
];

/// The ways to fail, by the names that the contract has for them.
const CODES: [(&str, ErrorCode); 7] = [
    ("invalid-config", ErrorCode::InvalidConfig),
    ("invalid-sample", ErrorCode::InvalidSample),
    ("model", ErrorCode::Model),
    ("denied", ErrorCode::Denied),
    ("unsupported", ErrorCode::Unsupported),
    ("limit", ErrorCode::Limit),
    ("other", ErrorCode::Other),
];

const FILTER: &str = "as-it-is";
const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "gold": {"type": "string", "default": "answer", "x-gold": true},
        "fail": {"type": "boolean", "default": false}
    },
    "additionalProperties": false
}"#;

impl plugin::Guest for EveryCall {
    fn describe() -> Descriptor {
        Descriptor {
            name: "every-call".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: env!("CARGO_PKG_DESCRIPTION").into(),
            config_schema: SCHEMA.into(),
            example_config: r#"{"gold": "answer", "fail": false}"#.into(),
            parts: ["subject", "judge", "embedder"].map(Into::into).into(),
            data_files: vec![asked::FILE.into()],
        }
    }

    fn metrics(config: String) -> Result<Vec<Metric>, Error> {
        if parse(&config)?["fail"] == true {
            return Err(error("invalid-config", "it was told to fail"));
        }
        let metric = |(name, aggregation): (&str, Aggregation)| Metric {
            name: name.into(),
            filter: (aggregation == Aggregation::Mean).then(|| FILTER.into()),
            description: format!("aggregated as {name}"),
            aggregation,
            higher_is_better: aggregation == Aggregation::Mean,
        };
        Ok(AGGREGATIONS.map(metric).into())
    }
}

impl solver::Guest for EveryCall {
    fn solve(context: Context, sample: Sample) -> Result<Solution, Error> {
        for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
            logging::log(level, &format!("{level:?} of sample {}", sample.id));
        }
        let row = parse(&sample.input)?;
        if let Some(code) = row["fail"].as_str() {
            return Err(error(code, &format!("it was told to fail as `{code}`")));
        }
        let subject = models::open("subject")?;
        let detail = json!({
            "context": {"config": parse(&context.config)?, "examples": context.examples.len(), "seed": context.seed},
            "sample": {"id": sample.id, "input": row, "repeat": sample.repeat},
            "generated": asked::generations(&subject)?,
            "log_likelihoods": asked::log_likelihoods(&subject)?,
            "tokens": subject.count_tokens(&asked::texts())?,
            "ranked": subject.rank("the query", &asked::texts())?,
            "embedded": models::open("embedder")?.embed(&asked::texts())?,
            "file": asked::file()?,
            "refused": [asked::refusal("nobody"), asked::other_file()],
        });
        let passage =
            |(id, score): (&str, f64)| Passage { id: id.into(), text: format!("text of {id}"), score };
        Ok(Solution {
            answer: Some("an answer".into()),
            passages: [("first", 2.5), ("second", -0.5)].map(passage).into(),
            detail: Some(detail.to_string()),
        })
    }
}

impl scorer::Guest for EveryCall {
    fn score(
        _context: Context,
        sample: Sample,
        solution: Solution,
        target: String,
    ) -> Result<Vec<Measurement>, Error> {
        let judged = asked::verdict(&models::open("judge")?, &solution, &parse(&target)?)?;
        let value = parse(&sample.input)?["value"].as_f64();
        let measured = |(name, aggregation): &(&str, Aggregation)| Measurement {
            metric: (*name).into(),
            filter: (*aggregation == Aggregation::Mean).then(|| FILTER.into()),
            value,
            weight: if *name == "mean" { 1.0 } else { 4.0 },
            reason: Some(format!("the judge said {judged}; the subject is {}", asked::refusal("subject"))),
        };
        Ok(AGGREGATIONS[..7].iter().map(measured).collect())
    }
}

struct Gathered(std::cell::RefCell<(usize, f64)>);

impl aggregator::Guest for EveryCall {
    type Aggregation = Gathered;
}

impl GuestAggregation for Gathered {
    fn new(_context: Context) -> Self {
        Self(<_>::default())
    }

    fn add(&self, batch: Vec<Scored>) -> Result<(), Error> {
        let (samples, sum) = &mut *self.0.borrow_mut();
        for scored in batch {
            let has_all = scored.solution.passages.len() == 2 && parse(&scored.target)?["answer"].is_string();
            if !has_all {
                return Err(error("invalid-sample", "the sample is not what it was"));
            }
            *samples += 1;
            *sum += scored.measurements.iter().filter_map(|measurement| measurement.value).sum::<f64>();
        }
        Ok(())
    }

    fn finish(&self) -> Result<Vec<Measurement>, Error> {
        let (samples, sum) = *self.0.borrow();
        let reason = Some(format!("of {samples} samples"));
        let corpus =
            Measurement { metric: "corpus".into(), filter: None, value: Some(sum), weight: 1.0, reason };
        Ok(vec![corpus])
    }
}

fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|cause| error("other", &format!("no JSON: {cause}")))
}

fn error(code: &str, message: &str) -> Error {
    let known = CODES.iter().find(|(name, _)| *name == code);
    Error {
        code: known.map_or(ErrorCode::Other, |(_, code)| *code),
        message: message.into(),
        detail: Some(json!({ "code": code }).to_string()),
    }
}

export!(EveryCall);
