//! Recorded calls as JSON, read back: what `--samples` writes, and what an author writes.

use llm_bench_core::answers::Answers;
use llm_bench_core::model::{ModelRequest, ModelResponse, Timings, TokenUsage};
use llm_bench_core::sample::{CallOutcome, ModelCall, Passage, Phase, Solution};
use llm_bench_core::{Error, ErrorKind, Json, Result, Row};
use serde::Deserialize;
use serde_json::json;

use super::{CallView, PassageView};

/// A sample as far as it answers.
#[derive(Deserialize)]
struct AnsweredSample {
    id: Json,
    #[serde(default)]
    answer: Option<String>,
    #[serde(default)]
    passages: Vec<PassageView>,
    #[serde(default)]
    detail: Option<Json>,
    #[serde(default)]
    calls: Vec<CallView>,
}

/// Reads JSON values one after the other, most often one a line: samples with their calls, single calls, or a document
/// that holds samples, as `plugin run --format json` prints it and as the API pages them.
///
/// # Errors
/// `invalid-answers` names the place and the line.
pub(crate) fn read_answers(text: &str, place: &str) -> Result<Answers> {
    let invalid =
        |reason: String| Error::invalid("invalid-answers", format!("the answers in `{place}`: {reason}"));
    let mut answers = Answers::default();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    loop {
        let before = values.byte_offset();
        let Some(value) = values.next() else { break };
        let value = value.map_err(|error| invalid(format!("not JSON: {error}")))?;
        add(&mut answers, value).map_err(|reason| {
            let rest = &text[before..];
            let begins = before + (rest.len() - rest.trim_start().len());
            let line = 1 + text[..begins].matches('\n').count();
            invalid(format!("line {line}: {reason}"))
        })?;
    }
    if answers.is_empty() {
        return Err(invalid("there are none".to_owned()));
    }
    Ok(answers)
}

