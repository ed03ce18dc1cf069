use llm_bench_core::model::Sampling;

use super::{Sampler, Settings, arg_max};
use crate::settings::GenerationDefaults;

fn settings(request: &Sampling) -> llm_bench_core::Result<Settings> {
    Settings::new(request, &GenerationDefaults::default(), 512)
}

fn draws(request: &Sampling, logits: &[f32], count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(&settings(request).unwrap(), &[]);
    (0..count).map(|_| sampler.choose(logits).unwrap()).collect()
}

#[test]
fn without_a_temperature_the_first_of_the_best_tokens_is_taken() {
    assert_eq!(draws(&Sampling::default(), &[0.5, 2.0, 2.0], 3), [1, 1, 1]);
}

#[test]
fn the_same_seed_draws_the_same_tokens_and_another_seed_others() {
    let request = |seed| Sampling { temperature: Some(1.0), seed: Some(seed), ..Sampling::default() };
    let logits = [0.0; 50];
    assert_eq!(draws(&request(1), &logits, 20), draws(&request(1), &logits, 20));
    assert_ne!(draws(&request(1), &logits, 20), draws(&request(2), &logits, 20));
}

#[test]
fn greedy_requests_are_equal_whatever_their_seeds() {
    let with = |temperature, seed| {
        settings(&Sampling { temperature, seed: Some(seed), ..Sampling::default() }).unwrap()
    };
    assert_eq!(with(Some(0.0), 1), with(None, 2));
    assert_ne!(with(Some(0.5), 1), with(Some(0.5), 2));
}

#[test]
fn draws_follow_the_softmax_of_the_temperature() {
    let request = Sampling { temperature: Some(0.5), ..Sampling::default() };
    let drawn = draws(&request, &[0.0, 0.5], 20_000);
    let ones = f64::from(drawn.iter().sum::<u32>()) / 20_000.0;
    let expected = 1.0 / (1.0 + (-1.0_f64).exp());
    assert!((ones - expected).abs() < 0.02, "{ones} is not near {expected}");
}

#[test]
fn top_k_and_top_p_leave_out_the_unlikely_tokens() {
    let logits = [1.0, 4.0, 3.0, 2.0];
    let top_k = Sampling { temperature: Some(5.0), top_k: Some(2), ..Sampling::default() };
    assert!(draws(&top_k, &logits, 200).iter().all(|token| [1, 2].contains(token)));
    // Softmax is 0.032, 0.644, 0.237, 0.087: two tokens reach 0.8.
    let top_p = Sampling { temperature: Some(1.0), top_p: Some(0.8), ..Sampling::default() };
    let drawn = draws(&top_p, &logits, 200);
    assert!(drawn.contains(&1) && drawn.contains(&2) && !drawn.contains(&0) && !drawn.contains(&3));
}

#[test]
fn a_repetition_penalty_lowers_the_tokens_that_were_there() {
    let extra = vec![("repetition_penalty".to_owned(), "2".to_owned())];
    let request = Sampling { extra, ..Sampling::default() };
    let mut sampler = Sampler::new(&settings(&request).unwrap(), &[0]);
    assert_eq!(sampler.choose(&[3.0, 2.0, 1.9]).unwrap(), 1);
    assert_eq!(sampler.choose(&[3.0, 2.0, 1.9]).unwrap(), 2);
}

#[test]
fn the_model_s_own_settings_hold_where_the_request_is_silent() {
    let defaults = GenerationDefaults {
        do_sample: true,
        temperature: Some(0.7),
        top_k: Some(20),
        max_new_tokens: Some(33),
        ..GenerationDefaults::default()
    };
    let own = Settings::new(&Sampling::default(), &defaults, 512).unwrap();
    assert_eq!((own.temperature, own.top_k, own.max_tokens), (0.7, 20, 33));
    let greedy = Sampling { temperature: Some(0.0), ..Sampling::default() };
    assert_eq!(Settings::new(&greedy, &defaults, 512).unwrap().temperature, 0.0);
}

#[test]
fn a_setting_out_of_range_is_refused_by_name() {
    let refused = |request: Sampling, field: &str| {
        let error = settings(&request).unwrap_err();
        assert_eq!(error.code, "invalid-request");
        assert!(error.message.contains(&format!("`{field}`")), "{error}");
    };
    refused(Sampling { temperature: Some(-1.0), ..Sampling::default() }, "temperature");
    refused(Sampling { temperature: Some(f32::NAN), ..Sampling::default() }, "temperature");
    refused(Sampling { top_p: Some(0.0), ..Sampling::default() }, "top_p");
    refused(Sampling { top_p: Some(1.5), ..Sampling::default() }, "top_p");
    refused(Sampling { max_tokens: Some(0), ..Sampling::default() }, "max_tokens");
    refused(Sampling { max_tokens: Some(512), ..Sampling::default() }, "max_tokens");
    refused(Sampling { stop: vec![String::new()], ..Sampling::default() }, "stop");
    refused(
        Sampling { extra: vec![("mirostat".to_owned(), "1".to_owned())], ..Sampling::default() },
        "mirostat",
    );
}

#[test]
fn logits_that_are_not_numbers_are_refused() {
    assert_eq!(arg_max(&[0.0, f32::NAN]).unwrap_err().code, "logits-not-a-number");
    assert_eq!(arg_max(&[f32::NEG_INFINITY, -1.0]).unwrap(), 1);
}
