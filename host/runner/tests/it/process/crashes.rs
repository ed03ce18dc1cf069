//! Children that end or hang: their calls fail by name, and another child takes their place.

use std::pin::pin;

use futures::poll;
use llm_bench_core::ErrorKind;
use llm_bench_core::model::ModelRequest;
use llm_bench_process::ChildCommand;
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use super::support::{Marked, ticks, with_graph};
use crate::support::{copy_of, fixture, pair};

/// A call that is still under way when the test goes on.
fn long() -> ModelRequest {
    ModelRequest::LogLikelihoodRolling(vec!["The quick brown fox jumps over the lazy dog. ".repeat(500); 20])
}

#[tokio::test]
async fn a_killed_child_fails_its_calls_by_name_and_the_next_call_gets_another_child() {
    let marked = Marked::new();
    let model = marked.loaded("llama").await;
    let before = model.score(vec![pair("She", " sells")]).await.unwrap();
    let mut calls = [pin!(model.ask(long())), pin!(model.ask(long()))];
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    let killed = marked.signal(Signal::KILL).await;
    for call in calls {
        let error = call.await.unwrap_err();
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-crashed"));
        assert!(error.message.contains("`tested`") && error.message.contains("signal 9"), "{error}");
    }
    assert_eq!(model.score(vec![pair("She", " sells")]).await.unwrap(), before);
    assert_ne!(marked.child().await, killed);
}

#[tokio::test]
async fn a_child_that_crashes_takes_no_other_model_along() {
    let (one, other) = (Marked::new(), Marked::new());
    let (crashing, bystander) = (one.loaded("llama").await, other.loaded("gpt2").await);
    let mut crashed = pin!(crashing.ask(long()));
    let mut untouched = pin!(bystander.ask(long()));
    assert!(poll!(&mut crashed).is_pending() && poll!(&mut untouched).is_pending());
    one.signal(Signal::ABORT).await;
    let error = crashed.await.unwrap_err();
    assert_eq!(error.code, "model-crashed");
    assert!(error.message.contains("signal 6"), "{error}");
    untouched.await.unwrap();
}

#[tokio::test]
async fn a_child_that_stands_still_is_replaced_after_its_deadline() {
    let marked = Marked::new().with_deadline(5.0);
    let model = marked.loaded("llama").await;
    let stopped = marked.signal(Signal::STOP).await;
    let error = model.score(vec![pair("She", " sells")]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-hung"));
    assert!(error.message.contains("5 s"), "{error}");
    assert_eq!(model.score(vec![pair("She", " sells")]).await.unwrap().len(), 1);
    assert_ne!(marked.child().await, stopped);
}

#[tokio::test]
async fn a_model_that_computes_for_ever_is_stopped_at_its_deadline_even_if_nobody_waits() {
    let folder = with_graph("endless");
    let marked = Marked::new().with_deadline(5.0);
    let model = marked.load(folder.path()).await.unwrap();
    let child = marked.child().await;
    let error = model.score(vec![pair("She", " sells")]).await.unwrap_err();
    assert_eq!(error.code, "model-hung");
    assert!(error.message.contains("answered no call for 5 s"), "{error}");
    marked.wait_until(|children| !children.contains(&child)).await;

    // The next child is loaded once it refuses a call.
    model.score(vec![pair("She", "")]).await.unwrap_err();
    let child = marked.child().await;
    {
        let mut call = pin!(model.score(vec![pair("She", " sells")]));
        assert!(poll!(&mut call).is_pending());
        let before = ticks(child);
        while ticks(child) < before + 10 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
    marked.wait_until(|children| !children.contains(&child)).await;
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once_and_the_child_goes_on() {
    let marked = Marked::new();
    let model = marked.loaded("llama").await;
    let child = marked.child().await;
    let cancel = CancellationToken::new();
    let mut call = pin!(model.model.answer(long(), cancel.clone()));
    assert!(poll!(&mut call).is_pending());
    cancel.cancel();
    assert_eq!(call.await.unwrap_err().kind, ErrorKind::Cancelled);
    // A call that is dropped, as a guest's that is ended, is cancelled too.
    {
        let mut call = pin!(model.ask(long()));
        assert!(poll!(&mut call).is_pending());
    }
    assert_eq!(model.score(vec![pair("She", " sells")]).await.unwrap().len(), 1);
    assert_eq!(marked.child().await, child);
}

#[tokio::test]
async fn a_model_whose_children_end_again_and_again_is_given_up() {
    let marked = Marked::new();
    let model = marked.loaded("llama").await;
    for _ in 0..5 {
        let mut call = pin!(model.ask(long()));
        let killed = tokio::select! {
            answer = &mut call => panic!("{answer:?}"),
            killed = marked.signal(Signal::KILL) => killed,
        };
        let error = call.await.unwrap_err();
        assert_eq!(error.code, "model-crashed", "{error}");
        // The next one that is killed must be another.
        marked.wait_until(|children| !children.contains(&killed)).await;
    }
    let error = model.score(vec![pair("She", " sells")]).await.unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "model-given-up"));
    assert!(error.message.contains("5 times") && error.message.contains("signal 9"), "{error}");
    assert!(marked.children().is_empty());
}

#[tokio::test]
async fn a_model_whose_files_changed_is_not_taken_for_the_one_that_crashed() {
    let folder = copy_of("llama");
    let marked = Marked::new();
    let model = marked.load(folder.path()).await.unwrap();
    std::fs::copy(fixture("gpt2").join("config.json"), folder.path().join("config.json")).unwrap();
    marked.signal(Signal::KILL).await;
    marked.wait_until(<[_]>::is_empty).await;
    let error = loop {
        match model.score(vec![pair("She", " sells")]).await {
            Err(error) if error.code == "model-crashed" => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!((error.kind, &*error.code), (ErrorKind::Conflict, "model-changed"));
}

#[tokio::test]
async fn a_program_that_is_no_models_process_is_an_error_and_not_a_hang() {
    for (program, arguments, deadline, code, words) in [
        ("/no/such/program", &[][..], 30.0, "model-start-failed", "/no/such/program"),
        ("/bin/false", &[], 30.0, "model-crashed", "code 1"),
        ("/bin/sh", &["-c", "echo strange words >&2; kill -ABRT $$"], 30.0, "model-crashed", "strange words"),
        ("/bin/sh", &["-c", "echo this is no message at all; sleep 60"], 30.0, "model-crashed", "no sense"),
        ("/bin/sh", &["-c", "sleep 60"], 0.5, "model-hung", "0.5 s"),
        // Its own child holds the pipes open.
        ("/bin/sh", &["-c", "sleep 60 & kill -KILL $$"], 0.5, "model-hung", "0.5 s"),
    ] {
        let mut marked = Marked::new().with_deadline(deadline);
        let arguments = arguments.iter().map(Into::into).collect();
        marked.config.command = ChildCommand { program: program.into(), arguments, environment: vec![] };
        let error = marked.refusal(&fixture("llama")).await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, code), "{program}: {error}");
        assert!(error.message.contains(words), "{error}");
    }
}
