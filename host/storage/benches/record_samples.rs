//! How fast finished samples are stored: 10,000 of one call with four choices each, in batches of 100.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../tests/it/common.rs"]
#[expect(dead_code, reason = "the suites use the rest")]
mod common;

use std::time::Instant;

use common::{Database, completed};
use futures::TryStreamExt;

const SAMPLES: u64 = 10_000;
const BATCH: u64 = 100;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let database = Database::new().await;
        let (id, worker) = database.running().await;
        let batches: Vec<Vec<_>> = (0..SAMPLES / BATCH)
            .map(|batch| (batch * BATCH..(batch + 1) * BATCH).map(completed).collect())
            .collect();

        let start = Instant::now();
        for batch in &batches {
            database.benchmarks().record_samples(id, worker, batch, 1).await.expect("samples are stored");
        }
        report("recorded", start);

        let start = Instant::now();
        let mut after = None;
        loop {
            let page = database.benchmarks().samples(id, after, 100).await.expect("samples are read");
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        report("read back in pages of 100", start);

        let start = Instant::now();
        let measurements: u64 = database
            .benchmarks()
            .measurements(id, None)
            .try_fold(0, |count, _| async move { Ok(count + 1) })
            .await
            .expect("measurements are read");
        report(&format!("streamed the {measurements} measurements of"), start);

        database.storage.close().await;
        let bytes = std::fs::metadata(&database.path).expect("the database is there").len();
        println!("{} bytes a sample", bytes / SAMPLES);
    });
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn report(what: &str, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what} {SAMPLES} samples in {seconds:.2} s: {:.0} a second", SAMPLES as f64 / seconds);
}
