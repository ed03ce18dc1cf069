//! What administrators decide about plugins, and what becomes of the benchmarks that pin them.

use llm_bench_core::audit::{Action, Actor, AuditEntry, AuditLog};
use llm_bench_core::benchmark::{Benchmark, BenchmarkFilter, Lease, Plan, Status};
use llm_bench_core::id::WorkerId;
use llm_bench_core::model::Origin;
use llm_bench_core::plugin::{
    Block, Decisions, Percentiles, Plugin, PluginRepository, PluginStatistics, Standing,
};
use llm_bench_core::sample::{FailureKind, GuestUsage, SampleRecord};
use serde_json::json;

use crate::common::{self, Database, at, benchmark, completed, failed};

fn entry(action: Action) -> AuditEntry {
    AuditEntry::new(at(1), Actor::CommandLine, action, "task@1.0.0", json!({}))
}

/// A database with one plugin, of that version and digest.
async fn with_plugin(version: &str, digest: &str) -> (Database, Plugin) {
    let database = Database::new().await;
    let plugin = add(&database, version, digest, 1).await;
    (database, plugin)
}

async fn add(database: &Database, version: &str, digest: &str, seconds: i64) -> Plugin {
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.insert(&common::plugin("task", version, digest, seconds), None).await.unwrap();
    read(database, version).await
}

async fn read(database: &Database, version: &str) -> Plugin {
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.find(&format!("task@{version}").parse().unwrap()).await.unwrap().expect("the version is there")
}

/// A benchmark that waits for a plugin.
async fn waiting(database: &Database, plugin: &Plugin) -> Benchmark {
    let waiting = benchmark();
    let task = plugin.pin();
    let waiting = Benchmark { plan: Plan { task, ..waiting.plan }, ..waiting };
    database.benchmarks().insert(&waiting, None, None).await.unwrap();
    waiting
}

async fn disable(database: &Database, version: &str) {
    let plugin = read(database, version).await;
    let decisions = Decisions { enabled: false, reason: Some("odd scores".to_owned()), ..plugin.decisions() };
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.decide(&plugin, &decisions, &[entry(Action::DisablePlugin)]).await.unwrap();
}

async fn enable(database: &Database, version: &str) {
    let plugin = read(database, version).await;
    let decisions = Decisions { enabled: true, reason: None, ..plugin.decisions() };
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.decide(&plugin, &decisions, &[entry(Action::EnablePlugin)]).await.unwrap();
}

async fn actions(database: &Database) -> Vec<Action> {
    let log: &dyn AuditLog = &database.storage;
    log.list(None, 100).await.unwrap().items.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn a_waiting_benchmark_is_held_while_its_plugin_is_disabled() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let waiting = waiting(&database, &plugin).await;
    disable(&database, "1.0.0").await;

    let benchmarks = database.benchmarks();
    assert_eq!(benchmarks.claim(WorkerId::new(), at(2), at(60)).await.unwrap(), None);
    let held = benchmarks.find(waiting.id).await.unwrap().unwrap();
    let reason = Some("odd scores".to_owned());
    assert_eq!((held.status, held.task_standing), (Status::Queued, Standing::Disabled { reason }));

    enable(&database, "1.0.0").await;
    let claimed = benchmarks.claim(WorkerId::new(), at(3), at(60)).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.task_standing), (waiting.id, Standing::Enabled));
    assert_eq!(actions(&database).await, [Action::EnablePlugin, Action::DisablePlugin]);
}

#[tokio::test]
async fn a_running_benchmark_learns_from_its_lease_that_its_plugin_is_blocked() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let running = waiting(&database, &plugin).await;
    let (benchmarks, worker) = (database.benchmarks(), WorkerId::new());
    benchmarks.claim(worker, at(2), at(60)).await.unwrap().unwrap();
    assert_eq!(benchmarks.renew(running.id, worker, at(61)).await.unwrap(), Lease::Held);

    let block = Block { digest: plugin.digest.clone(), reason: "steals".to_owned(), blocked_at: at(3) };
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.block(&block, &entry(Action::BlockPlugin)).await.unwrap();
    assert_eq!(benchmarks.renew(running.id, worker, at(62)).await.unwrap(), Lease::TaskUnusable);
    benchmarks.request_cancel(running.id, at(4)).await.unwrap();
    assert_eq!(benchmarks.renew(running.id, worker, at(63)).await.unwrap(), Lease::CancelRequested);

    // One that is to be cancelled is claimed all the same: else nobody would end it.
    benchmarks.release(running.id, worker).await.unwrap();
    let claimed = benchmarks.claim(WorkerId::new(), at(5), at(70)).await.unwrap().unwrap();
    assert!(claimed.cancel_requested);
    assert_eq!(claimed.task_standing, Standing::Blocked { reason: "steals".to_owned() });
}

