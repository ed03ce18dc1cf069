//! Has the model go on from a text, and measures which of its words stand in a word list: an example of a plugin that
//! reads a data file. It judges the answers of other tasks as well.

use std::collections::HashSet;

use llm_bench_plugin_sdk::Aggregation;
use llm_bench_plugin_sdk::prelude::*;

/// The plugin.
pub struct Vocabulary;

/// The word list: a word a line, in lower case.
const WORDS: &str = "words.txt";
const METRIC: &str = "known_words";

impl Plugin for Vocabulary {
    type Config = NoConfig;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject"], data_files: &[WORDS], ..description!() }
    }

    fn metrics(_: &NoConfig) -> Result<Vec<Metric>> {
        Ok(vec![Metric {
            aggregation: Aggregation::WeightedMean,
            ..Metric::mean(METRIC, "share of the answers' words that stand in the word list")
        }])
    }
}

impl Solver for Vocabulary {
    fn solve(_: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let model = Model::open("subject")?;
        Ok(Solution::answer(model.complete(sample.input.text("question")?, Sampling::greedy(16))?))
    }
}

impl Scorer for Vocabulary {
    fn score(_: &Context<Self>, _: &Sample<Self>, solution: &Solution, _: &Row) -> Result<Vec<Measurement>> {
        let list = data::text(WORDS)?;
        let known: HashSet<&str> = list.lines().collect();
        let answer = solution.text()?.to_lowercase();
        let words: Vec<&str> =
            answer.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Ok(vec![Measurement::undefined(METRIC, "the answer has no word")]);
        }
        let found = words.iter().filter(|word| known.contains(**word)).count();
        Ok(vec![share(found, words.len())])
    }
}

/// So many of an answer's words.
#[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 words")]
fn share(found: usize, words: usize) -> Measurement {
    Measurement { weight: words as f64, ..Measurement::of(METRIC, found as f64) }
}

export_task!(Vocabulary);

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::{self, Case};

    use super::*;

    #[test]
    fn words_are_looked_up_whatever_their_case() {
        let _words = testing::give_file("words.txt", "cat\ndog\n");
        let judged = |answer| Case::default().score::<Vocabulary>(&Solution::answer(answer)).unwrap();
        assert_eq!(judged("A cat, a Dog."), [share(2, 4)]);
        assert_eq!(judged("... 7")[0].value, None);
    }

    #[test]
    fn without_its_list_it_judges_nothing() {
        let error = Case::default().score::<Vocabulary>(&Solution::answer("cat")).unwrap_err();
        assert!(error.message.contains("`words.txt`"), "{error}");
    }
}
