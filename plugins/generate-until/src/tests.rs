use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use llm_bench_plugin_sdk::Generation;
use llm_bench_plugin_sdk::testing::{self, Case, ScriptedModel};

use super::*;

/// Always says the same, and remembers what it was asked.
#[derive(Clone)]
struct Says(&'static str, Rc<RefCell<Vec<GenerationRequest>>>);

impl Says {
    fn text(text: &'static str) -> Self {
        Self(text, Rc::default())
    }
}

impl ScriptedModel for Says {
    fn generate(&self, request: &GenerationRequest) -> Result<Generation> {
        self.1.borrow_mut().push(request.clone());
        Ok(testing::generation(self.0))
    }
}

fn capital(config: Value) -> Case {
    Case {
        config,
        examples: vec![(json!({"question": "Italy?"}), json!({"answer": ["Rome", "Roma"]}))],
        input: json!({"question": "France?"}),
        target: json!({"answer": ["Paris", "City of Light"]}),
        ..Case::default()
    }
}

fn measure(says: &'static str, config: Value) -> Vec<Measurement> {
    let _subject = testing::bind("subject", Says::text(says));
    let case = capital(config);
    let solution = case.solve::<GenerateUntil>().unwrap();
    case.score::<GenerateUntil>(&solution).unwrap()
}

#[test]
fn the_prompt_shows_the_first_right_answer_of_each_example() {
    let model = Says::text(" Paris");
    let _subject = testing::bind("subject", model.clone());
    capital(json!({"seed": 7})).solve::<GenerateUntil>().unwrap();
    let asked = &model.1.borrow()[0];
    assert_eq!(asked.prompt, "Question: Italy?\nAnswer: Rome\n\nQuestion: France?\nAnswer:".into());
    let expected = Sampling { seed: Some(7), ..Sampling::greedy(64).until(["\n"]) };
    assert_eq!(asked.sampling, expected);
}

#[test]
fn white_space_around_the_answer_is_ignored_unless_it_should_count() {
    assert_eq!(measure(" Paris\u{1f}", json!({})), [Measurement::of("exact_match", true)]);
    assert_eq!(measure(" Paris", json!({"strip": false})), [Measurement::of("exact_match", false)]);
}

#[test]
fn any_right_answer_counts() {
    let measured = measure("the city of light!", json!({"metrics": ["exact_match", "em", "f1"]}));
    assert_eq!(
        measured.iter().map(|measurement| measurement.value).collect::<Vec<_>>(),
        [Some(0.0), Some(1.0), Some(1.0)]
    );
}

#[test]
fn an_answer_may_contain_a_right_one() {
    let contains = |says| measure(says, json!({"metrics": ["contains"]}))[0].value;
    assert_eq!(contains("It is paris, of course"), Some(1.0));
    assert_eq!(contains("It is Bonn"), Some(0.0));
}

#[test]
fn a_template_may_take_the_right_answer_out_of_the_gold_column() {
    let model = Says::text("42");
    let _subject = testing::bind("subject", model.clone());
    let case = Case {
        config: json!({"target": "{{ answer.split('#### ')[-1] }}{{ unit }}"}),
        examples: vec![(json!({"question": "1?", "unit": "m"}), json!({"answer": "so #### 1"}))],
        input: json!({"question": "2?", "unit": ""}),
        target: json!({"answer": "thus #### 42"}),
        ..Case::default()
    };
    let solution = case.solve::<GenerateUntil>().unwrap();
    assert_eq!(model.1.borrow()[0].prompt, "Question: 1?\nAnswer: 1m\n\nQuestion: 2?\nAnswer:".into());
    assert_eq!(case.score::<GenerateUntil>(&solution).unwrap()[0].value, Some(1.0));
}

#[test]
fn an_example_that_does_not_fit_is_named_by_its_number() {
    let _subject = testing::bind("subject", Says::text("42"));
    let good = (json!({"question": "1?"}), json!({"answer": "1"}));
    let bad = (json!({"query": "2?"}), json!({"answer": "2"}));
    let case = Case { examples: vec![good, bad], ..capital(json!({})) };
    let error = case.solve::<GenerateUntil>().unwrap_err();
    assert_eq!(
        error.message,
        "few-shot example 2: template: undefined value: `question` is undefined (line 2); the row has `query`"
    );
}

#[test]
fn each_filter_is_measured_by_its_name() {
    let config = json!({"filters": [{"name": "strict", "regex": "is (\\w+)"}, {"name": "last", "regex": "\\w+", "select": -1}]});
    let case = capital(config.clone());
    let declared: Vec<_> =
        case.metrics::<GenerateUntil>().unwrap().into_iter().map(|metric| metric.filter).collect();
    let measured = measure("It is Paris of course", config);
    assert_eq!(measured.iter().map(|measurement| measurement.filter.clone()).collect::<Vec<_>>(), declared);
    assert_eq!(measured[0].value, Some(1.0));
    assert_eq!(measured[1].value, Some(0.0));
}

#[test]
fn an_entry_of_the_gold_column_may_hold_the_answers() {
    let case = Case {
        config: json!({"answer": "answers", "answer_entry": "text"}),
        target: json!({"answers": {"text": ["42"], "answer_start": [7]}}),
        ..Case::default()
    };
    assert_eq!(case.score::<GenerateUntil>(&Solution::answer("42")).unwrap()[0].value, Some(1.0));
    let case = Case { target: json!({"answers": {"text": []}}), ..case };
    let error = case.score::<GenerateUntil>(&Solution::answer("42")).unwrap_err();
    assert_eq!(error.message, "column `answers.text`: no right answer");
}

#[test]
fn a_config_that_makes_no_sense_is_refused() {
    for config in [
        json!({"metrics": []}),
        json!({"max_tokens": 0}),
        json!({"temperature": -1.0}),
        json!({"until": [""]}),
        json!({"regexes_to_ignore": ["("]}),
        json!({"filters": [{"name": "a", "regex": "x"}, {"name": "a", "regex": "y"}]}),
        json!({"until_": []}),
    ] {
        let error = capital(config.clone()).metrics::<GenerateUntil>().unwrap_err();
        assert!(error.message.starts_with("config: "), "{config}: {error}");
    }
}

/// Never comes to an end.
struct Endless;

impl ScriptedModel for Endless {
    fn generate(&self, _request: &GenerationRequest) -> Result<Generation> {
        Ok(Generation { finish_reason: FinishReason::Length, ..testing::generation(" Paris") })
    }
}

#[test]
fn an_answer_that_did_not_end_is_judged_and_marked_unless_it_should_fail() {
    let _subject = testing::bind("subject", Endless);
    let case = capital(json!({}));
    let solution = case.solve::<GenerateUntil>().unwrap();
    let detail: Value = solution.detail_as().unwrap();
    assert_eq!(detail["cut_off"], true);
    assert_eq!(case.score::<GenerateUntil>(&solution).unwrap(), [Measurement::of("exact_match", true)]);

    let error = capital(json!({"cut_off": "fail", "max_tokens": 7})).solve::<GenerateUntil>().unwrap_err();
    assert!(error.message.starts_with("the answer did not end within 7 tokens"), "{error}");

    let _subject = testing::bind("subject", Says::text(" Paris"));
    let detail: Value =
        capital(json!({"cut_off": "fail"})).solve::<GenerateUntil>().unwrap().detail_as().unwrap();
    assert_eq!(detail["cut_off"], false);
}

/// A part of the values of sacrebleu and rouge-score that `plugin-sdk/tests/golden/record_text_metrics.py` records.
#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<GoldenText>,
    corpora: Vec<GoldenCorpus>,
}

