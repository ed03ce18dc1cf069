//! Macro F1: the answers as labels.

use std::collections::BTreeMap;

use llm_bench_plugin_sdk::prelude::*;

use crate::{AnswerMatch, golds};

pub(crate) const MACRO_F1: &str = "macro_f1";

/// Texts that a model writes freely are no labels.
const MOST_CLASSES: usize = 1000;

/// How often each class is the gold answer, is given as one, and is both.
#[derive(Debug, Default)]
pub struct Classes(BTreeMap<String, Counts>);

#[derive(Debug, Default)]
struct Counts {
    gold: u64,
    given: u64,
    both: u64,
}

impl Classes {
    fn count(&mut self, class: String) -> Result<&mut Counts> {
        if self.0.len() >= MOST_CLASSES && !self.0.contains_key(&class) {
            let message = format!("the answers are of more than {MOST_CLASSES} classes: they are no labels");
            return Err(Error::other(message));
        }
        Ok(self.0.entry(class).or_default())
    }
}

impl Aggregator for AnswerMatch {
    type Corpus = Classes;

    fn add(context: &Context<Self>, classes: &mut Classes, scored: Scored<Self>) -> Result<()> {
        let config = &context.config;
        let golds = golds(config, &scored.sample.input, &scored.target)?;
        let [gold] = &golds[..] else {
            return Err(Error::invalid_sample(format!(
                "column `{}`: has {} gold answers; macro F1 is of one class a sample",
                config.answer,
                golds.len()
            )));
        };
        let class = |text: &str| config.ignoring.reduce(text.trim());
        let (gold, given) = (class(gold), class(scored.solution.text()?));
        let is_right = gold == given;
        classes.count(given)?.given += 1;
        let counts = classes.count(gold)?;
        counts.gold += 1;
        counts.both += u64::from(is_right);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 samples")]
    fn finish(_context: &Context<Self>, classes: Classes) -> Result<Vec<Measurement>> {
        if classes.0.is_empty() {
            return Ok(vec![Measurement::undefined(MACRO_F1, "there is no answer")]);
        }
        let f1 = |counts: &Counts| 2.0 * counts.both as f64 / (counts.gold + counts.given) as f64;
        let sum: f64 = classes.0.values().map(f1).sum();
        Ok(vec![Measurement::of(MACRO_F1, sum / classes.0.len() as f64)])
    }
}
