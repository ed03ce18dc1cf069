//! What a child has, and what it has not.

use std::path::Path;

use llm_bench_core::model::ModelRunner;

use super::support::Marked;
use crate::support::{fixture, pair};

fn of(process: rustix::process::Pid, what: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{what}", process.as_raw_nonzero())).unwrap()
}

#[tokio::test]
async fn a_child_has_no_environment_no_file_and_no_way_to_more_privileges() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let mut marked = Marked::new();
    marked.config.command.environment = vec![("SOME".into(), "value".into())];
    let model = marked.loaded("llama").await;
    model.score(vec![pair("She", " sells")]).await.unwrap();
    let child = marked.child().await;
    assert_eq!(of(child, "environ"), "ORT_DISABLE_TELEMETRY=1\0SOME=value\0");
    let files: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", child.as_raw_nonzero()))
        .unwrap()
        .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap())
        .filter(|file| file.is_absolute() && file != Path::new("/dev/null"))
        .collect();
    assert!(files.is_empty(), "{files:?} are open, one of which is {}", secret.path().display());
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", child.as_raw_nonzero())).unwrap(), Path::new("/"));
    let status = of(child, "status");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[tokio::test]
async fn a_child_stands_outside_the_terminals_group_and_has_the_limits_of_its_settings() {
    let marked = Marked::new().with_memory(2048);
    let _model = marked.loaded("llama").await;
    let child = marked.child().await;
    // After the command in parentheses: state, parent, group.
    let stat = of(child, "stat");
    let group = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(2).unwrap();
    assert_eq!(group, child.as_raw_nonzero().to_string());
    let limits = of(child, "limits");
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max data size").contains(&(2048_u64 << 20).to_string()), "{limits}");
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
}

#[tokio::test]
async fn a_child_ends_with_its_model_and_is_listed_while_it_lives() {
    let marked = Marked::new();
    let runner = marked.runner();
    let path = fixture("llama");
    let facts = runner.inspect(&path).await.unwrap();
    marked.wait_until(<[_]>::is_empty).await;
    let model = llm_bench_core::model::Model {
        name: "tested".to_owned(),
        origin: llm_bench_core::model::Origin::Path,
        path,
        facts,
    };
    let loaded = runner.load(&model).await.unwrap();
    let child = marked.child().await;
    assert_eq!(runner.processes().ids(), [u32::try_from(child.as_raw_nonzero().get()).unwrap()]);
    drop(loaded);
    marked.wait_until(<[_]>::is_empty).await;
    while !runner.processes().ids().is_empty() {
        tokio::task::yield_now().await;
    }
}
