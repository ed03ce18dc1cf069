//! Prefixes that are computed once must not change what comes out: for every family of graphs, the fast paths are held
//! against the slow one.

use futures::future::join_all;
use llm_bench_core::model::{GenerationRequest, LogLikelihood, Sampling, ScoringRequest};
use llm_bench_runner::{Execution, OnnxRunner, RunnerConfig};

use crate::support::{
    FIXTURES, HALF_PRECISION, Loaded, QUANTISED, copy_of, fixture, greedy, library, load, loaded,
    loaded_row_by_row, loaded_unshared, pair, runner,
};

/// Stands before every question: long enough to be worth sharing.
const EXAMPLES: &str = "Paris is the capital of France. Berlin is the capital of Germany. Question: what is two plus two? Answer: four.";

const QUESTIONS: [&str; 6] = [
    " Question: what is three plus one? Answer:",
    " Question: what is two plus one? Answer:",
    " Rome is the capital of",
    " The dog sleeps, and the fox",
    " She",
    " The quick brown fox jumps over the lazy dog. Berlin is the",
];

/// Some begin alike, some are of one token, two differ in the last token only.
const CHOICES: [&str; 5] = [" four.", " four dogs", " Germany", " sea shells by", " sea shells she"];

fn questions() -> Vec<ScoringRequest> {
    QUESTIONS
        .iter()
        .flat_map(|question| CHOICES.iter().map(move |choice| pair(&format!("{EXAMPLES}{question}"), choice)))
        .collect()
}

fn prompts() -> Vec<GenerationRequest> {
    let prompts = QUESTIONS.iter().zip([4, 11, 2, 7, 9, 5]);
    prompts.map(|(question, tokens)| greedy(&format!("{EXAMPLES}{question}"), tokens, &[])).collect()
}

/// The bound of the project: 1e-4 a token.
fn assert_same(what: &str, answers: &[LogLikelihood], expected: &[LogLikelihood]) {
    assert_eq!(answers.len(), expected.len());
    for (number, (answer, expected)) in answers.iter().zip(expected).enumerate() {
        let difference = (answer.sum - expected.sum).abs();
        assert!(difference <= 1e-4 * f64::from(expected.tokens), "{what} {number}: {answer:?} {expected:?}");
        assert_eq!((answer.tokens, answer.is_greedy), (expected.tokens, expected.is_greedy), "{what}");
    }
}

#[tokio::test]
async fn shared_and_unshared_scores_equal_those_of_one_row_at_a_time() {
    for name in FIXTURES {
        let expected = loaded_row_by_row(name).await.score(questions()).await.unwrap();
        assert_same(name, &loaded(name).await.score(questions()).await.unwrap(), &expected);
        assert_same(name, &loaded_unshared(name).await.score(questions()).await.unwrap(), &expected);
    }
}

