//! Files that an administrator gives a plugin: by the API, by the command line, and to a file of one's own.

use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, json_of, metric, run, run_with_samples, stderr_of, vocabulary_plugin};

const PLUGIN: &str = "vocabulary@0.1.0";

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A folder with a word list, and a file that is none of the plugin's business.
fn word_list(data: &Path) -> PathBuf {
    let folder = data.join("lists");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("words.txt"), "the\nof\na\n").unwrap();
    std::fs::write(folder.join("notes.txt"), "private").unwrap();
    folder
}

fn give(host: &Host, archive: Vec<u8>) -> RequestBuilder {
    give_as(host, "application/x-tar", archive)
}

fn give_as(host: &Host, media_type: &str, archive: Vec<u8>) -> RequestBuilder {
    host.request(Method::PUT, &format!("/api/v1/plugins/{PLUGIN}/data-files"))
        .header("content-type", media_type)
        .body(archive)
}

async fn problem(host: &Host, request: RequestBuilder) -> (u16, String, String) {
    let (status, problem) = host.refusal(request).await;
    let text = |field: &str| problem[field].as_str().unwrap().to_owned();
    (status.as_u16(), text("type"), text("detail"))
}

fn order() -> Value {
    json!({"model": "tiny-llama", "task": PLUGIN, "dataset": "capitals", "limit": 8, "max_failed": 1.0})
}

/// The share of the answers' words that are in the list, counted here.
fn share_of_known_words(samples: &[Value], known: &[&str]) -> f64 {
    let answers = samples.iter().map(|sample| sample["answer"].as_str().unwrap().to_lowercase());
    let words: Vec<String> = answers
        .flat_map(|answer| answer.split(|c: char| !c.is_alphabetic()).map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| !word.is_empty())
        .collect();
    let found = words.iter().filter(|word| known.contains(&word.as_str())).count();
    found as f64 / words.len() as f64
}

#[tokio::test]
async fn a_plugin_is_used_once_it_has_its_files_and_these_stay_what_they_were() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    let uploaded = host.upload(&vocabulary_plugin()).await;
    assert_eq!(
        (&uploaded["data_files"], &uploaded["grants"]["data_files"]),
        (&json!(["words.txt"]), &Value::Null)
    );
    let order_it = || host.request(Method::POST, "/api/v1/benchmarks").json(&order());
    let (status, code, detail) = problem(&host, order_it()).await;
    assert_eq!((status, &*code), (409, "data-files-missing"));
    assert!(
        detail.contains("(words.txt)") && detail.contains(&format!("grant {PLUGIN} --data-files")),
        "{detail}"
    );

    let words = || archive(&[("words.txt", "the\nof\na\n")]);
    assert_eq!(problem(&host, give_as(&host, "text/plain", words())).await.0, 415);
    let wrong_digest =
        give(&host, words()).header("digest", "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(problem(&host, wrong_digest).await.1, "digest-mismatch");
    let other = give(&host, archive(&[("words.txt", "a"), ("more.txt", "b")]));
    let (status, code, detail) = problem(&host, other).await;
    assert_eq!((status, &*code), (400, "invalid-data-files"));
    assert!(detail.ends_with("the plugin reads no file `more.txt`; it reads `words.txt`"), "{detail}");

    let given = give(&host, words()).send().await.unwrap();
    assert_eq!(given.status(), StatusCode::OK);
    let given: Value = given.json().await.unwrap();
    let files = &given["grants"]["data_files"];
    assert_eq!(files["files"], json!({"words.txt": 9}));
    let id = host.create(&order()).await;
    let benchmark = host.ended(&id).await;
    assert_eq!(
        (&benchmark["status"], &benchmark["task_data_digest"]),
        (&json!("completed"), &files["digest"])
    );
    let expected = share_of_known_words(&host.samples(&id).await, &["the", "of", "a"]);
    assert!(expected > 0.0, "the model writes none of the words");
    assert!((metric(&benchmark, "known_words") - expected).abs() < 1e-12);

    // The same files again are no change; others are for another version.
    assert_eq!(give(&host, words()).send().await.unwrap().status(), StatusCode::OK);
    let pinned = (409, "data-files-pinned".to_owned());
    let others = problem(&host, give(&host, archive(&[("words.txt", "cat")]))).await;
    assert_eq!((others.0, others.1), pinned);
    let withdraw = host.request(Method::DELETE, &format!("/api/v1/plugins/{PLUGIN}/data-files"));
    let withdrawn = problem(&host, withdraw).await;
    assert_eq!((withdrawn.0, withdrawn.1), pinned);
    assert_eq!(host.ended(&host.create(&order()).await).await["metrics"], benchmark["metrics"]);

    // Removed by force, it comes again without them.
    let remove =
        host.request(Method::DELETE, &format!("/api/v1/plugins/{PLUGIN}?force")).send().await.unwrap();
    assert_eq!(remove.status(), StatusCode::NO_CONTENT);
    assert_eq!(host.upload(&vocabulary_plugin()).await["grants"]["data_files"], Value::Null);
    assert_eq!(problem(&host, order_it()).await.1, "data-files-missing");
    let audit = host.get("/api/v1/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["upload-plugin", "remove-plugin", "grant-plugin", "upload-plugin"]);
}

#[tokio::test]
async fn files_that_no_benchmark_used_are_replaced_and_taken_away() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start(data.path());
    host.upload(&vocabulary_plugin()).await;
    for text in ["cat", "dog"] {
        let given = give(&host, archive(&[("words.txt", text)])).send().await.unwrap();
        assert_eq!(given.status(), StatusCode::OK);
    }
    let kept = data.path().join("plugins/data");
    let component = std::fs::read_dir(kept).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_dir(&component).unwrap().count(), 1);
    let withdraw = host.request(Method::DELETE, &format!("/api/v1/plugins/{PLUGIN}/data-files"));
    assert_eq!(withdraw.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(std::fs::read_dir(&component).unwrap().count(), 0);
    assert_eq!(host.get(&format!("/api/v1/plugins/{PLUGIN}")).await["grants"]["data_files"], Value::Null);
    host.upload(&crate::support::hostile_plugin()).await;
    let none = host
        .request(Method::PUT, "/api/v1/plugins/hostile@0.1.0/data-files")
        .header("content-type", "application/x-tar")
        .body(archive(&[("words.txt", "cat")]));
    assert_eq!(problem(&host, none).await.1, "no-data-files");
}

