//! What came of trying a plugin, for its author.

use std::fmt::Write;

use llm_bench_core::Json;

use crate::cli::{list, table};
use crate::view::{CallView, FailureView, MeasurementView, RehearsalView, TrialView};

/// Characters that are shown of a request or an answer: as many of its beginning as of its end.
const SHOWN: usize = 160;

pub(super) fn text(view: &RehearsalView) -> String {
    let mut text = format!("{}@{}  sha256:{}\n", view.plugin, view.version, view.digest);
    let _ = writeln!(text, "config {}", view.config);
    for sample in &view.samples {
        text.push('\n');
        text.push_str(&trial(sample));
    }
    text.push('\n');
    text.push_str(&table::metrics(&view.metrics));
    if let Some(failure) = &view.aggregation_failure {
        for shown in [&failure.backtrace, &failure.log].into_iter().flatten() {
            let _ = writeln!(text, "{}", shown.trim());
        }
    }
    let failed = view.samples.iter().filter(|sample| sample.sample.error.is_some()).count();
    let completed = view.samples.len() - failed;
    let _ = writeln!(text, "\n{completed} of {} samples completed, {failed} failed", view.rows);
    text
}

fn trial(TrialView { sample, log }: &TrialView) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    if let Some(answer) = &sample.answer {
        lines.push(("answer", format!("{answer:?}")));
    }
    for passage in &sample.passages {
        lines.push(("passage", format!("{} ({}) {:?}", passage.id, passage.score, shorten(&passage.text))));
    }
    if !sample.detail.is_null() {
        lines.push(("detail", sample.detail.to_string()));
    }
    if sample.target.as_object().is_some_and(|target| !target.is_empty()) {
        lines.push(("gold", sample.target.to_string()));
    }
    lines.extend(sample.metrics.iter().map(|measurement| ("measured", measured(measurement))));
    if let Some(failure) = &sample.error {
        lines.push(("failure", failed(failure)));
        lines.extend(failure.backtrace.iter().map(|backtrace| ("backtrace", backtrace.clone())));
    }
    lines.extend(sample.calls.iter().map(|call| ("call", asked(call))));
    lines.extend(log.iter().map(|log| ("log", log.trim().to_owned())));
    let used = format!(
        "{} fuel, peak memory {}, {} host calls",
        sample.fuel,
        table::bytes(sample.peak_memory_bytes),
        sample.host_calls
    );
    lines.push(("used", used));

    let mut text = format!("sample {} {} in {:.1} ms\n", sample.id, sample.status, sample.duration_ms);
    for (name, content) in lines {
        let mut name = name;
        for line in content.lines() {
            let _ = writeln!(text, "  {name:<9} {line}");
            name = "";
        }
    }
    text
}

fn measured(measurement: &MeasurementView) -> String {
    let mut text = table::metric_name(&measurement.name, measurement.filter.as_deref());
    match measurement.value {
        Some(value) => {
            let _ = write!(text, " {value}");
        }
        None => text.push_str(" undefined"),
    }
    if measurement.weight != 1.0 {
        let _ = write!(text, ", weight {}", measurement.weight);
    }
    if let Some(reason) = &measurement.reason {
        let _ = write!(text, ": {reason}");
    }
    text
}

fn failed(failure: &FailureView) -> String {
    format!("{} in {}: {}", failure.kind, list::word(&failure.phase), failure.message)
}

/// Each request with what it was answered.
fn asked(call: &CallView) -> String {
    let phase = call.phase.map_or(String::new(), |phase| format!(", {}", list::word(&phase)));
    let mut text = format!("{} of {}{phase}", call.kind, call.part);
    let nothing = Vec::new();
    let requests = call.request.as_array().unwrap_or(&nothing);
    let responses = call.response.as_array().unwrap_or(&nothing);
    for (place, request) in requests.iter().enumerate() {
        let _ = write!(text, "\n{}", shorten(&brief(request)));
        if let Some(response) = responses.get(place) {
            let _ = write!(text, "\n  → {}", shorten(&brief(response)));
        }
    }
    // One `rank` request has an answer for each of its documents.
    if responses.len() > requests.len() {
        let _ = write!(text, "\n  → {}", shorten(&call.response.to_string()));
    }
    if let Some(error) = &call.error {
        let _ = write!(text, "\n  → error: {error}");
    }
    text
}

/// The texts of a request or an answer: all of it where it is of another shape.
fn brief(value: &Json) -> String {
    let prompt = |value: &Json| match (&value["text"], &value["chat"]["messages"]) {
        (Json::String(text), _) => Some(format!("{text:?}")),
        (_, Json::Array(messages)) => {
            let turn =
                |message: &Json| Some(format!("{}: {}", message["role"].as_str()?, message["content"]));
            Some(messages.iter().filter_map(turn).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    let found = match (&value["prompt"], &value["context"]) {
        (Json::Null, Json::Null) => prompt(value),
        (Json::Null, context) => {
            prompt(context).map(|context| format!("{context} {}", value["continuation"]))
        }
        (asked, _) => prompt(asked),
    };
    found.unwrap_or_else(|| value.to_string())
}

/// Its beginning and its end, where a question most often stands.
fn shorten(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(SHOWN / 2).collect();
    let end: String = text.chars().skip(count - SHOWN / 2).collect();
    format!("{beginning} … {end}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_long_request_its_beginning_and_its_end_are_shown() {
        let text = format!("Q: {}?", "x".repeat(500));
        let shown = shorten(&text);
        assert!(shown.starts_with("Q: xx") && shown.ends_with("xx?") && shown.contains(" … "), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN + 3);
        assert_eq!(shorten("short"), "short");
    }

    #[test]
    fn requests_and_answers_are_shown_by_their_texts() {
        let messages = json!([{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]);
        let cases = [
            (json!({"prompt": {"text": "a\nb"}, "sampling": {}}), r#""a\nb""#),
            (json!({"prompt": {"chat": {"messages": messages}}}), r#"user: "2 + 2?" assistant: "4""#),
            (json!({"context": {"text": "a"}, "continuation": " b"}), r#""a" " b""#),
            (json!({"text": "4", "finish_reason": "stop"}), r#""4""#),
            (json!({"sum": -1.5, "tokens": 1}), r#"{"sum":-1.5,"tokens":1}"#),
            (json!("bare"), r#""bare""#),
        ];
        for (value, expected) in cases {
            assert_eq!(brief(&value), expected);
        }
    }
}
