//! Text metrics against values of the reference implementations, which `golden/record_text_metrics.py` records.

use std::path::Path;

use llm_bench_plugin_sdk::text::{
    Bleu, BleuTokenizer, Chrf, ExactMatch, Rouge, contains, count_words, is_space, squad_exact_match,
    squad_f1, squad_normalize, strip,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A section of the fixture.
fn golden<T: DeserializeOwned>(section: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/text_metrics.json");
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let mut sections: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("the fixture is JSON");
    let section = sections.remove(section).expect("the fixture has the section");
    serde_json::from_value(section).expect("the section has the shape of its cases")
}

#[track_caller]
fn close(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{what}: {got}, not {expected}");
}

#[derive(Deserialize)]
struct TextCase {
    hypothesis: String,
    references: Vec<String>,
    bleu: f64,
    bleu_lowercase: f64,
    bleu_char: f64,
    bleu_none: f64,
    bleu_counts: (u64, u64, [u64; 4], [u64; 4]),
    brevity_penalty: f64,
    chrf: f64,
    chrf_plus_plus: f64,
    chrf_lowercase: f64,
    chrf_whitespace: f64,
    chrf_orders: f64,
    rouge: RougeCase,
}

#[derive(Deserialize)]
struct RougeCase {
    rouge1: [f64; 3],
    rouge2: [f64; 3],
    #[serde(rename = "rougeL")]
    l: [f64; 3],
    #[serde(rename = "rougeLsum")]
    l_sum: [f64; 3],
}

impl TextCase {
    fn references(&self) -> impl Iterator<Item = &str> + Clone {
        self.references.iter().map(String::as_str)
    }
}

#[test]
fn bleu_of_one_text_is_sacrebleus() {
    let default = Bleu::default();
    let lowercase = Bleu { lowercase: true, ..default };
    let characters = Bleu { tokenizer: BleuTokenizer::Characters, ..default };
    let white_space = Bleu { tokenizer: BleuTokenizer::WhiteSpace, ..default };
    for case in golden::<Vec<TextCase>>("texts") {
        for (name, bleu, expected) in [
            ("13a", default, case.bleu),
            ("lowercase", lowercase, case.bleu_lowercase),
            ("char", characters, case.bleu_char),
            ("none", white_space, case.bleu_none),
        ] {
            let what = format!("{name}: {:?}", case.hypothesis);
            close(bleu.sentence(&case.hypothesis, case.references()), expected, &what);
        }
        let counts = default.counts(&case.hypothesis, case.references());
        let got = (counts.hypothesis_words, counts.reference_words, counts.matches, counts.totals);
        assert_eq!(got, case.bleu_counts, "{:?}", case.hypothesis);
        close(counts.brevity_penalty(), case.brevity_penalty, &case.hypothesis);
    }
}

#[test]
fn chrf_of_one_text_is_sacrebleus() {
    let default = Chrf::default();
    let lowercase = Chrf { lowercase: true, ..default };
    let whitespace = Chrf { whitespace: true, ..default };
    let orders = Chrf { character_order: 3, word_order: 1, beta: 1, ..default };
    for case in golden::<Vec<TextCase>>("texts") {
        for (name, chrf, expected) in [
            ("chrf", default, case.chrf),
            ("chrf++", Chrf::plus_plus(), case.chrf_plus_plus),
            ("lowercase", lowercase, case.chrf_lowercase),
            ("whitespace", whitespace, case.chrf_whitespace),
            ("orders", orders, case.chrf_orders),
        ] {
            let what = format!("{name}: {:?}", case.hypothesis);
            close(chrf.sentence(&case.hypothesis, case.references()), expected, &what);
        }
    }
}

#[test]
fn rouge_is_rouge_scores() {
    for case in golden::<Vec<TextCase>>("texts") {
        for (rouge, expected) in [
            (Rouge::One, case.rouge.rouge1),
            (Rouge::Two, case.rouge.rouge2),
            (Rouge::L, case.rouge.l),
            (Rouge::LSum, case.rouge.l_sum),
        ] {
            let score = rouge.score(&case.hypothesis, case.references());
            let what = format!("{rouge:?}: {:?}", case.hypothesis);
            for (got, expected) in [score.precision, score.recall, score.f1].into_iter().zip(expected) {
                close(got, expected, &what);
            }
        }
    }
}

#[derive(Deserialize)]
struct CorpusCase {
    texts: Vec<usize>,
    bleu: f64,
    bleu_char: f64,
    chrf: f64,
    chrf_plus_plus: f64,
}

#[test]
fn scores_of_a_corpus_are_sacrebleus_whatever_the_number_of_references() {
    let texts: Vec<TextCase> = golden("texts");
    let corpora: Vec<CorpusCase> = golden("corpora");
    for corpus in corpora {
        let chosen =
            || corpus.texts.iter().map(|text| (texts[*text].hypothesis.as_str(), texts[*text].references()));
        let what = format!("{:?}", corpus.texts);
        close(Bleu::default().corpus(chosen()), corpus.bleu, &what);
        let characters = Bleu { tokenizer: BleuTokenizer::Characters, ..Bleu::default() };
        close(characters.corpus(chosen()), corpus.bleu_char, &what);
        close(Chrf::default().corpus(chosen()), corpus.chrf, &what);
        close(Chrf::plus_plus().corpus(chosen()), corpus.chrf_plus_plus, &what);
    }
}

#[test]
fn without_references_or_texts_there_is_no_score() {
    let none: [&str; 0] = [];
    assert_eq!(Bleu::default().sentence("a b c d", none), 0.0);
    assert_eq!(Chrf::plus_plus().sentence("a b c d", none), 0.0);
    assert_eq!(Rouge::L.score("a b c d", none).f1, 0.0);
    let nothing: [(&str, [&str; 1]); 0] = [];
    assert_eq!(Bleu::default().corpus(nothing), 0.0);
    assert_eq!(Chrf::default().corpus(nothing), 0.0);
    assert_eq!(Rouge::LSum.corpus(nothing).f1, 0.0);
}

#[derive(Deserialize)]
struct ExactMatchCase {
    answer: String,
    targets: Vec<String>,
    options: ExactMatch,
    matches: bool,
}

#[test]
fn exact_match_is_lm_evals() {
    for case in golden::<Vec<ExactMatchCase>>("exact_match") {
        let targets = case.targets.iter().map(String::as_str);
        let matches = case.options.matches(&case.answer, targets);
        assert_eq!(matches, case.matches, "{:?}, {:?}, {:?}", case.answer, case.targets, case.options);
    }
}

#[derive(Deserialize)]
struct SquadCase {
    answer: String,
    targets: Vec<String>,
    normal: String,
    exact_match: bool,
    f1: f64,
}

#[test]
fn squad_scores_are_those_of_its_scorer() {
    for case in golden::<Vec<SquadCase>>("squad") {
        let targets = || case.targets.iter().map(String::as_str);
        assert_eq!(squad_normalize(&case.answer), case.normal);
        assert_eq!(squad_exact_match(&case.answer, targets()), case.exact_match, "{:?}", case.answer);
        close(squad_f1(&case.answer, targets()), case.f1, &case.answer);
    }
}

#[derive(Deserialize)]
struct ContainsCase {
    answer: String,
    targets: Vec<String>,
    contains: bool,
}

#[test]
fn contains_is_lm_evals() {
    for case in golden::<Vec<ContainsCase>>("contains") {
        let targets = case.targets.iter().map(String::as_str);
        assert_eq!(contains(&case.answer, targets), case.contains, "{:?}, {:?}", case.answer, case.targets);
    }
    assert!(!contains("anything", []));
}

#[derive(Deserialize)]
struct WhiteSpaceCase {
    text: String,
    strip: String,
    words: usize,
}

#[test]
fn white_space_is_pythons() {
    let spaces: Vec<u32> = golden("spaces");
    let ours: Vec<u32> = ('\0'..=char::MAX).filter(|c| is_space(*c)).map(u32::from).collect();
    assert_eq!(ours, spaces);
    for case in golden::<Vec<WhiteSpaceCase>>("white_space") {
        assert_eq!(strip(&case.text), case.strip);
        assert_eq!(count_words(&case.text), case.words, "{:?}", case.text);
    }
}