#[test]
fn a_word_list_is_brought_along_granted_and_used_to_judge_another_task() {
    let data = tempfile::tempdir().unwrap();
    let (plugin, lists) = (vocabulary_plugin(), word_list(data.path()));
    let (plugin, lists) = (plugin.to_str().unwrap(), lists.to_str().unwrap());
    let asking = ["--model", "tiny-llama", "--limit", "6"];

    let without = run(data.path(), &[&["plugin", "run", plugin, "--data", "capitals"][..], &asking].concat());
    assert_eq!(without.status.code(), Some(1));
    assert!(stderr_of(&without).contains("reads data files (words.txt)"), "{}", stderr_of(&without));
    let tried = ["plugin", "run", plugin, "--data", "capitals", "--data-files", lists, "--format", "json"];
    let tried = json_of(&run(data.path(), &[&tried[..], &asking].concat()));
    let ran = ["run", "--task", plugin, "--dataset", "capitals", "--data-files", lists];
    let (ran, samples) = run_with_samples(data.path(), &[&ran[..], &asking].concat());
    let expected = share_of_known_words(&samples, &["the", "of", "a"]);
    assert!((metric(&ran, "known_words") - expected).abs() < 1e-12);
    assert_eq!(metric(&tried, "known_words").to_bits(), metric(&ran, "known_words").to_bits());

    let added =
        json_of(&run(data.path(), &["plugins", "add", plugin, "--data-files", lists, "--format", "json"]));
    assert_eq!(added["grants"]["data_files"]["digest"], ran["task_data_digest"]);
    let other = ["run", "--task", "generate-until", "--dataset", "reading", "--few-shot", "0"];
    let (other, samples) = run_with_samples(data.path(), &[&other[..], &asking].concat());
    let (judged, _) =
        run_with_samples(data.path(), &["rescore", other["id"].as_str().unwrap(), "--scorer", PLUGIN]);
    let expected = share_of_known_words(&samples, &["the", "of", "a"]);
    assert!((metric(&judged, "known_words") - expected).abs() < 1e-12);

    let twice = ["run", "--task", PLUGIN, "--dataset", "capitals", "--data-files", lists];
    let twice = run(data.path(), &[&twice[..], &asking].concat());
    assert!(stderr_of(&twice).contains("is registered, so it is given files once"), "{}", stderr_of(&twice));
}
