//! A dialogue of several turns with the model, whose last answer a second model judges: a worked example of a task that
//! asks more than once, and that does not take a judge at its word.
//!
//! The user's turns are templates over the row. The judge reads the whole dialogue, each line of it quoted, and the gold
//! answer. Where what it says names no verdict, or more than one, the sample has no value of the metric, and says why.

mod config;

use llm_bench_plugin_sdk::prelude::*;
use llm_bench_plugin_sdk::text::contains;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use config::{Config, Judge, Verdicts};

/// The plugin.
pub struct Dialogues;

/// Whether the judge found the last answer right.
const JUDGED_RIGHT: &str = "judged_right";
/// Whether the gold answer stands in the last answer: what the judge can be held against.
const CONTAINS: &str = "contains";

/// What the solver hands to the scorer beside the last answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The whole dialogue, each turn after its speaker.
    pub transcript: String,
    /// The model's answers, one a turn.
    pub answers: Vec<String>,
}

impl Plugin for Dialogues {
    type Config = Config;
    type Input = Row;
    type Target = Row;

    fn describe() -> Description {
        Description { parts: &["subject", "judge"], ..description!() }
    }

    fn metrics(config: &Config) -> Result<Vec<Metric>> {
        config.check()?;
        Ok(vec![
            Metric::mean(
                JUDGED_RIGHT,
                "share of dialogues whose last answer the judge finds right, of those it judged",
            ),
            Metric::mean(CONTAINS, "share of dialogues in whose last answer the gold answer stands"),
        ])
    }
}

impl Solver for Dialogues {
    fn solve(context: &Context<Self>, sample: &Sample<Self>) -> Result<Solution> {
        let config = &context.config;
        let model = Model::open("subject")?;
        let sampling = Sampling::greedy(config.max_tokens).until(&config.until);
        let mut dialogue =
            if config.chat { Dialogue::chat(&model, sampling) } else { Dialogue::plain(&model, sampling) };
        if let Some(instructions) = &config.instructions {
            dialogue = dialogue.system(instructions);
        }
        let mut answers = Vec::new();
        for turn in &config.turns {
            answers.push(dialogue.ask(turn.render(&sample.input)?)?);
        }
        let last = answers.last().cloned().unwrap_or_default();
        Solution::answer(last).with_detail(&Detail { transcript: dialogue.transcript(), answers })
    }
}

impl Scorer for Dialogues {
    fn score(
        context: &Context<Self>,
        sample: &Sample<Self>,
        solution: &Solution,
        target: &Row,
    ) -> Result<Vec<Measurement>> {
        let Config { answer, judge, .. } = &context.config;
        let gold = gold(target, answer)?;
        let last = solution.text()?;

        // What the judge's prompt may show: the row, the dialogue, and the gold answer.
        let mut shown = sample.input.clone();
        let transcript = solution.detail_as::<Detail>()?.transcript;
        shown.0.insert("dialogue".into(), quoted(&transcript).into());
        shown.0.insert("last_answer".into(), quoted(last).into());
        shown.0.insert("gold".into(), gold.clone().into());
        let asked = judge.prompt.render(&shown)?;
        let model = Model::open("judge")?;
        let sampling = Sampling::greedy(judge.max_tokens).until(&judge.until);
        let said = if judge.chat {
            model.complete(vec![Message::user(asked)], sampling)
        } else {
            model.complete(asked, sampling)
        }?;

        let Verdicts { right, wrong } = &judge.verdicts;
        let verdict = verdict::one_of(&said, &[right, wrong]).map(|verdict| verdict == right);
        Ok(vec![
            Measurement::judged(JUDGED_RIGHT, verdict, &said),
            Measurement::of(CONTAINS, contains(last, [gold.as_str()])),
        ])
    }
}

/// A text for a judge's prompt: each line after `> `, so that nothing in it passes for a part of the prompt.
fn quoted(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("> {line}")).collect();
    lines.join("\n")
}

/// The gold answer; the first of several.
fn gold(target: &Row, column: &str) -> Result<String> {
    let value = match target.value(column)? {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        single => single,
    };
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => {
            Err(Error::invalid_sample(format!("column `{column}`: {other} is neither a text nor a number")))
        }
    }
}

export_task!(Dialogues);

#[cfg(test)]
mod tests;
