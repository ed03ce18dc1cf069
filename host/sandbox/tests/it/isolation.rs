//! Guests in a process of their own: the same outcomes, and an end of the process that is told by name.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llm_bench_core::limits::Limits;
use llm_bench_core::plugin::{GuestCall, LoadedPlugin, Sandbox};
use llm_bench_core::sample::{FailureKind, Solution};
use llm_bench_process::ChildCommand;
use llm_bench_sandbox::{Isolation, SandboxConfig, WasmSandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Scripted, call, compiler, load, plugin, row, sample};

pub(crate) fn sandbox(arguments: &[&str]) -> WasmSandbox {
    sandbox_of(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"), arguments)
}

pub(crate) fn sandbox_in(folder: &Path) -> WasmSandbox {
    sandbox_of(folder, &[])
}

fn sandbox_of(folder: &Path, arguments: &[&str]) -> WasmSandbox {
    let program = env!("CARGO_BIN_EXE_llm-bench-run-guests").into();
    let arguments = arguments.iter().map(Into::into).collect();
    let command = ChildCommand { program, arguments, environment: vec![] };
    WasmSandbox::open(SandboxConfig {
        folder: folder.to_owned(),
        compiler: compiler(),
        concurrency: 4,
        max_component_bytes: 64 << 20,
        max_data_bytes: 4 << 20,
        max_memory_bytes: 256 << 20,
        isolation: Isolation::Process { command, memory_bytes: 1 << 30 },
    })
    .unwrap()
}

pub(crate) async fn isolated(name: &str) -> (WasmSandbox, Arc<dyn LoadedPlugin>) {
    isolated_with(name, &[]).await
}

async fn isolated_with(name: &str, arguments: &[&str]) -> (WasmSandbox, Arc<dyn LoadedPlugin>) {
    let sandbox = sandbox(arguments);
    let digest = sandbox.admit(&plugin(name)).await.unwrap().digest;
    let plugin = sandbox.load(&digest, None).await.unwrap();
    (sandbox, plugin)
}

fn the_process(sandbox: &WasmSandbox) -> Pid {
    let [id] = sandbox.processes().ids()[..] else { panic!("one plugin has one process") };
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

fn trying(behaviour: &str) -> GuestCall {
    call(json!({"behaviour": behaviour}), Scripted::subject())
}

/// A guest that computes until it is stopped.
fn endless() -> GuestCall {
    GuestCall { limits: Limits { fuel: u64::MAX, ..Limits::default() }, ..trying("spin") }
}

#[tokio::test]
async fn every_behaviour_ends_as_it_does_in_the_process_itself() {
    let here = load("hostile").await;
    let (_sandbox, there) = isolated("hostile").await;
    for behaviour in [
        "honest",
        "read-file",
        "open-socket",
        "environment",
        "clock",
        "randomness",
        "open-judge",
        "spin",
        "memory-bomb",
        "recurse",
        "panic",
        "abort",
        "exit",
        "stdout-flood",
        "log-flood",
        "host-call-flood",
        "handle-leak",
        "token-flood",
        "huge-answer",
    ] {
        let (one, other) = (
            here.solve(trying(behaviour), &sample(json!({"question": "?"}))).await,
            there.solve(trying(behaviour), &sample(json!({"question": "?"}))).await,
        );
        assert_eq!(one.result, other.result, "{behaviour}");
        assert_eq!(one.usage, other.usage, "{behaviour}");
    }
    let limits = Limits::default();
    for config in [json!({"behaviour": "honest"}), json!({"behaviour": "spin-in-metrics"}), json!(7)] {
        let (one, other) = (here.metrics(&config, &limits).await, there.metrics(&config, &limits).await);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

#[tokio::test]
async fn multiple_choice_gives_the_same_bytes_and_burns_the_same_fuel_in_its_own_process() {
    let (here, (_sandbox, there)) = (load("multiple-choice").await, isolated("multiple-choice").await);
    let input =
        || sample(json!({"question": "Capital of France?", "choices": ["Rome", "Paris", "Buenos Aires"]}));
    let mut seen = Vec::new();
    for plugin in [&here, &there] {
        let models = Scripted::subject();
        let solved = plugin.solve(call(json!({}), models.clone()), &input()).await;
        let solution: Solution = solved.result.unwrap();
        let target = row(json!({"answer": "Paris"}));
        let scored =
            plugin.score(call(json!({}), Scripted::subject()), &input(), solution.clone(), &target).await;
        let asked = models.asked.lock().unwrap().clone();
        seen.push((solution, solved.usage, scored.result.unwrap(), scored.usage, asked));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_killed_process_fails_its_calls_by_name_and_the_next_call_gets_another() {
    let (sandbox, plugin) = isolated("hostile").await;
    let killed = the_process(&sandbox);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let plugin = plugin.clone();
            tokio::spawn(async move { plugin.solve(endless(), &sample(json!({}))).await })
        })
        .collect();
    // One that is answered shows that those before it have arrived.
    assert!(plugin.solve(trying("honest"), &sample(json!({}))).await.result.is_ok());
    kill_process(killed, Signal::KILL).unwrap();
    for call in calls {
        let failure = call.await.unwrap().result.unwrap_err();
        assert_eq!(failure.kind, FailureKind::ProcessEnded, "{failure:?}");
        assert!(failure.message.starts_with("the process of the plugin ended: it was killed by signal 9"));
    }
    assert!(plugin.solve(trying("honest"), &sample(json!({}))).await.result.is_ok());
    assert_ne!(the_process(&sandbox), killed);
}

#[tokio::test]
async fn a_process_that_computes_by_itself_is_ended_and_fails_what_waits_by_name() {
    let (sandbox, plugin) = isolated_with("hostile", &["--spin"]).await;
    // The guest waits for a model that never answers: nothing is asked of the process meanwhile.
    let silent = Arc::new(Scripted { parts: vec!["subject"], silent: true, ..Scripted::default() });
    let waiting = call(json!({"behaviour": "host-calls", "amount": 2}), silent);
    let process = the_process(&sandbox);
    let failure = plugin.solve(waiting, &sample(json!({}))).await.result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProcessEnded, "{failure:?}");
    let (_, said) = failure.message.split_once("the process of the plugin was ended: it used ").unwrap();
    assert!(said.ends_with(" s of processor time where it was to do nothing"), "{}", failure.message);
    // Another one answers as long as there is something to answer, and ends too when there is not.
    assert!(plugin.solve(trying("honest"), &sample(json!({}))).await.result.is_ok());
    assert_ne!(the_process(&sandbox), process);
    let idle = Instant::now();
    while !sandbox.processes().ids().is_empty() {
        // One that does not compute stays for a minute.
        assert!(idle.elapsed() < Duration::from_secs(45), "it still computes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn hundreds_of_calls_wait_for_places_and_their_answers_find_them() {
    let (_sandbox, plugin) = isolated("multiple-choice").await;
    let calls = (0..300).map(|number| {
        let plugin = plugin.clone();
        tokio::spawn(async move {
            let choices = json!([format!("{number} is the longer choice"), format!("{number}")]);
            let input = sample(json!({"question": "?", "choices": choices}));
            let solved = plugin.solve(call(json!({}), Scripted::subject()), &input).await;
            assert_eq!(solved.result.unwrap().answer, Some(number.to_string()));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_and_gives_its_place_back() {
    let (sandbox, plugin) = isolated("hostile").await;
    let process = the_process(&sandbox);
    let sample = sample(json!({}));
    for _ in 0..8 {
        let call = endless();
        let cancel = call.cancel.clone();
        let (outcome, ()) = tokio::join!(plugin.solve(call, &sample), async { cancel.cancel() });
        assert_eq!(outcome.result.unwrap_err().message, "the call was cancelled");
        // So does one that nobody waits for.
        let call = plugin.solve(endless(), &sample);
        assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    }
    assert!(plugin.solve(trying("honest"), &sample).await.result.is_ok());
    assert_eq!(the_process(&sandbox), process);
}

#[tokio::test]
async fn the_process_has_no_environment_no_file_and_a_filter_of_system_calls() {
    let (sandbox, plugin) = isolated("hostile").await;
    assert!(plugin.solve(trying("honest"), &sample(json!({}))).await.result.is_ok());
    let process = format!("/proc/{}", the_process(&sandbox).as_raw_nonzero());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    for thread in std::fs::read_dir(format!("{process}/task")).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("Seccomp_filters:\t2"), "{status}");
    }
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let data = limits.lines().find(|line| line.starts_with("Max data size")).unwrap();
    assert!(!data.contains("unlimited"), "{data}");
}

#[tokio::test]
async fn a_process_ends_with_its_sandbox_and_one_that_nobody_runs_is_an_error() {
    let (sandbox, plugin) = isolated("hostile").await;
    let processes = sandbox.processes();
    drop((sandbox, plugin));
    let began = Instant::now();
    while !processes.ids().is_empty() {
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for (program, words) in [("/no/such/program", "cannot start"), ("/bin/false", "code 1"), ("/bin/cat", "")]
    {
        let command = ChildCommand { program: program.into(), arguments: vec![], environment: vec![] };
        let sandbox = WasmSandbox::open(SandboxConfig {
            folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins"),
            compiler: compiler(),
            concurrency: 4,
            max_component_bytes: 64 << 20,
            max_data_bytes: 4 << 20,
            max_memory_bytes: 256 << 20,
            isolation: Isolation::Process { command, memory_bytes: 1 << 30 },
        });
        let error = sandbox.unwrap().admit(&crate::support::plugin("multiple-choice")).await.unwrap_err();
        assert!(error.message.contains(words), "{program}: {error:?}");
    }
}