#[tokio::test]
async fn a_blocked_content_does_not_come_in_again_and_an_unblocked_one_does() {
    let database = Database::new().await;
    let plugins: &dyn PluginRepository = &database.storage;
    let block = |reason: &str, seconds| Block {
        digest: "aa".repeat(32),
        reason: reason.to_owned(),
        blocked_at: at(seconds),
    };
    plugins.block(&block("steals", 1), &entry(Action::BlockPlugin)).await.unwrap();
    plugins.block(&block("steals keys", 2), &entry(Action::BlockPlugin)).await.unwrap();
    assert_eq!(plugins.blocks().await.unwrap(), [block("steals keys", 2)]);

    let plugin = common::plugin("task", "1.0.0", "aa", 3);
    let error = plugins.insert(&plugin, Some(&entry(Action::UploadPlugin))).await.unwrap_err();
    assert_eq!(error.code, "plugin-blocked");
    assert!(error.message.contains("steals keys"), "{error}");
    assert_eq!(actions(&database).await, [Action::BlockPlugin, Action::BlockPlugin]);

    plugins.unblock(&plugin.digest, &entry(Action::UnblockPlugin)).await.unwrap();
    assert_eq!(plugins.find_block(&plugin.digest).await.unwrap(), None);
    plugins.insert(&plugin, None).await.unwrap();
    let again = plugins.unblock(&plugin.digest, &entry(Action::UnblockPlugin)).await.unwrap_err();
    assert_eq!(again.code, "block-not-found");
}

#[tokio::test]
async fn one_version_is_the_default_and_a_decision_moves_it() {
    let (database, first) = with_plugin("1.0.0", "aa").await;
    let second = add(&database, "2.0.0", "bb", 2).await;
    assert!(first.is_default && !second.is_default);
    let plugins: &dyn PluginRepository = &database.storage;
    let chosen = Decisions { is_default: true, ..second.decisions() };
    plugins.decide(&second, &chosen, &[entry(Action::ChooseDefault)]).await.unwrap();
    assert!(!read(&database, "1.0.0").await.is_default);
    assert!(read(&database, "2.0.0").await.is_default);

    // Whoever decides about what they saw before that is told.
    let stale = plugins.decide(&first, &first.decisions(), &[entry(Action::EnablePlugin)]).await.unwrap_err();
    assert_eq!(stale.code, "plugin-changed");
    assert_eq!(actions(&database).await, [Action::ChooseDefault]);
}

#[tokio::test]
async fn a_chosen_version_stays_the_default_when_the_program_brings_another() {
    let database = Database::new().await;
    let plugins: &dyn PluginRepository = &database.storage;
    let bundled = |version: &str, digest: &str, seconds| Plugin {
        origin: Origin::Bundled,
        ..common::plugin("task", version, digest, seconds)
    };
    plugins.insert(&bundled("1.0.0", "aa", 1), None).await.unwrap();
    plugins.insert(&bundled("2.0.0", "bb", 2), None).await.unwrap();
    let older = read(&database, "1.0.0").await;
    let chosen = Decisions { is_default: true, ..older.decisions() };
    plugins.decide(&older, &chosen, &[]).await.unwrap();

    plugins.insert(&bundled("2.0.0", "bb", 3), None).await.unwrap();
    plugins.insert(&bundled("3.0.0", "cc", 4), None).await.unwrap();
    assert!(read(&database, "1.0.0").await.is_default);
}

#[tokio::test]
async fn grants_are_kept_with_the_version() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let mut decisions = plugin.decisions();
    decisions.grants.parts.insert("judge".to_owned());
    decisions.grants.limits.insert("fuel".to_owned(), 7);
    let plugins: &dyn PluginRepository = &database.storage;
    plugins.decide(&plugin, &decisions, &[entry(Action::GrantPlugin)]).await.unwrap();
    assert_eq!(read(&database, "1.0.0").await.grants, decisions.grants);
}

