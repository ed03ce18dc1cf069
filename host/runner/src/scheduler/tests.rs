//! How much is computed: answers alone would not tell that something is computed again.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Once;

use llm_bench_core::model::{
    GenerationRequest, ModelRequest, ModelResponse, Prompt, Sampling, ScoringRequest,
};
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::*;
use crate::runner::{Execution, RunnerConfig};
use crate::runtime::{self, testing};

const BLOCK: &str =
    "Paris is the capital of France. Berlin is the capital of Germany. Rome is the capital of Italy.";
const QUESTIONS: [&str; 4] =
    [" The dog sleeps, and the", " She", " The quick brown fox jumps over", " Question: what is two?"];
const CHOICES: [&str; 3] = [" fox runs.", " sea shells are here", " four"];

thread_local! {
    /// What this thread did since it was asked last.
    static WORK: Cell<Work> = const { Cell::new(Work { runs: 0, tokens: 0, wanted: 0, copies: 0 }) };
}

/// What a model's thread did, by the events that it traces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Work {
    runs: u64,
    /// New tokens, without padding.
    tokens: u64,
    /// Positions whose logits were asked for.
    wanted: u64,
    /// Caches that were put together anew.
    copies: u64,
}

/// Counts for every thread. One for all tests: where they come and go, `tracing` may miss events meanwhile.
struct Witness;

struct Numbers(HashMap<&'static str, u64>);

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: tracing::Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut numbers = Numbers(HashMap::new());
        event.record(&mut numbers);
        let mut work = WORK.get();
        if let Some(tokens) = numbers.0.get("tokens") {
            work.runs += 1;
            work.tokens += tokens;
            work.wanted += numbers.0["wanted"];
        } else if event.metadata().target().ends_with("network::cache") {
            work.copies += 1;
        }
        WORK.set(work);
    }
}

fn engine(fixture: &str, execution: Execution) -> Engine {
    engine_with(fixture, |config| RunnerConfig { execution, ..config })
}

fn engine_with(fixture: &str, change: impl FnOnce(RunnerConfig) -> RunnerConfig) -> Engine {
    let library = testing::library();
    let environment = runtime::load(&library).unwrap();
    let config = change(RunnerConfig { threads: Some(1), ..RunnerConfig::new(library) });
    Engine::open(&environment, &testing::fixture(fixture), &config).unwrap()
}

/// Answers calls that come before the first turn, each of the later ones after so many turns.
fn work(engine: &mut Engine, calls: Vec<(usize, ModelRequest)>) -> (Vec<ModelResponse>, Work) {
    static WITNESSED: Once = Once::new();
    WITNESSED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Witness)).unwrap();
    });
    WORK.take();
    let mut scheduler = Scheduler::new(engine);
    let mut answers = Vec::new();
    for (turns, request) in calls {
        (0..turns).for_each(|_| scheduler.turn());
        let (command, answered) = Command::new(request, CancellationToken::new());
        scheduler.admit(command);
        answers.push(answered);
    }
    while !scheduler.is_idle() {
        scheduler.turn();
    }
    let answers =
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap().response).collect();
    (answers, WORK.take())
}

fn tokens(engine: &Engine, text: &str) -> u64 {
    u64::try_from(engine.tokenizer.encode_text(text, false).unwrap().len()).unwrap()
}

fn pair(context: &str, continuation: &str) -> ScoringRequest {
    ScoringRequest {
        context: Prompt::Text(context.to_owned()),
        continuation: continuation.to_owned(),
        extra: Vec::new(),
    }
}

fn questions() -> Vec<(usize, ModelRequest)> {
    let choices = |question| CHOICES.iter().map(move |choice| pair(&format!("{BLOCK}{question}"), choice));
    QUESTIONS.iter().map(|question| (0, ModelRequest::LogLikelihood(choices(question).collect()))).collect()
}

fn generation(prompt: &str, max_tokens: u32) -> (usize, ModelRequest) {
    let sampling = Sampling { max_tokens: Some(max_tokens), temperature: Some(0.0), ..Sampling::default() };
    let request = GenerationRequest { prompt: Prompt::Text(prompt.to_owned()), sampling };
    (0, ModelRequest::Generate(vec![request]))
}

/// Llama, GPT-2 and Qwen2.
const FAMILIES: [&str; 3] = ["llama", "gpt2", "qwen2"];

#[test]
fn what_questions_have_in_common_is_computed_once() {
    for family in FAMILIES {
        let mut shared = engine(family, Execution::Shared);
        let (_, first) = work(&mut shared, questions());
        let (_, again) = work(&mut shared, questions());
        let (_, apart) = work(&mut engine(family, Execution::Unshared), questions());
        // The block, then every question with its choices.
        assert_eq!((first.runs, first.copies), (2, 1), "{family}");
        assert!(4 * first.tokens < apart.tokens, "{family}: {first:?}, {apart:?}");
        // The block is still there, and so is the past of the batch.
        assert_eq!((again.runs, again.copies), (1, 0), "{family}");
        assert!(again.tokens + tokens(&shared, BLOCK) <= first.tokens, "{family}: {first:?}, {again:?}");
    }
}

