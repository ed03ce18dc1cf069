//! `llm-bench demo`: the whole product in half a minute, through its own HTTP API.

mod client;

use indicatif::{MultiProgress, ProgressBar};
use llm_bench_core::{Error, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::serve::Server;
use super::{ExitCode, output, run, stop, table, verify};
use crate::app::AppConfig;
use crate::installation::Installation;
use crate::view::BenchmarkView;
use client::Client;

/// The model that ships with the program.
const MODEL: &str = "tiny-llama";
/// What the built-in tasks are tried on: task, dataset, few-shot examples.
const TOUR: [(&str, &str, u32); 6] = [
    ("multiple-choice", "capitals", 0),
    ("multiple-choice", "opposites", 0),
    ("multiple-choice", "arithmetic", 2),
    ("generate-until", "reading", 0),
    ("log-likelihood", "stories", 0),
    ("perplexity", "stories", 0),
];
/// The benchmark of the tour that runs again beside the attacks: the longest one.
const NEIGHBOUR: usize = 2;
/// The benchmark of the tour whose score is verified.
const HONEST: usize = 0;
/// What the stranger's plugin tries, as its config calls it and as a person would, and how that must end.
const ATTACKS: [(&str, &str, &str); 5] = [
    ("read-file", "read a file", "denied"),
    ("open-socket", "open a socket", "denied"),
    ("spin", "loop for ever", "fuel-exhausted"),
    ("memory-bomb", "take all memory", "memory-limit"),
    ("panic", "panic", "trap"),
];

pub(super) async fn demo() -> Result<ExitCode> {
    let interrupted = stop::on_signal()?;
    tokio::select! {
        ended = tour() => ended,
        () = interrupted.cancelled() => Err(Error::cancelled("the demo was stopped")),
    }
}

async fn tour() -> Result<ExitCode> {
    let installation = Installation::locate()?;
    let folder = tempfile::tempdir().map_err(|error| {
        Error::unavailable("no-temporary-folder", format!("cannot make a temporary folder: {error}"))
    })?;
    let stop = CancellationToken::new();
    let config = AppConfig { data_dir: Some(folder.path().to_owned()), ..AppConfig::default() };
    let server = Server::start(([127, 0, 0, 1], 0).into(), config, stop.clone()).await?;
    let client = Client::new(server.address);
    output::print(&format!("A host with an empty data folder listens on http://{}.\n\n", server.address))?;

    let benchmarks = measure(&client).await?;
    let untouched = contain(&client, &installation, &benchmarks).await?;
    let exposed = expose(&client, &installation, &benchmarks).await?;

    stop.cancel();
    server.finished().await?;
    output::print(FAREWELL)?;
    let complete = benchmarks.iter().all(|benchmark| benchmark.status == "completed");
    Ok(if complete && untouched && exposed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const FAREWELL: &str = "
Start the server:        llm-bench serve
Measure your own model:  llm-bench run --model FOLDER_WITH_ONNX_MODEL --task multiple-choice --dataset capitals
";

/// Runs one benchmark per task and dataset and prints what they come to.
async fn measure(client: &Client) -> Result<Vec<BenchmarkView>> {
    output::print(&format!("1. Every built-in task measures the bundled model {MODEL}.\n\n"))?;
    let bars = MultiProgress::new();
    let mut benchmarks = Vec::new();
    for (task, dataset, few_shot) in TOUR {
        let created = client.create(&order(task, dataset, few_shot)).await?;
        let bar = bars.add(ProgressBar::new(created.samples.total).with_style(run::progress_style()));
        bar.set_prefix(dataset);
        let ended = client
            .wait(&created.id, |benchmark| {
                bar.set_position(benchmark.samples.completed + benchmark.samples.failed);
            })
            .await?;
        bar.finish();
        benchmarks.push(ended);
    }
    let header = [
        "task",
        "dataset",
        "shots",
        "samples",
        "metrics ± standard error",
        "samples/s",
        "prompt tok/s",
        "generated tok/s",
        "peak memory",
    ];
    output::print(&table::table(&header, &[2, 3, 5, 6, 7, 8], benchmarks.iter().map(row).collect()))?;
    Ok(benchmarks)
}

/// Speed is shown, and that the model answers as before: so the model is asked.
fn order(task: &str, dataset: &str, few_shot: u32) -> serde_json::Value {
    json!({
        "model": MODEL, "task": task, "dataset": dataset, "few_shot": few_shot, "response_cache": false,
    })
}

fn row(benchmark: &BenchmarkView) -> Vec<String> {
    let metrics: Vec<_> = benchmark
        .metrics
        .iter()
        .map(|metric| match metric.stderr {
            Some(_) => format!(
                "{} {} ± {}",
                table::name(metric),
                table::number(metric.value),
                table::number(metric.stderr)
            ),
            None => format!("{} {}", table::name(metric), table::number(metric.value)),
        })
        .collect();
    let speed = |figure: fn(&crate::view::SpeedView) -> Option<f64>| {
        table::rate(benchmark.speed.as_ref().and_then(figure), 0)
    };
    vec![
        benchmark.task.clone(),
        benchmark.dataset.clone(),
        benchmark.few_shot.to_string(),
        format!("{}/{}", benchmark.samples.completed, benchmark.samples.total),
        metrics.join(", "),
        speed(|speed| speed.samples_per_s),
        speed(|speed| speed.prompt_tokens_per_s),
        speed(|speed| speed.completion_tokens_per_s),
        benchmark
            .hardware
            .as_ref()
            .map_or("–".to_owned(), |hardware| table::bytes(hardware.peak_process_memory_bytes)),
    ]
}

/// Uploads a stranger's plugin and runs its attacks beside a benchmark that must not notice. Says whether every
/// attack was refused and the neighbour's metrics are those it had without them.
async fn contain(client: &Client, installation: &Installation, benchmarks: &[BenchmarkView]) -> Result<bool> {
    let component = installation.hostile_plugin();
    let plugin = client.upload(&component).await?;
    output::print(&format!(
        "\n2. A stranger's plugin, {}@{}, is uploaded and attacks while another benchmark runs.\n\n",
        plugin.name, plugin.version
    ))?;
    let (task, dataset, few_shot) = TOUR[NEIGHBOUR];
    let neighbour = client.create(&order(task, dataset, few_shot)).await?;
    let mut rows = Vec::new();
    let mut all_refused = true;
    for (behaviour, attempt, expected) in ATTACKS {
        let order = json!({
            "model": MODEL, "task": plugin.name, "dataset": dataset, "limit": 1, "max_failed": 1.0,
            "budget": "small", "config": { "behaviour": behaviour },
        });
        let created = client.create(&order).await?;
        let ended = client.wait(&created.id, |_| {}).await?;
        let refusal = client.first_failure(&ended.id).await?;
        let (kind, message) = refusal.unwrap_or_else(|| ("NOT REFUSED".to_owned(), ended.status));
        all_refused &= kind == expected;
        rows.push(vec![attempt.to_owned(), kind, first_line(&message)]);
    }
    output::print(&table::table(&["it tries to", "the host says", ""], &[], rows))?;
    let neighbour = client.wait(&neighbour.id, |_| {}).await?;
    let undisturbed = neighbour.status == "completed"
        && benchmarks.get(NEIGHBOUR).is_some_and(|alone| alone.metrics == neighbour.metrics);
    let verdict = if undisturbed { "with the same metrics as before" } else { "BUT NOT as before" };
    output::print(&format!(
        "\nMeanwhile {} on {} ended as {}, {}/{} samples, {verdict}.\n",
        neighbour.task,
        neighbour.dataset,
        neighbour.status,
        neighbour.samples.completed,
        neighbour.samples.total
    ))?;
    Ok(all_refused && undisturbed)
}

/// Uploads a plugin that flatters the model, and verifies its score beside an honest one. Says whether the cheat was
/// found out, and the honest score is as trustworthy as it looks.
async fn expose(client: &Client, installation: &Installation, benchmarks: &[BenchmarkView]) -> Result<bool> {
    let plugin = client.upload(&installation.cheating_plugin()).await?;
    let (honest, dataset, _) = TOUR[HONEST];
    output::print(&format!(
        "\n3. Another stranger's plugin, {}@{}, flatters. Its solutions and those of {honest} are scored again,\n   also \
         with the gold answers of other samples and blank.\n\n",
        plugin.name, plugin.version
    ))?;
    let created = client.create(&order(&plugin.name, dataset, 0)).await?;
    let flattered = client.wait(&created.id, |_| {}).await?;
    let mut rows = Vec::new();
    let mut trusted = Vec::new();
    for benchmark in benchmarks.get(HONEST).into_iter().chain([&flattered]) {
        let verified = client.verify(&benchmark.id).await?;
        for metric in &verified.metrics {
            rows.push(vec![
                benchmark.task.clone(),
                metric.name.clone(),
                table::number(metric.real.value),
                table::number(metric.shuffled.value),
                table::number(metric.blank.value),
                if verified.agreement.identical { "as stored" } else { "NOT AS STORED" }.to_owned(),
                verify::in_words(&metric.verdict).to_owned(),
            ]);
        }
        trusted.push(verified.agreement.identical && !verified.ignores_gold);
    }
    let header = ["task", "metric", "own gold", "shuffled gold", "blank", "scored again", "verdict"];
    output::print(&table::table(&header, &[2, 3, 4], rows))?;
    Ok(trusted == [true, false])
}

fn first_line(message: &str) -> String {
    const SHOWN: usize = 100;
    let line = message.lines().next().unwrap_or("");
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    line.chars().take(SHOWN).chain(std::iter::once('…')).collect()
}
