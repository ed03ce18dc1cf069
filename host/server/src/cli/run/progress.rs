//! How far a run is.

use indicatif::{ProgressBar, ProgressStyle};
use llm_bench_core::orchestrator::Event;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// A bar on standard error, when that is a terminal.
pub(super) async fn show(mut events: broadcast::Receiver<Event>) {
    let bar = ProgressBar::new(0).with_style(style());
    loop {
        match events.recv().await {
            Ok(event) => {
                bar.set_length(event.progress.total);
                bar.set_position(event.progress.finished());
                if event.progress.failed > 0 {
                    bar.set_message(format!("{} failed", event.progress.failed));
                }
                if event.status.has_ended() {
                    bar.finish_and_clear();
                }
            }
            // A bar that missed some steps shows the next one.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

pub(in crate::cli) fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:24} {bar:32} {pos}/{len} {per_sec:>12} {eta:>4} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
