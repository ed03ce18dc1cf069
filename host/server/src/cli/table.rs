//! Results for people.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use llm_bench_core::statistics::REPLICATES;

use super::plain;
use crate::view::{AgreementView, BenchmarkView, GroupView, MemberView, MetricView, SourceView};

/// A table with a header; the columns named in `right` hold numbers.
pub(super) fn table(header: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row);
    }
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

/// One benchmark: what was measured, the metrics, the speed.
pub(super) fn benchmark(view: &BenchmarkView) -> String {
    let mut text = format!(
        "{} · {} · {}/{} · {}\n{} of {} samples completed, {} failed",
        view.model,
        view.task,
        view.dataset,
        view.split,
        view.status,
        view.samples.completed,
        view.samples.total,
        view.samples.failed
    );
    for (kind, count) in &view.failures {
        let _ = write!(text, ", {kind} {count}");
    }
    text.push('\n');
    if let Some(held) = &view.held {
        let _ = writeln!(text, "held: {held}");
    } else if view.task_status == "blocked" {
        let reason = view.task_status_reason.as_deref().unwrap_or_default();
        let _ = writeln!(text, "its task is blocked since: {reason}");
    }
    if let Some(source) = &view.source {
        text.push_str(&of_source(source));
    }
    text.push('\n');
    if !view.metrics.is_empty() {
        text.push_str(&metrics(&view.metrics));
        for metric in &view.metrics {
            if let Some(replicates) = metric.bootstrap_replicates.filter(|taken| *taken < REPLICATES) {
                let name = name(metric);
                let _ = writeln!(
                    text,
                    "± of {name}: {replicates} bootstrap replicates instead of {REPLICATES}, for the many samples"
                );
            }
        }
        text.push('\n');
    }
    if let Some(speed) = view.speed.as_ref().filter(|_| view.source.is_some()) {
        let _ = write!(text, "{:.2} s, no speed of a model", speed.active_s);
    } else if let Some(speed) = &view.speed {
        let _ = write!(
            text,
            "{} samples/s, {} prompt and {} generated tokens/s, {:.2} s",
            rate(speed.samples_per_s, 1),
            rate(speed.prompt_tokens_per_s, 0),
            rate(speed.completion_tokens_per_s, 0),
            speed.active_s
        );
    }
    if let Some(hardware) = &view.hardware {
        let _ = write!(text, ", peak memory {}", bytes(hardware.peak_process_memory_bytes));
    }
    text.push('\n');
    if let Some(speed) = view.speed.filter(|speed| view.source.is_none() && speed.cached_calls > 0) {
        let _ = writeln!(
            text,
            "{} of {} samples have answers from the response cache ({} calls), so there are no rates; --no-response-cache \
             asks the model again",
            speed.cached_samples,
            view.samples.completed + view.samples.failed,
            speed.cached_calls
        );
    }
    text
}

pub(super) fn metrics(metrics: &[MetricView]) -> String {
    let row = |metric: &MetricView| {
        let (value, stderr, count) = (number(metric.value), number(metric.stderr), metric.count.to_string());
        vec![name(metric), value, stderr, interval(metric.ci95), count]
    };
    let header = ["metric", "value", "± stderr", "95 % interval", "samples"];
    let mut text = table(&header, &[1, 2, 3, 4], metrics.iter().map(row).collect());
    for metric in metrics {
        if let Some(reason) = &metric.reason {
            let _ = writeln!(text, "{}: {}", name(metric), plain::message(reason));
        }
    }
    text
}

/// Where the answers of a benchmark come from, and whether it came to the same.
fn of_source(source: &SourceView) -> String {
    let mut text = format!("{}, of {}", source.summary(), source.task);
    match &source.agreement {
        Some(agreement) if agreement.identical => {
            let _ = write!(text, ": all {} samples are identical", agreement.compared);
        }
        Some(agreement) => {
            let _ = write!(text, ": {}", differing(agreement));
        }
        None => {}
    }
    text.push('\n');
    text
}

/// How many samples differ, and which.
pub(super) fn differing(agreement: &AgreementView) -> String {
    const SHOWN: usize = 10;
    let named: Vec<_> = agreement.samples.iter().take(SHOWN).map(String::as_str).collect();
    let more = if agreement.differing > named.len() as u64 { ", …" } else { "" };
    let (differing, compared) = (agreement.differing, agreement.compared);
    format!("{differing} of {compared} samples differ: {}{more}", named.join(", "))
}

/// A group: how each member ended, with its metrics, and these together.
pub(super) fn group(view: &GroupView) -> String {
    let row = |name: &str, status: &str, metric: &MetricView| {
        let (value, stderr) = (number(metric.value), number(metric.stderr));
        let cells = [name, status, &self::name(metric), &value, &stderr, &metric.count.to_string()];
        cells.map(str::to_owned).to_vec()
    };
    let mut rows = Vec::new();
    for MemberView { name, benchmark } in &view.members {
        if benchmark.metrics.is_empty() {
            rows.push([name, &benchmark.status, "–", "–", "–", "0"].map(str::to_owned).to_vec());
        }
        rows.extend(benchmark.metrics.iter().map(|metric| row(name, &benchmark.status, metric)));
    }
    rows.extend(view.metrics.iter().map(|metric| row(&view.group, "", metric)));
    let mut text = table(&["preset", "status", "metric", "value", "± stderr", "samples"], &[3, 4, 5], rows);
    let failed: u64 = view.members.iter().map(|member| member.benchmark.samples.failed).sum();
    let _ = write!(text, "\n{} presets run, {failed} samples failed", view.members.len());
    if let Some(first) = view.skipped.first() {
        let _ = write!(text, "; {} not run, such as {}: {}", view.skipped.len(), first.name, first.reason);
    }
    text.push('\n');
    text
}

pub(super) fn name(metric: &MetricView) -> String {
    metric_name(&metric.name, metric.filter.as_deref())
}

pub(super) fn metric_name(name: &str, filter: Option<&str>) -> String {
    filter.map_or(name.to_owned(), |filter| format!("{name} ({filter})"))
}

pub(super) fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.4}"))
}

pub(super) fn interval(ends: Option<[f64; 2]>) -> String {
    ends.map_or("–".to_owned(), |[low, high]| format!("{low:.4} … {high:.4}"))
}

/// So many of something in a second; a dash where there is nothing to count.
pub(super) fn rate(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.decimals$}"))
}

pub(super) fn bytes(count: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = count as f64 / MIB;
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}