#[test]
fn rows_of_different_length_run_together_and_give_the_logits_that_are_wanted() {
    for family in FAMILIES {
        let mut engine = engine(family, Execution::Unshared);
        let targets: u64 = CHOICES.iter().map(|choice| tokens(&engine, choice)).sum();
        let (_, work) = work(&mut engine, questions());
        assert_eq!((work.runs, work.wanted), (1, 4 * targets), "{family}");
    }
}

#[test]
fn the_first_tokens_of_all_choices_are_told_by_one_position() {
    for family in FAMILIES {
        let mut engine = engine(family, Execution::Shared);
        let later: u64 = CHOICES.iter().map(|choice| tokens(&engine, choice) - 1).sum();
        assert_eq!(work(&mut engine, questions()).1.wanted, 4 * (1 + later), "{family}");
    }
}

#[test]
fn generations_step_together_and_cost_nothing_once_they_have_ended() {
    for family in FAMILIES {
        let calls = QUESTIONS.iter().zip([2, 4, 6, 8]).map(|(question, tokens)| generation(question, tokens));
        let (answers, work) = work(&mut engine(family, Execution::Shared), calls.collect());
        let counts = answers.iter().flat_map(|answer| match answer {
            ModelResponse::Generate(generations) => generations,
            other => panic!("{other:?}"),
        });
        let (prompts, completions): (Vec<u64>, Vec<u64>) = counts
            .map(|answer| (u64::from(answer.prompt_tokens), u64::from(answer.completion_tokens)))
            .unzip();
        assert_eq!(completions, [2, 4, 6, 8], "{family}");
        // The prompts, and each token but the last of each; a copy of the caches whenever one leaves the others.
        let expected =
            Work { runs: 8, tokens: prompts.iter().sum::<u64>() + 1 + 3 + 5 + 7, wanted: 20, copies: 3 };
        assert_eq!(work, expected, "{family}");
    }
}

#[test]
fn a_batch_that_does_not_change_copies_no_cache() {
    for family in FAMILIES {
        let calls = QUESTIONS.iter().map(|question| generation(question, 6)).collect();
        let (_, work) = work(&mut engine(family, Execution::Shared), calls);
        assert_eq!((work.runs, work.copies), (6, 0), "{family}");
    }
}

#[test]
fn a_generation_joins_those_that_are_on_their_way() {
    for family in FAMILIES {
        let mut calls: Vec<_> = QUESTIONS.iter().map(|question| generation(question, 6)).collect();
        calls[3].0 = 3;
        let (_, work) = work(&mut engine(family, Execution::Shared), calls);
        // The prompts and three steps; the new prompt and its five steps, two of them with the others.
        assert_eq!((work.runs, work.copies), (10, 2), "{family}");
    }
}

#[test]
fn equal_requests_of_several_calls_are_computed_once() {
    let mut engine = engine("llama", Execution::Unshared);
    let scores = || questions().into_iter().take(1);
    let (_, one) = work(&mut engine, scores().collect());
    let (_, several) = work(&mut engine, scores().chain(scores()).chain(scores()).collect());
    assert_eq!(several, one);
    let (_, one) = work(&mut engine, vec![generation(BLOCK, 4)]);
    let (answers, several) = work(&mut engine, vec![generation(BLOCK, 4), generation(BLOCK, 4)]);
    assert_eq!((several, &answers[0]), (one, &answers[1]));
}

#[test]
fn the_logits_of_a_batch_fit_into_a_quarter_of_the_memory() {
    // Without a cache they are all that counts.
    let fixture = "gpt2-without-cache";
    let (_, roomy) = work(&mut engine(fixture, Execution::Shared), questions());
    let mut tight = engine_with(fixture, |config| RunnerConfig { memory_bytes: 64 << 10, ..config });
    let positions =
        (64_u64 << 10) / 4 / 4 / u64::try_from(tight.network.graph().vocabulary.unwrap()).unwrap();
    let (_, tight) = work(&mut tight, questions());
    assert_eq!(roomy.runs, 1);
    assert_eq!(tight.wanted, roomy.wanted);
    assert!(tight.runs * positions >= tight.wanted, "{tight:?}, {positions} at once");
}

#[test]
fn the_choices_of_a_question_run_at_once_where_their_slots_fit_into_the_memory() {
    let question = || questions().into_iter().take(1).collect::<Vec<_>>();
    let mut roomy = engine("gpt2", Execution::Shared);
    let context = tokens(&roomy, &format!("{BLOCK}{}", QUESTIONS[0]));
    let longest = CHOICES.iter().map(|choice| tokens(&roomy, choice) - 1).max().unwrap();
    let bytes_per_slot = roomy.network.graph().cache_bytes_per_token() * 3;
    let slots = usize::try_from(context + longest).unwrap();
    let memory_bytes = slots * bytes_per_slot * 2;
    let mut tight = engine_with("gpt2", |config| RunnerConfig { memory_bytes, ..config });
    let (expected, at_once) = work(&mut roomy, question());
    let (answers, apart) = work(&mut tight, question());
    assert_eq!(at_once.runs, 1);
    assert!(apart.runs > 1, "{apart:?}");
    let sums = |answers: &[ModelResponse]| match answers {
        [ModelResponse::LogLikelihood(scores)] => scores.iter().map(|score| score.sum).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let pairs = sums(&expected).into_iter().zip(sums(&answers));
    assert!(pairs.into_iter().all(|(one, other)| (one - other).abs() < 1e-3), "{expected:?}, {answers:?}");
}
