//! Metrics of the whole corpus: one instance that sees all samples, under limits of its own.

use std::sync::Arc;

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{GuestCall, GuestOutcome, LoadedPlugin, ScoredSample};
use llm_bench_core::sample::{Failure, FailureKind, Measurement, Phase, Sample, Solution};
use serde_json::json;
use tokio::sync::mpsc;

use crate::isolation::isolated;
use crate::support::{Scripted, call, load, row};

fn trying(behaviour: &str) -> GuestCall {
    call(
        json!({ "behaviour": behaviour }),
        Arc::new(Scripted { parts: vec!["judge"], ..Scripted::default() }),
    )
}

fn scored(index: u64) -> ScoredSample {
    ScoredSample {
        sample: Sample { index, input: row(json!({"question": "2 + 2?"})), repeat: 0 },
        solution: Solution { answer: Some("harmless".into()), ..Solution::default() },
        target: row(json!({"answer": "4"})),
        measurements: vec![measured("harmless", 1.0)],
    }
}

fn measured(metric: &str, value: f64) -> Measurement {
    Measurement { metric: metric.into(), filter: None, value: Some(value), weight: 1.0, reason: None }
}

/// Feeds so many samples, or as many as are taken.
async fn aggregate(plugin: &dyn LoadedPlugin, call: GuestCall, count: u64) -> GuestOutcome<Vec<Measurement>> {
    let (sender, samples) = mpsc::channel(8);
    let feeding = async move {
        for index in 0..count {
            if sender.send(scored(index)).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(plugin.aggregate(call, samples), feeding).0
}

/// Fails alike in the host's process and in one of its own.
async fn fails(behaviour: &str, kind: FailureKind) -> Failure {
    let (here, (_sandbox, there)) = (load("hostile").await, isolated("hostile").await);
    let failure = aggregate(&*here, trying(behaviour), 200).await.result.unwrap_err();
    assert_eq!((failure.kind, failure.phase), (kind, Phase::Aggregate), "{behaviour}: {failure:?}");
    let other = aggregate(&*there, trying(behaviour), 200).await.result.unwrap_err();
    assert_eq!(failure, other, "{behaviour}");
    assert!(aggregate(&*there, trying("add-up"), 3).await.result.is_ok());
    failure
}

#[tokio::test]
async fn one_instance_sees_every_sample_and_burns_the_same_fuel_in_either_process() {
    let (here, (_sandbox, there)) = (load("hostile").await, isolated("hostile").await);
    for count in [1, 64, 200] {
        let [once, again] = [
            aggregate(&*here, trying("add-up"), count).await,
            aggregate(&*here, trying("add-up"), count).await,
        ];
        let isolated = aggregate(&*there, trying("add-up"), count).await;
        assert_eq!(once.result.unwrap(), [measured("harmless_together", count as f64)]);
        assert_eq!(isolated.result.unwrap(), [measured("harmless_together", count as f64)]);
        assert_eq!(once.usage, again.usage);
        assert_eq!(once.usage, isolated.usage);
    }
}

#[tokio::test]
async fn a_corpus_without_samples_has_a_reason_for_having_no_value() {
    let plugin = load("hostile").await;
    let measured = aggregate(&*plugin, trying("add-up"), 0).await.result.unwrap();
    assert_eq!((measured[0].value, measured[0].reason.as_deref()), (None, Some("there is no sample")));
}

#[tokio::test]
async fn an_aggregator_that_misbehaves_fails_by_name() {
    let failure = fails("spin-in-aggregation", FailureKind::FuelExhausted).await;
    assert_eq!(failure.message, "the plugin burnt all of its 1000000000 units of fuel");
    assert!(failure.backtrace.unwrap().contains("spin"));
    let failure = fails("hoard", FailureKind::MemoryLimit).await;
    assert_eq!(failure.message, "the plugin wanted more memory than its 64 MiB");
    let failure = fails("panic-in-aggregation", FailureKind::Trap).await;
    assert!(failure.message.starts_with("the plugin panicked: this plugin panics on purpose ("));
    assert!(failure.log.unwrap().contains("panicked at"));
    let failure = fails("log-flood-in-aggregation", FailureKind::CallLimit).await;
    assert_eq!(failure.message, "the plugin called its host more than 10000 times");
    let failure = fails("nan-of-corpus", FailureKind::InvalidOutput).await;
    assert!(failure.message.contains("`harmless_together` is NaN"), "{failure:?}");
}

#[tokio::test]
async fn an_aggregator_opens_no_model_though_its_call_lends_one() {
    let failure = fails("open-judge-in-aggregation", FailureKind::Denied).await;
    assert!(failure.message.contains("no model plays `judge` here"), "{failure:?}");
}

#[tokio::test]
async fn fuel_is_granted_anew_for_every_batch_up_to_a_sum_for_all() {
    let plugin = load("hostile").await;
    let aggregate_with = async |fuel, count| {
        let limits = Limits { fuel, ..Limits::default() };
        aggregate(&*plugin, GuestCall { limits, ..trying("dawdle-in-aggregation") }, count).await
    };
    // What two batches take, more than one does.
    let batch = aggregate_with(u64::MAX / 100, 128).await.usage.fuel / 2;
    let fits = batch + batch / 10;
    assert_eq!(aggregate_with(fits, 640).await.result.unwrap()[0].value, Some(640.0), "ten batches fit");
    let failure = aggregate_with(batch / 2, 640).await.result.unwrap_err();
    assert_eq!(failure.message, format!("the plugin burnt all of its {} units of fuel", batch / 2));
    let failure = aggregate_with(fits, 100 * 64).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::FuelExhausted);
    let most = fits * u64::from(Limits::AGGREGATION_STEPS);
    assert_eq!(
        failure.message,
        format!("the plugin burnt more than {most} units of fuel for the whole corpus")
    );
}

#[tokio::test]
async fn a_cancelled_aggregation_ends_while_it_waits_for_samples() {
    let (here, (_sandbox, there)) = (load("hostile").await, isolated("hostile").await);
    for plugin in [here, there] {
        let (sender, samples) = mpsc::channel(1);
        let call = trying("add-up");
        let cancel = call.cancel.clone();
        let ending = async {
            sender.send(scored(0)).await.unwrap();
            cancel.cancel();
            // Nobody takes samples any more.
            sender.closed().await;
        };
        let (outcome, ()) = tokio::join!(plugin.aggregate(call, samples), ending);
        assert_eq!(outcome.result.unwrap_err().message, "the call was cancelled");
    }
}

#[tokio::test]
async fn a_plugin_without_an_aggregator_cannot_aggregate() {
    let plugin = load("multiple-choice").await;
    let failure = aggregate(&*plugin, call(json!({}), Scripted::subject()), 2).await.result.unwrap_err();
    assert_eq!(
        (failure.kind, &*failure.message),
        (FailureKind::PluginError, "the plugin exports no aggregator")
    );
}