fn add(answers: &mut Answers, mut value: Json) -> Result<(), String> {
    for name in ["samples", "items"] {
        if let Some(Json::Array(samples)) = value.get_mut(name) {
            return samples.drain(..).try_for_each(|sample| add(answers, sample));
        }
    }
    if value.get("kind").is_some() {
        let view: CallView = serde_json::from_value(value).map_err(|error| format!("a call: {error}"))?;
        answers.add_call(ModelCall::try_from(view)?);
        return Ok(());
    }
    if value.get("id").is_none() {
        return Err(
            "neither a sample, which has `id` and `calls`, nor a model call, which has `kind` and `part`"
                .to_owned(),
        );
    }
    // A sample that failed before it had a solution says so by its error's phase.
    let is_solved = value["error"].is_null() || value["error"]["phase"] == "score";
    let has_solution =
        is_solved && ["answer", "passages", "detail"].iter().any(|name| value.get(*name).is_some());
    let sample: AnsweredSample =
        serde_json::from_value(value).map_err(|error| format!("a sample: {error}"))?;
    let AnsweredSample { id, answer, passages, detail, calls } = sample;
    let index = match &id {
        Json::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let index = index.ok_or_else(|| format!("the id {id} is not the number of a row, counted from 0"))?;
    let calls = calls.into_iter().enumerate().map(|(place, call)| {
        ModelCall::try_from(call).map_err(|reason| format!("sample {index}, call {place}: {reason}"))
    });
    let calls = calls.collect::<Result<_, String>>()?;
    let passages =
        passages.into_iter().map(|PassageView { id, text, score }| Passage { id, text, score }).collect();
    answers.add_sample(index, has_solution.then_some(Solution { answer, passages, detail }), calls);
    Ok(())
}

impl TryFrom<CallView> for ModelCall {
    type Error = String;

    fn try_from(view: CallView) -> Result<Self, String> {
        let CallView { kind, phase, part, request, response, error, error_code, error_kind, .. } = view;
        let of_call = |what: &str, reason: String| format!("the {what} of a `{kind}` call: {reason}");
        let request = request_of(&kind, request).map_err(|reason| of_call("request", reason))?;
        let outcome = if let Some(message) = error {
            CallOutcome::Error {
                kind: error_kind.unwrap_or(ErrorKind::Unavailable),
                code: error_code.unwrap_or_else(|| "model-failed".to_owned()),
                message,
            }
        } else {
            let response = response_of(&kind, response).map_err(|reason| of_call("response", reason))?;
            let (asked, answered) = (request.len(), response.len());
            if asked != answered {
                let reason = format!("it has {answered} answers to {asked} requests");
                return Err(of_call("response", reason));
            }
            CallOutcome::Response(response)
        };
        let (tokens, timings) = (view.tokens, view.timings);
        Ok(Self {
            phase: phase.unwrap_or(Phase::Solve),
            part,
            request,
            outcome,
            tokens: TokenUsage { prompt: tokens.prompt, completion: tokens.completion },
            timings: timings.map_or_else(Timings::default, |timings| Timings {
                queue_ms: timings.queue_ms,
                tokenize_ms: timings.tokenize_ms,
                prefill_ms: timings.prefill_ms,
                decode_ms: timings.decode_ms,
            }),
            is_cached: view.cached,
            key: None,
        })
    }
}

fn request_of(kind: &str, mut request: Json) -> Result<ModelRequest, String> {
    let Json::Array(requests) = &mut request else {
        return Err("it is a list of requests, also where there is one".to_owned());
    };
    for request in requests.iter_mut() {
        // A prompt may be a bare text, and settings that are all the model's own may be left out.
        let prompt = if kind == "log-likelihood" { "context" } else { "prompt" };
        if let Some(prompt @ Json::String(_)) = request.get_mut(prompt) {
            *prompt = json!({ "text": prompt.take() });
        }
        if let (Json::Object(request), "generate") = (request, kind) {
            request.entry("sampling").or_insert_with(|| Json::Object(Row::new()));
        }
    }
    // The one request of a `rank` call stands in a list like those of others.
    let request = if kind == "rank" { requests.pop().unwrap_or_default() } else { request };
    serde_json::from_value(json!({ "kind": kind, "request": request })).map_err(|error| error.to_string())
}

fn response_of(kind: &str, mut response: Json) -> Result<ModelResponse, String> {
    let Json::Array(answers) = &mut response else {
        return Err("it is a list with an answer to each request, or there is an `error`".to_owned());
    };
    if kind == "generate" {
        for answer in answers {
            // A generation may be a bare text.
            if answer.is_string() {
                *answer = json!({ "text": answer.take() });
            }
            if let Json::Object(generation) = answer {
                generation.entry("finish_reason").or_insert_with(|| json!("stop"));
                for tokens in ["prompt_tokens", "completion_tokens"] {
                    generation.entry(tokens).or_insert_with(|| json!(0));
                }
            }
        }
    }
    serde_json::from_value(json!({ "kind": kind, "response": response })).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = read_answers(text, "calls.jsonl").unwrap_err();
        assert_eq!(error.code, "invalid-answers");
        error.message
    }

    #[test]
    fn a_call_survives_the_way_to_json_and_back() {
        let calls = [
            json!({"kind": "generate", "part": "subject", "request": [{"prompt": "a"}], "response": ["b"]}),
            json!({"kind": "log-likelihood", "part": "subject",
                "request": [{"context": "a", "continuation": " b"}],
                "response": [{"sum": "-Infinity", "is_greedy": false, "tokens": 1}]}),
            json!({"kind": "rank", "part": "judge", "phase": "score",
                "request": [{"query": "a", "documents": ["b", "c"]}], "response": [0.5, 0.25]}),
            json!({"kind": "count-tokens", "part": "subject", "request": ["a b"], "response": [2]}),
            json!({"kind": "embed", "part": "embedder", "request": ["a"], "error": "no", "error_code": "x",
                "error_kind": "unsupported"}),
        ];
        for call in calls {
            let call = ModelCall::try_from(serde_json::from_value::<CallView>(call).unwrap()).unwrap();
            assert_eq!(ModelCall::try_from(CallView::from(call.clone())).unwrap(), call);
        }
    }

    #[test]
    fn answers_stand_alone_in_samples_and_in_documents_of_samples() {
        let call = r#"{"kind": "count-tokens", "part": "subject", "request": ["a"], "response": [1]}"#;
        let sample = format!(r#"{{"id": "0", "calls": [{call}]}}"#);
        let forms = [
            call.to_owned(),
            sample.clone(),
            format!("{call}\n{sample}\n\n{sample}"),
            format!(r#"{{"items": [{sample}], "next": null}}"#),
            format!("{{\n  \"plugin\": \"x\",\n  \"samples\": [{sample}]\n}}\n"),
        ];
        for form in forms {
            assert!(!read_answers(&form, "calls.jsonl").unwrap().is_empty(), "{form}");
        }
        assert!(refusal(r#"{"items": [], "next": null}"#).contains("there are none"));
    }

    #[test]
    fn what_cannot_be_an_answer_is_refused_by_its_line() {
        let good = r#"{"kind": "count-tokens", "part": "subject", "request": ["a"], "response": [1]}"#;
        let bad = [
            ("{ broken", "not JSON"),
            ("7", "line 3: neither a sample"),
            (r#"{"id": "x"}"#, "line 3: the id \"x\" is not the number of a row"),
            (r#"{"kind": "sing", "part": "a", "request": [], "response": []}"#, "unknown variant `sing`"),
            (r#"{"kind": "embed", "part": "a", "request": ["a"]}"#, "or there is an `error`"),
            (
                r#"{"kind": "embed", "part": "a", "request": ["a"], "response": []}"#,
                "0 answers to 1 requests",
            ),
            (r#"{"id": 4, "calls": [{"kind": "embed", "part": "a", "request": "a"}]}"#, "sample 4, call 0"),
        ];
        for (line, expected) in bad {
            let message = refusal(&format!("{good}\n\n{line}\n"));
            assert!(message.contains(expected) && message.contains("calls.jsonl"), "{message}");
        }
        assert!(refusal("").contains("there are none"));
    }
}
