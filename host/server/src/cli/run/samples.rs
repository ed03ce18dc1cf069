//! The samples of a benchmark in a file.

use llm_bench_core::id::BenchmarkId;
use llm_bench_core::sample::SampleRecord;
use llm_bench_core::{Error, Result};
use serde::Serialize;

use crate::app::App;
use crate::cli::output::ResultFile;
use crate::view::SampleView;

/// Samples read back at once.
const PAGE: u32 = 100;

/// A sample as it stands in the file.
#[derive(Serialize)]
struct Line<'preset> {
    #[serde(flatten)]
    sample: SampleView,
    /// The member of a group that the sample belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<&'preset str>,
}

/// Appends the samples of a benchmark, a line each; those of a group's member bear its name.
pub(super) async fn write(
    app: &App,
    id: BenchmarkId,
    preset: Option<&str>,
    file: &mut ResultFile<'_>,
) -> Result<()> {
    let mut page = app.benchmarks.samples(id, None, PAGE).await?;
    loop {
        let (samples, preset) = (page.items, preset.map(str::to_owned));
        let lines = tokio::task::spawn_blocking(move || lines(samples, preset.as_deref()));
        // The next ones are read meanwhile.
        let next = match page.next {
            Some(after) => Some(app.benchmarks.samples(id, Some(after), PAGE).await?),
            None => None,
        };
        let lines = lines.await.map_err(|error| {
            Error::internal("samples-writer-stopped", "writing the samples stopped").because(error)
        })?;
        file.write(&lines?)?;
        let Some(next) = next else { return Ok(()) };
        page = next;
    }
}

fn lines(samples: Vec<SampleRecord>, preset: Option<&str>) -> Result<String> {
    let mut lines = String::new();
    for sample in samples {
        let line = Line { sample: SampleView::from(sample), preset };
        lines += &serde_json::to_string(&line)
            .map_err(|error| Error::internal("not-json", "cannot write a sample as JSON").because(error))?;
        lines.push('\n');
    }
    Ok(lines)
}
