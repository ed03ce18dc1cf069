//! A task of several turns with a judge: the bundled model plays both.

use serde_json::{Value, json};

use crate::support::run_with_samples;

fn dialogue(config: &Value) -> (Value, Vec<Value>) {
    let data = tempfile::tempdir().unwrap();
    let config = config.to_string();
    let arguments = [
        "run",
        "--model",
        "tiny-llama",
        "--part",
        "judge=tiny-llama",
        "--task",
        "dialogue",
        "--dataset",
        "reading",
        "--limit",
        "4",
        "--config",
        &config,
    ];
    let (benchmark, samples) = run_with_samples(data.path(), &arguments);
    assert_eq!(benchmark["failures"], json!({}), "{benchmark:#}");
    assert_eq!(benchmark["parts"], json!({ "judge": "tiny-llama" }));
    (benchmark, samples)
}

fn judged(sample: &Value) -> &Value {
    &sample["metrics"][0]
}

#[test]
fn three_turns_build_on_each_other_and_a_judge_that_babbles_gives_no_verdict() {
    let (benchmark, samples) = dialogue(&json!({ "max_tokens": 8 }));
    assert_eq!(samples.len(), 4);
    for sample in &samples {
        let calls = sample["calls"].as_array().unwrap();
        let parts: Vec<_> = calls.iter().map(|call| (&call["part"], &call["phase"])).collect();
        let (subject, judge) = (json!("subject"), json!("judge"));
        let (solve, score) = (json!("solve"), json!("score"));
        assert_eq!(
            parts,
            [(&subject, &solve), (&subject, &solve), (&subject, &solve), (&judge, &score)],
            "{sample:#}"
        );
        // What the model said is part of what it reads next, and what the judge reads is quoted.
        let said = |call: usize| calls[call]["response"][0]["text"].as_str().unwrap().trim();
        let read = |call: usize| calls[call]["request"][0]["prompt"].to_string();
        let part = |text: String| serde_json::to_string(&text).unwrap().trim_matches('"').to_owned();
        assert!(
            read(1).contains(&part(format!("Assistant: {}\nUser: Are you sure?", said(0)))),
            "{sample:#}"
        );
        assert!(
            read(2).contains(&part(format!("Assistant: {}\nUser: So, in a few words", said(1)))),
            "{sample:#}"
        );
        assert!(read(3).contains("> User: So, in a few words"), "{sample:#}");
        assert_eq!(sample["answer"], said(2));

        // The bundled model answers questions about stories; it has not learnt to judge.
        let measured = judged(sample);
        match measured["value"].as_f64() {
            None => assert!(!measured["reason"].as_str().unwrap().is_empty(), "{sample:#}"),
            Some(value) => assert!([0.0, 1.0].contains(&value), "{sample:#}"),
        }
    }
    let undefined = samples.iter().filter(|sample| judged(sample)["value"].is_null()).count();
    assert!(undefined > 0, "{samples:#?}");
    assert_eq!(benchmark["metrics"][0]["count"], 4 - undefined);
    assert_eq!(benchmark["metrics"][1]["count"], 4, "the other metric does without a judge");
}

#[test]
fn a_verdict_that_is_nothing_but_one_counts() {
    let (benchmark, samples) = dialogue(&json!({
        "turns": ["{{ context }} {{ question }}"], "chat": true, "max_tokens": 8,
        "judge": {
            "prompt": "Question: What is the opposite of false?\nAnswer:",
            "verdicts": { "right": "true", "wrong": "war" },
        },
    }));
    for sample in &samples {
        assert_eq!(
            judged(sample),
            &json!({ "name": "judged_right", "value": 1.0, "weight": 1.0 }),
            "{sample:#}"
        );
    }
    assert_eq!(benchmark["metrics"][0]["value"], 1.0);
}
