//! A stranger's plugin: it misbehaves as its config says, to show that the sandbox holds.
//!
//! Whoever gets at something forbidden answers "READ: …"; whoever is refused fails with what the system said. A guest
//! that is stopped does neither.

mod behaviour;
mod exhaust;
mod forge;
mod probe;

use llm_bench_plugin_sdk::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use behaviour::TOGETHER;
pub use behaviour::{Behaviour, Loot};

/// The plugin.
pub struct Hostile;

/// What a benchmark may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to try.
    pub behaviour: Behaviour,
    /// How much of it, where that is counted: calls, bytes, tokens, handles, measurements.
    pub amount: u32,
    /// The gold column.
    #[schemars(extend("x-gold" = true))]
    pub answer: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { behaviour: Behaviour::Honest, amount: 0, answer: "answer".into() }
    }
}

impl Plugin for Hostile {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], ..description!() }
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        if config.behaviour == Behaviour::SpinInMetrics {
            exhaust::spin();
        }
        if config.behaviour == Behaviour::DataFileInMetrics {
            data::bytes("data.bin")?;
        }
        let mut metrics = vec![Metric::mean("harmless", "1 where a sample did no harm")];
        if config.behaviour.aggregates() {
            metrics.push(Metric::corpus(TOGETHER, "samples that did no harm"));
        }
        Ok(metrics)
    }
}

impl Solver for Hostile {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        context.config.behaviour.solve(&context.config, &sample.input)
    }
}

impl Scorer for Hostile {
    fn score(
        context: &Context<Self>,
        _sample: &Sample<Self>,
        _solution: &Solution,
        _target: &Row,
    ) -> Result<Vec<Measurement>> {
        context.config.behaviour.score(&context.config)
    }
}

impl Aggregator for Hostile {
    type Corpus = Loot;

    fn add(context: &Context<Self>, loot: &mut Loot, _scored: Scored<Self>) -> Result<()> {
        context.config.behaviour.add(loot)
    }

    fn finish(context: &Context<Self>, loot: Loot) -> Result<Vec<Measurement>> {
        Ok(context.config.behaviour.finish(&loot))
    }
}

export_task!(Hostile, aggregator);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::{self, Case};
    use serde_json::json;

    use super::*;

    fn case(behaviour: &str) -> Case {
        Case {
            config: json!({"behaviour": behaviour}),
            input: json!({"question": "2 + 2?"}),
            target: json!({"answer": "4"}),
            ..Case::default()
        }
    }

    #[test]
    fn an_honest_sample_does_no_harm() {
        let case = case("honest");
        let solution = case.solve::<Hostile>().unwrap();
        assert_eq!(solution.answer.as_deref(), Some("harmless"));
        assert_eq!(case.score::<Hostile>(&solution).unwrap(), [Measurement::of("harmless", 1.0)]);
    }

    #[test]
    fn a_gold_answer_is_read_only_where_the_host_left_it() {
        let error = case("peek-gold").solve::<Hostile>().unwrap_err();
        assert_eq!(error.message, "column `answer`: missing; the row has `question`");
        let leak = Case { input: json!({"answer": "4"}), ..case("peek-gold") };
        assert_eq!(leak.solve::<Hostile>().unwrap().answer.as_deref(), Some("READ: \"4\""));
    }

    #[test]
    fn a_part_that_nobody_plays_is_refused() {
        assert!(case("open-judge").solve::<Hostile>().is_err());
        assert!(case("open-subject-in-score").score::<Hostile>(&Solution::default()).is_err());
    }

    #[test]
    fn bad_measurements_are_given_out() {
        let score = |behaviour| case(behaviour).score::<Hostile>(&Solution::default()).unwrap();
        assert!(score("nan-measurement")[0].value.unwrap().is_nan());
        assert_eq!(score("undeclared-measurement")[0].metric, "invented");
        assert_eq!(score("duplicate-measurement").len(), 2);
    }

    #[test]
    fn samples_are_added_up_and_bad_sums_are_given_out() {
        let aggregate = |behaviour: &str| {
            let samples = [0; 3].map(|_| (case(behaviour), Solution::answer("harmless")));
            testing::aggregate::<Hostile>(&samples).map_err(|error| error.message)
        };
        assert_eq!(aggregate("add-up").unwrap(), [Measurement::of(TOGETHER, 3.0)]);
        assert!(
            aggregate("open-judge-in-aggregation").unwrap_err().contains("no model plays the part `judge`")
        );
        let nothing = aggregate("nothing-of-corpus").unwrap_err();
        assert_eq!(nothing, "`finish` gave 0 measurements of `harmless_together`");
        let besides = aggregate("sample-metric-of-corpus").unwrap_err();
        assert_eq!(besides, "`finish` gave measurements of what is no corpus metric");
    }

    #[test]
    fn an_unknown_behaviour_is_refused_by_name() {
        let error = case("be-nice").metrics::<Hostile>().unwrap_err();
        assert!(error.message.starts_with("config: `behaviour`: unknown variant `be-nice`"), "{error}");
    }
}
