//! Works off the queue.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Orchestrator;
use super::execute::WhenStopped;
use super::lease::Claim;
use crate::Result;
use crate::benchmark::Benchmark;
use crate::id::WorkerId;

impl Orchestrator {
    /// Claims and executes benchmarks until `stop` is cancelled and what was in hand is finished or released.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        let mut executing = JoinSet::new();
        while !stop.is_cancelled() {
            if executing.len() < self.settings.parallel_benchmarks {
                match self.claim().await {
                    Ok(Some((benchmark, claim))) => {
                        executing.spawn(self.clone().execute_claimed(benchmark, claim, stop.clone()));
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(?error, "cannot look into the queue"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.submitted.notified() => {}
                Some(_) = executing.join_next() => {}
                () = tokio::time::sleep(self.settings.poll) => {}
            }
        }
        while executing.join_next().await.is_some() {}
    }

    async fn claim(&self) -> Result<Option<(Benchmark, Claim)>> {
        let now = self.ports.clock.now();
        let worker = WorkerId::new();
        let claimed = self.ports.benchmarks.claim(worker, now, self.lease_end(now)).await?;
        if let Some(benchmark) = &claimed {
            tracing::info!(benchmark = %benchmark.id, done = benchmark.progress.finished(), "claimed");
            self.announce(benchmark, benchmark.progress);
        }
        Ok(claimed.map(|benchmark| {
            let claim = Claim { id: benchmark.id, worker };
            (benchmark, claim)
        }))
    }

    async fn execute_claimed(self: Arc<Self>, benchmark: Benchmark, claim: Claim, stop: CancellationToken) {
        if let Err(error) = self.execute(&benchmark, claim, &stop, WhenStopped::Release).await {
            // What is stored stays; the lease runs out and the benchmark is claimed again.
            tracing::error!(benchmark = %benchmark.id, ?error, "cannot store what a benchmark did");
        }
    }
}