#[derive(serde::Deserialize)]
struct GoldenText {
    hypothesis: String,
    references: Vec<String>,
    /// Precision, recall and F1 by name.
    rouge: BTreeMap<String, [f64; 3]>,
}

#[derive(serde::Deserialize)]
struct GoldenCorpus {
    texts: Vec<usize>,
    bleu: f64,
    bleu_char: f64,
    chrf: f64,
    chrf_plus_plus: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../plugin-sdk/tests/golden/text_metrics.json")).unwrap()
}

#[test]
fn rouge_is_the_f1_of_rouge_score() {
    for GoldenText { hypothesis, references, rouge } in golden().texts {
        let case = Case {
            config: json!({"metrics": rouge.keys().map(|name| name.to_lowercase()).collect::<Vec<_>>(), "strip": false}),
            target: json!({ "answer": references }),
            ..capital(json!({}))
        };
        if references.is_empty() {
            continue;
        }
        let measured = case.score::<GenerateUntil>(&Solution::answer(&hypothesis)).unwrap();
        assert_eq!(measured.len(), 4);
        for (measured, (name, [_, _, f1])) in measured.iter().zip(&rouge) {
            let value = measured.value.unwrap();
            assert!(
                measured.metric == name.to_lowercase() && (value - f1).abs() <= 1e-9,
                "{hypothesis:?}: {measured:?}, not {f1}"
            );
        }
    }
}

