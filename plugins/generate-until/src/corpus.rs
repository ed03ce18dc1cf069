use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::{BleuCounts, ChrfCounts};

use crate::config::Judgement;
use crate::{GenerateUntil, read, targets};

/// What BLEU and chrF are computed from, which adds up over all answers: for each way to read them, in the order of the
/// config.
#[derive(Debug, Default)]
pub struct Counts(Vec<(BleuCounts, ChrfCounts)>);

impl Aggregator for GenerateUntil {
    type Corpus = Counts;

    fn add(context: &Context<Self>, corpus: &mut Counts, scored: Scored<Self>) -> Result<()> {
        let config = &context.config.task;
        let targets = targets(config, &scored.sample.input, &scored.target)?;
        let targets = || targets.iter().map(String::as_str);
        corpus.0.resize(config.readings().count(), <_>::default());
        for (filter, (bleu, chrf)) in config.readings().zip(&mut corpus.0) {
            let answer = read(config, filter, &scored.solution)?;
            for judgement in &config.metrics {
                match judgement {
                    Judgement::Bleu => *bleu += config.bleu.counts(answer, targets()),
                    Judgement::Chrf => *chrf += &config.chrf.counts(answer, targets()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn finish(context: &Context<Self>, corpus: Counts) -> Result<Vec<Measurement>> {
        let config = &context.config.task;
        let mut counts = corpus.0.iter();
        let mut measurements = Vec::new();
        for filter in config.readings() {
            let counts = counts.next();
            for judgement in config.metrics.iter().filter(|judgement| judgement.is_of_corpus()) {
                let name = judgement.name();
                let measurement = match (judgement, counts) {
                    (Judgement::Bleu, Some((bleu, _))) => Measurement::of(name, bleu.score()),
                    (_, Some((_, chrf))) => Measurement::of(name, config.chrf.score(chrf)),
                    (_, None) => Measurement::undefined(name, "there is no answer"),
                };
                measurements
                    .push(Measurement { filter: filter.map(|filter| filter.name.clone()), ..measurement });
            }
        }
        Ok(measurements)
    }
}
