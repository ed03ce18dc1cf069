//! Asks for sums, and compares the number in the answer with the right one.

use llm_bench_plugin_sdk::prelude::*;

/// Asks the model. The row comes without its gold columns.
fn ask(model: &Model, row: &Row) -> Result<String> {
    let prompt = format!("Question: {}\nAnswer:", row.text("question")?);
    model.complete(prompt, Sampling::greedy(16).until(["\n"]))
}

/// Judges an answer, in an instance of its own and without the model. `gold` holds the gold columns alone.
fn judge(answer: &str, gold: &Row) -> Result<bool> {
    Ok(last_number(answer) == Some(gold.text("answer")?))
}

fn last_number(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit()).rfind(|digits| !digits.is_empty())
}

simple_task! { Task, gold: ["answer"], metric: "exact_match", solve: ask, score: judge }

#[cfg(test)]
mod tests {
    use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};
    use llm_bench_plugin_sdk::{Generation, GenerationRequest, Prompt};
    use serde_json::json;

    use super::*;

    struct Model;

    impl ScriptedModel for Model {
        fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
            assert_eq!(request.prompt, Prompt::from("Question: What is 2 + 3?\nAnswer:"));
            Ok(testing::generation(" It is 5."))
        }
    }

    #[test]
    fn a_right_answer_counts_whatever_stands_around_it() {
        let _subject = testing::bind("subject", Model);
        let case = Case {
            input: json!({"question": "What is 2 + 3?"}),
            target: json!({"answer": "5"}),
            ..Case::default()
        };
        let solution = case.solve::<Task>().unwrap();
        assert_eq!(case.score::<Task>(&solution).unwrap(), [Measurement::of("exact_match", true)]);
    }

    #[test]
    fn an_answer_without_a_number_is_wrong() {
        let case = Case { target: json!({"answer": "5"}), ..Case::default() };
        let score = case.score::<Task>(&Solution::answer("five")).unwrap();
        assert_eq!(score, [Measurement::of("exact_match", false)]);
    }
}
