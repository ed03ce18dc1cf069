//! The same task in two languages: what is recorded for one answers the other, and both make the same of it.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{build_project, copy_folder, json_of, run, stderr_of, target_folder};

/// The plugin in Rust by its name, and a component of the one in Python.
struct Both {
    data: tempfile::TempDir,
    in_python: String,
}

/// A file of the example.
fn example(file: &str) -> String {
    format!("{}/../plugins/dialogue/{file}", env!("CARGO_MANIFEST_DIR"))
}

impl Both {
    fn build() -> Self {
        let data = tempfile::tempdir().unwrap();
        let project = data.path().join("dialogue-in-python");
        std::fs::create_dir(&project).unwrap();
        for entry in std::fs::read_dir(example("python")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, project.join(path.file_name().unwrap())).unwrap();
            }
        }
        copy_folder(example("python/wit").as_ref(), &project.join("wit"));
        let component = build_project(&project);
        Self { in_python: component.to_str().unwrap().to_owned(), data }
    }

    /// What both print, the Rust one first.
    fn each(&self, arguments: impl Fn(&str) -> Vec<String>) -> [Output; 2] {
        ["dialogue", &self.in_python].map(|plugin| {
            let arguments = arguments(plugin);
            run(self.data.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// Tries both on the same rows, answers and config; gives what the first made of it, after comparing.
    #[track_caller]
    fn agree(&self, rows: &str, answers: &str, config: &Value) -> Value {
        let tried = self.each(|plugin| {
            let config = config.to_string();
            let arguments = ["plugin", "run", plugin, "--data", rows, "--answers", answers, "--config"];
            [&arguments[..], &[&config, "--format", "json"]]
                .concat()
                .iter()
                .map(ToString::to_string)
                .collect()
        });
        let [in_rust, in_python] = tried.map(|output| -> Value {
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr_of(&output)))
        });
        assert_eq!(in_python["metrics"], in_rust["metrics"]);
        assert_eq!(results(&in_python["samples"]), results(&in_rust["samples"]));
        in_rust
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// What a plugin decides of its samples: what it asked, solved and measured, and how it failed.
fn results(samples: &Value) -> Vec<Value> {
    let result = |sample: &Value| {
        let fields = ["id", "status", "answer", "passages", "detail", "metrics"].map(|field| &sample[field]);
        let asked: Vec<_> = sample["calls"].as_array().unwrap().iter().map(|call| &call["request"]).collect();
        let failed = &sample["error"];
        // Two template engines word their refusals each in its own way.
        let message = failed["message"].as_str().map(|message| message.split(':').next().unwrap());
        json!([fields, asked, [&failed["kind"], &failed["phase"], &json!(message)]])
    };
    samples.as_array().unwrap().iter().map(result).collect()
}

#[test]
fn a_dialogue_in_python_asks_and_measures_what_the_one_in_rust_does() {
    let both = Both::build();
    both.are_described_alike();
    both.read_verdicts_alike();
    both.refuse_odd_rows_alike();
    both.follow_a_config_alike();
    both.answer_from_the_same_record();
    both.refuse_odd_configs_alike();
}

impl Both {
    fn are_described_alike(&self) {
        let checked = self.each(|plugin| {
            let built_in = target_folder().join("share/llm-bench/plugins/dialogue.wasm");
            let file = if plugin == "dialogue" { built_in.to_str().unwrap() } else { plugin };
            ["plugin", "check", file, "--format", "json"].map(ToOwned::to_owned).into()
        });
        let [in_rust, in_python] = checked.map(|output| json_of(&output));
        assert_eq!((&in_python["name"], &in_python["notes"]), (&json!("dialogue-in-python"), &json!([])));
        for field in ["example_config", "parts", "exports", "metrics", "contract", "description"] {
            assert_eq!(in_python[field], in_rust[field], "{field}");
        }
        let defaults = |checked: &Value| -> Vec<Value> {
            let settings = checked["config_schema"]["properties"].as_object().unwrap();
            let setting =
                |(name, schema): (&String, &Value)| json!([name, schema["default"], schema["x-gold"]]);
            settings.iter().map(setting).collect()
        };
        assert_eq!(defaults(&in_python), defaults(&in_rust));
    }

    /// Of those that can be read, and of others.
    fn read_verdicts_alike(&self) {
        let tried = self.agree(&example("rows.jsonl"), &example("answers.jsonl"), &json!({}));
        for (place, share, count) in [(0, 1.0 / 3.0, 3), (1, 4.0 / 6.0, 6)] {
            let measured = &tried["metrics"][place];
            assert!((measured["value"].as_f64().unwrap() - share).abs() < 1e-9, "{measured:#}");
            assert_eq!(measured["count"], count, "{measured:#}");
        }
    }

    fn refuse_odd_rows_alike(&self) {
        let odd = [
            json!({ "answer": "Paris" }),
            json!({ "question": "What is the capital of France?" }),
            json!({ "question": "What is the capital of France?", "answer": { "a": [1, "é"] } }),
            json!({ "question": "What is the capital of France?", "answer": [] }),
            json!({ "question": "How much is it?", "answer": "Paris" }),
        ];
        let odd = self.write("odd.jsonl", &odd.map(|row| format!("{row}\n")).concat());
        let tried = self.agree(&odd, &example("answers.jsonl"), &json!({}));
        let samples = tried["samples"].as_array().unwrap();
        let kinds: Vec<_> = samples.iter().map(|sample| &sample["error"]["kind"]).collect();
        let invalid = "invalid-sample";
        assert_eq!(json!(kinds), json!([invalid, invalid, invalid, invalid, "not-recorded"]));
    }

    /// Of which every setting is another; both models are spoken to by their chat templates.
    fn follow_a_config_alike(&self) {
        let turn = "{{ question.strip() | regex_replace('(\\\\w+)\\\\?', '<\\\\1>') }} {{ sure }}";
        let config = json!({
            "turns": [turn, "{{ none }}?\n"], "chat": true, "instructions": "Be brief.", "answer": "right",
            "until": ["."], "max_tokens": 3,
            "judge": {
                "prompt": "{{ last_answer }}|{{ gold }}|{{ dialogue }}", "chat": true, "until": [], "max_tokens": 2,
                "verdicts": { "right": "relevant", "wrong": "not relevant" },
            },
        });
        let row = json!({ "question": " Is it far? ", "sure": true, "none": null, "right": 7.5 });
        let rows = self.write("chat.jsonl", &format!("{row}\n"));
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let first = [message("system", "Be brief."), message("user", "Is it <far> True")];
        let second = [&first[..], &[message("assistant", "7.5 km"), message("user", "None?\n")]].concat();
        let shown = "> 7.50|7.5|> System: Be brief.\n> User: Is it <far> True\n> Assistant: 7.5 km\n> User: None?\n> \n> Assistant: 7.50";
        let call = |part: &str, messages: &[Value], max_tokens: u32, stop: &[&str], said: &str| {
            let sampling = json!({ "max_tokens": max_tokens, "temperature": 0.0, "stop": stop });
            let request = json!([{ "prompt": { "chat": { "messages": messages } }, "sampling": sampling }]);
            json!({ "kind": "generate", "part": part, "request": request, "response": [said] }).to_string()
                + "\n"
        };
        let calls = [
            call("subject", &first, 3, &["."], "\t7.5 km "),
            call("subject", &second, 3, &["."], "7.50"),
            call("judge", &[message("user", shown)], 2, &[], "Not relevant"),
        ];
        let tried = self.agree(&rows, &self.write("said.jsonl", &calls.concat()), &config);
        assert_eq!(tried["metrics"][0]["value"], 0.0, "{tried:#}");
        assert_eq!(tried["metrics"][1]["value"], 1.0, "{tried:#}");
    }

    /// What one asked of a model.
    fn answer_from_the_same_record(&self) {
        let recorded = self.data.path().join("recorded.jsonl").to_str().unwrap().to_owned();
        let asking = ["--model", "tiny-llama", "--part", "judge=tiny-llama", "--samples", &recorded];
        let task = ["plugin", "run", "dialogue", "--data", "reading", "--limit", "4", "--format", "json"];
        json_of(&run(self.data.path(), &[&task[..], &asking].concat()));
        let replayed = self.agree("reading", &recorded, &json!({}));
        assert!(replayed["samples"][3]["error"].is_null(), "{:#}", replayed["samples"][3]);
    }

    /// In the same words, but for those of the template engines.
    fn refuse_odd_configs_alike(&self) {
        for config in [
            json!({ "turns": [] }),
            json!({ "max_tokens": 0 }),
            json!({ "judge": { "until": [""] } }),
            json!({ "judge": { "verdicts": { "right": "Yes", "wrong": "yes" } } }),
            json!({ "judge": { "verdict": "yes" } }),
            json!({ "turns": ["{% if %}"] }),
        ] {
            let refused = self.each(|plugin| {
                let [rows, answers, config] =
                    [example("rows.jsonl"), example("answers.jsonl"), config.to_string()];
                ["plugin", "run", plugin, "--data", &rows, "--answers", &answers, "--config", &config]
                    .map(ToOwned::to_owned)
                    .into()
            });
            let [in_rust, in_python] = refused.map(|output| {
                assert_eq!(output.status.code(), Some(2), "{config}");
                let said = stderr_of(&output).replace("dialogue-in-python", "dialogue");
                match said.split_once("template: ") {
                    Some((place, _)) => place.to_owned(),
                    None => said,
                }
            });
            assert_eq!(in_python, in_rust, "{config}");
        }
    }
}