#[tokio::test]
async fn a_version_that_nothing_pins_is_removed_and_the_newest_left_becomes_the_default() {
    let (database, _) = with_plugin("1.0.0", "aa").await;
    for (version, digest, seconds) in [("2.0.0", "bb", 2), ("3.0.0", "cc", 3)] {
        add(&database, version, digest, seconds).await;
    }
    disable(&database, "3.0.0").await;
    let plugins: &dyn PluginRepository = &database.storage;
    let first = read(&database, "1.0.0").await;
    plugins.remove(&first, false, &entry(Action::RemovePlugin)).await.unwrap();
    let left: Vec<_> =
        plugins.list().await.unwrap().into_iter().map(|plugin| (plugin.version, plugin.is_default)).collect();
    assert_eq!(left, [("3.0.0".to_owned(), false), ("2.0.0".to_owned(), true)]);
}

#[tokio::test]
async fn a_pinned_version_is_removed_by_force_alone_and_its_history_stays() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let pinned = waiting(&database, &plugin).await;
    let plugins: &dyn PluginRepository = &database.storage;
    let error = plugins.remove(&plugin, false, &entry(Action::RemovePlugin)).await.unwrap_err();
    assert_eq!(error.code, "plugin-referenced");
    assert!(error.message.starts_with("1 benchmarks pin"), "{error}");
    assert_eq!(actions(&database).await, []);

    plugins.remove(&plugin, true, &entry(Action::RemovePlugin)).await.unwrap();
    let removed = read(&database, "1.0.0").await;
    assert_eq!((removed.standing, removed.is_default), (Standing::Removed, false));
    let benchmarks = database.benchmarks();
    assert_eq!(benchmarks.unfinished(&plugin.digest).await.unwrap(), [pinned.id]);
    assert_eq!(benchmarks.find(pinned.id).await.unwrap().unwrap().task_standing, Standing::Removed);

    // The name and version still mean that content, which may come again.
    let other = common::plugin("task", "1.0.0", "bb", 5);
    assert_eq!(plugins.insert(&other, None).await.unwrap_err().code, "plugin-version-exists");
    plugins.insert(&common::plugin("task", "1.0.0", "aa", 6), None).await.unwrap();
    let again = read(&database, "1.0.0").await;
    assert_eq!((again.standing, again.is_default), (Standing::Enabled, true));
}

#[tokio::test]
async fn benchmarks_of_one_content_are_listed() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let mine = waiting(&database, &plugin).await;
    database.benchmarks().insert(&benchmark(), None, None).await.unwrap();
    let filter = BenchmarkFilter { status: Some(Status::Queued), task_digest: Some(plugin.digest.clone()) };
    let listed = database.benchmarks().list(&filter, None, 10).await.unwrap().items;
    assert_eq!(listed.iter().map(|benchmark| benchmark.id).collect::<Vec<_>>(), [mine.id]);
    let filter = BenchmarkFilter { status: Some(Status::Completed), ..filter };
    assert_eq!(database.benchmarks().list(&filter, None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn statistics_count_samples_of_all_benchmarks_of_a_content() {
    let (database, plugin) = with_plugin("1.0.0", "aa").await;
    let plugins: &dyn PluginRepository = &database.storage;
    assert_eq!(plugins.statistics(&plugin.digest).await.unwrap(), PluginStatistics::default());

    let used = |index, sample: SampleRecord| SampleRecord {
        usage: GuestUsage { fuel: 100 * (index + 1), peak_memory_bytes: 10 * (index + 1), host_calls: 2 },
        ..sample
    };
    for half in 0..2_u64 {
        waiting(&database, &plugin).await;
        let worker = WorkerId::new();
        let claimed = database.benchmarks().claim(worker, at(2), at(60)).await.unwrap().unwrap();
        let samples: Vec<_> = (0..50)
            .map(|index| match index {
                0 => used(half * 50, failed(index, FailureKind::Trap)),
                _ => used(half * 50 + index, completed(index)),
            })
            .collect();
        database.benchmarks().record_samples(claimed.id, worker, &samples, 10).await.unwrap();
    }
    let statistics = plugins.statistics(&plugin.digest).await.unwrap();
    assert_eq!((statistics.benchmarks, statistics.samples), (2, 100));
    assert_eq!(statistics.failures.into_iter().collect::<Vec<_>>(), [(FailureKind::Trap, 2)]);
    // Nearest rank: the 50th and the 99th of a hundred.
    assert_eq!(statistics.fuel, Some(Percentiles { p50: 5_000, p99: 9_900 }));
    assert_eq!(statistics.peak_memory_bytes, Some(Percentiles { p50: 500, p99: 990 }));
}