#[test]
fn bleu_and_chrf_of_all_answers_are_sacrebleus_corpus_scores() {
    let golden = golden();
    let plain = json!({"metrics": ["bleu", "exact_match", "chrf"], "strip": false});
    let varied = json!({
        "metrics": ["bleu", "chrf"], "strip": false, "bleu": {"tokenizer": "char"}, "chrf": {"word_order": 2},
    });
    for corpus in &golden.corpora {
        let expected =
            [(&plain, corpus.bleu, corpus.chrf), (&varied, corpus.bleu_char, corpus.chrf_plus_plus)];
        for (config, bleu, chrf) in expected {
            let samples = corpus.texts.iter().map(|text| {
                let GoldenText { hypothesis, references, .. } = &golden.texts[*text];
                let case = Case {
                    config: config.clone(),
                    target: json!({ "answer": references }),
                    ..capital(json!({}))
                };
                (case, Solution::answer(hypothesis))
            });
            let measured = testing::aggregate::<GenerateUntil>(&samples.collect::<Vec<_>>()).unwrap();
            for (measured, (name, expected)) in measured.iter().zip([("bleu", bleu), ("chrf", chrf)]) {
                let value = measured.value.unwrap();
                assert_eq!(measured.metric, name);
                assert!((value - expected).abs() <= 1e-9 * expected, "{name}: {value}, not {expected}");
            }
        }
    }
}

#[test]
fn each_way_to_read_the_answers_makes_a_corpus_of_its_own() {
    let filters =
        json!([{"name": "last", "regex": "\\w+", "select": -1}, {"name": "strict", "regex": "is (\\w+)"}]);
    let config = json!({"metrics": ["contains", "chrf"], "filters": filters});
    let samples = [(capital(config.clone()), Solution::answer("It is Paris of course"))];
    let measured = testing::aggregate::<GenerateUntil>(&samples).unwrap();
    let of = |filter: &str| measured.iter().find(|found| found.filter.as_deref() == Some(filter)).unwrap();
    assert_eq!((measured.len(), of("strict").value), (2, Some(100.0)));
    assert!(of("last").value.unwrap() < 20.0);
    // A sample has no value of a metric of the corpus.
    let scored = capital(config).score::<GenerateUntil>(&samples[0].1).unwrap();
    assert!(scored.iter().all(|measurement| measurement.metric == "contains"));
}

/// What `golden/record_lm_eval.py` records of lm-evaluation-harness.
#[derive(serde::Deserialize)]
struct Reference {
    tasks: Vec<ReferenceTask>,
}

#[derive(serde::Deserialize)]
struct ReferenceTask {
    name: String,
    config: Value,
    cases: Vec<ReferenceCase>,
}

#[derive(serde::Deserialize)]
struct ReferenceCase {
    gold: Value,
    answer: String,
    /// By each filter in turn; without filters there is one.
    readings: Vec<Reading>,
}

#[derive(serde::Deserialize)]
struct Reading {
    text: String,
    values: HashMap<String, f64>,
}

#[test]
fn answers_are_read_and_scored_as_in_the_reference() {
    let reference: Reference = serde_json::from_str(include_str!("golden/lm_eval.json")).unwrap();
    assert_eq!(reference.tasks.len(), 13);
    let mut different = Vec::new();
    for ReferenceTask { name, config, cases } in reference.tasks {
        let settings = serde_json::from_value::<Prompted<Settings>>(config.clone()).unwrap().task;
        for ReferenceCase { gold, answer, readings } in cases {
            let place = format!("{name}, {answer:?} for {gold}");
            let solution = Solution::answer(&answer);
            let case = Case { config: config.clone(), target: gold, ..Case::default() };
            let mut measured = case.score::<GenerateUntil>(&solution).unwrap().into_iter();
            assert_eq!(settings.readings().count(), readings.len(), "{place}");
            for (filter, expected) in settings.readings().zip(&readings) {
                let text = read(&settings, filter, &solution).unwrap();
                if text != expected.text {
                    different.push(format!("{place}: {text:?} is read, not {:?}", expected.text));
                }
                assert_eq!(settings.metrics.len(), expected.values.len(), "{place}");
                for judgement in &settings.metrics {
                    let found = measured.next().unwrap();
                    let filter = filter.map(|filter| filter.name.clone());
                    assert_eq!(
                        (found.metric.as_str(), &found.filter),
                        (judgement.name(), &filter),
                        "{place}"
                    );
                    let (value, expected) = (found.value.unwrap(), expected.values[judgement.name()]);
                    if (value - expected).abs() > 1e-12 {
                        different.push(format!("{place}: {} is {value}, not {expected}", found.metric));
                    }
                }
            }
            assert!(measured.next().is_none(), "{place}");
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