/// In few bits a cache holds rounded values, so that the order of the work shows: a thousandth of the sum at most.
#[tokio::test]
async fn in_few_bits_shared_scores_come_near_those_of_one_row_at_a_time() {
    for name in HALF_PRECISION.into_iter().chain(QUANTISED) {
        let expected = loaded_row_by_row(name).await.score(questions()).await.unwrap();
        for model in [loaded(name).await, loaded_unshared(name).await] {
            let answers = model.score(questions()).await.unwrap();
            // Once more, with every prefix there.
            for answers in [answers, model.score(questions()).await.unwrap()] {
                for (answer, expected) in answers.iter().zip(&expected) {
                    let difference = (answer.sum - expected.sum).abs();
                    assert!(difference <= 1e-3 * expected.sum.abs(), "{name}: {answer:?} {expected:?}");
                    assert_eq!(answer.tokens, expected.tokens, "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn scores_are_the_same_when_questions_come_one_after_another() {
    for name in FIXTURES {
        let expected = loaded_row_by_row(name).await.score(questions()).await.unwrap();
        let model = loaded(name).await;
        let mut answers = Vec::new();
        for question in questions().chunks(CHOICES.len()) {
            answers.extend(model.score(question.to_vec()).await.unwrap());
        }
        assert_same(name, &answers, &expected);
        // Once more, with every prefix there.
        assert_same(name, &model.score(questions()).await.unwrap(), &expected);
    }
}

#[tokio::test]
async fn texts_after_shared_prefixes_equal_those_of_one_row_at_a_time() {
    for name in FIXTURES {
        let expected = loaded_row_by_row(name).await.generate(prompts()).await.unwrap();
        assert_eq!(loaded(name).await.generate(prompts()).await.unwrap(), expected, "{name}");
        assert_eq!(loaded_unshared(name).await.generate(prompts()).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn generations_that_join_others_on_their_way_are_not_changed_and_change_none() {
    for name in FIXTURES {
        let expected = loaded_row_by_row(name).await.generate(prompts()).await.unwrap();
        let model = loaded(name).await;
        let one_after_another = |model: Loaded, prompts: Vec<GenerationRequest>| async move {
            let mut texts = Vec::new();
            for prompt in prompts {
                texts.extend(model.generate(vec![prompt]).await.unwrap());
            }
            texts
        };
        let lanes = (0..3).map(|_| one_after_another(Loaded { model: model.model.clone() }, prompts()));
        for texts in join_all(lanes).await {
            assert_eq!(texts, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_drawn_after_a_shared_prefix_depends_on_the_seed_alone() {
    let drawn = |seed| {
        let mut request = greedy(&format!("{EXAMPLES} She"), 9, &[]);
        request.sampling = Sampling { temperature: Some(0.9), seed: Some(seed), ..request.sampling };
        request
    };
    let requests: Vec<_> = (0..8).map(drawn).collect();
    let expected = loaded_row_by_row("llama").await.generate(requests.clone()).await.unwrap();
    assert_eq!(loaded("llama").await.generate(requests).await.unwrap(), expected);
}

#[tokio::test]
async fn a_sliding_window_keeps_padding_out_of_the_caches_and_changes_no_answer() {
    let folder = copy_of("llama");
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen('{', r#"{"sliding_window": 48,"#, 1)).unwrap();
    let model = load(folder.path(), &runner(Execution::Shared)).await.unwrap();
    let expected = loaded_row_by_row("llama").await;
    let scores = expected.score(questions()).await.unwrap();
    assert_same("sliding", &model.score(questions()).await.unwrap(), &scores);
    assert_eq!(model.generate(prompts()).await.unwrap(), expected.generate(prompts()).await.unwrap());
}

/// Fixtures with the bytes that a token takes in their caches.
const CACHES: [(&str, usize); 3] = [("gpt2", 512), ("llama", 256), ("qwen2", 128)];

/// The memory that gives a sequence so many slots. One and a half times as many tokens fit among the prefixes.
fn memory_for(slots: usize, bytes_per_token: usize) -> usize {
    slots * 6 * bytes_per_token
}

async fn loaded_with(name: &str, memory_bytes: usize) -> Loaded {
    let config = RunnerConfig { threads: Some(1), memory_bytes, ..RunnerConfig::new(library()) };
    load(&fixture(name), &OnnxRunner::new(config)).await.unwrap()
}

/// Questions after several blocks of examples: too many blocks to be kept together, so that each pushes another out
/// before it is wanted again.
#[tokio::test]
async fn prefixes_that_push_each_other_out_change_no_answer() {
    const SLOTS: usize = 64;
    let blocks = [
        EXAMPLES,
        "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore. The dog sleeps.",
        "Question: what is three plus one? Answer: four. Rome is the capital of Italy. The fox runs on.",
    ];
    let ask = |block: &str| -> Vec<ScoringRequest> {
        let contexts = QUESTIONS[2..5].iter().map(|question| format!("{block}{question}"));
        contexts.flat_map(|context| CHOICES[..3].iter().map(move |choice| pair(&context, choice))).collect()
    };
    for (name, bytes_per_token) in CACHES {
        let expected = loaded_row_by_row(name).await;
        let model = loaded_with(name, memory_for(SLOTS, bytes_per_token)).await;
        let mut tokens = 0;
        for block in blocks {
            let block_tokens = model.count(block).await as usize;
            assert!((16..SLOTS - 8).contains(&block_tokens), "{name}: {block_tokens} tokens of {block}");
            tokens += block_tokens;
        }
        assert!(tokens > SLOTS * 3 / 2, "{name}: all {tokens} tokens are kept");
        for block in blocks.into_iter().chain(blocks) {
            let scores = expected.score(ask(block)).await.unwrap();
            assert_same(name, &model.score(ask(block)).await.unwrap(), &scores);
        }
    }
}

#[tokio::test]
async fn memory_for_a_single_sequence_changes_no_answer() {
    for (name, bytes_per_token) in CACHES {
        let expected = loaded_row_by_row(name).await;
        // Of the longest, which has 64 tokens.
        let model = loaded_with(name, memory_for(64, bytes_per_token)).await;
        let scores = expected.score(questions()).await.unwrap();
        assert_same(name, &model.score(questions()).await.unwrap(), &scores);
        let texts = expected.generate(prompts()).await.unwrap();
        assert_eq!(model.generate(prompts()).await.unwrap(), texts, "{name}");

        let less = loaded_with(name, memory_for(64, bytes_per_token) - 1).await;
        let error = less.generate(vec![greedy(&EXAMPLES.repeat(3), 4, &[])]).await.unwrap_err();
        assert!(error.message.contains(" 63 tokens do"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_sequence_that_does_not_fit_in_the_memory_for_caches_fails_its_call_only() {
    let config = RunnerConfig { memory_bytes: 64 << 10, ..RunnerConfig::new(library()) };
    let model = load(&fixture("llama"), &OnnxRunner::new(config)).await.unwrap();
    let (long, short) = tokio::join!(
        model.score(vec![pair(&EXAMPLES.repeat(2), " four.")]),
        model.score(vec![pair("She", " sells")]),
    );
    let error = long.unwrap_err();
    assert_eq!(error.code, "memory-budget");
    assert!(error.message.contains("tokens"), "{error}");
    assert!(short.unwrap()[0].sum < 0.0);
    let error = model.generate(vec![greedy(&EXAMPLES.repeat(2), 4, &[])]).await.unwrap_err();
    assert_eq!(error.code, "memory-budget");
}

#[tokio::test]
async fn a_small_model_on_several_threads_answers_as_on_one() {
    let config = RunnerConfig { threads: Some(2), ..RunnerConfig::new(library()) };
    let model = load(&fixture("llama"), &OnnxRunner::new(config)).await.unwrap();
    let expected = loaded_row_by_row("llama").await;
    let scores = expected.score(questions()).await.unwrap();
    let calls = questions().chunks(CHOICES.len()).map(<[_]>::to_vec).collect::<Vec<_>>();
    let answers = join_all(calls.into_iter().map(|call| model.score(call))).await;
    let answers: Vec<LogLikelihood> = answers.into_iter().flat_map(Result::unwrap).collect();
    assert_same("two threads", &answers, &scores);
    let texts = join_all(prompts().into_iter().map(|prompt| model.generate(vec![prompt]))).await;
    let texts: Vec<_> = texts.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(texts, expected.generate(prompts()).await.unwrap());
}
