//! The monitor on the machine that runs the tests.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use llm_bench_core::clock::SystemClock;
use llm_bench_core::hardware::{Gpus, HardwareMonitor, HardwareReading};
use llm_bench_hardware::SystemMonitor;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn start(cancel: &CancellationToken) -> SystemMonitor {
    SystemMonitor::start(Duration::from_millis(200), Arc::new(SystemClock), Vec::new, cancel.clone())
}

async fn next(readings: &mut watch::Receiver<HardwareReading>) -> HardwareReading {
    readings.changed().await.unwrap();
    readings.borrow_and_update().clone()
}

#[test]
fn a_reading_is_there_at_once_without_a_runtime() {
    let monitor = start(&CancellationToken::new());
    let reading = monitor.readings().borrow().clone();
    assert!(reading.process_memory_bytes > 1 << 20, "{reading:?}");
    assert!(reading.used_memory_bytes > 0, "{reading:?}");
    let info = monitor.info();
    assert!(reading.used_memory_bytes <= info.total_memory_bytes, "{reading:?} {info:?}");
    assert!(info.logical_cores >= 1 && !info.cpu.is_empty() && !info.operating_system.is_empty(), "{info:?}");
}

#[tokio::test]
async fn readings_arrive_in_order_and_show_the_process_at_work() {
    let monitor = start(&CancellationToken::new());
    let mut readings = monitor.readings();
    let first = readings.borrow_and_update().clone();
    let second = next(&mut readings).await;
    assert!(second.at > first.at);

    let at_work = std::thread::spawn({
        let mut readings = monitor.readings();
        readings.mark_unchanged();
        move || {
            let mut work = 0_u64;
            let mut busiest: f32 = 0.0;
            for _ in 0..5 {
                while !readings.has_changed().unwrap() {
                    work = black_box(work.wrapping_mul(31) + 1);
                }
                busiest = busiest.max(readings.borrow_and_update().process_cpu_percent);
            }
            busiest
        }
    })
    .join()
    .unwrap();
    let full = 100.0 * f32::from(u16::try_from(monitor.info().logical_cores).unwrap());
    assert!(at_work > 5.0 && at_work <= full, "a thread at full load shows as {at_work} % of {full} %");
}

#[tokio::test]
async fn memory_that_is_touched_shows_in_the_process() {
    let monitor = start(&CancellationToken::new());
    let mut readings = monitor.readings();
    let before = next(&mut readings).await.process_memory_bytes;
    let touched = black_box(vec![1_u8; 200 << 20]);
    // The next reading may have been taken while memory was still being touched; the one after it was not.
    next(&mut readings).await;
    let after = next(&mut readings).await.process_memory_bytes;
    assert!(after >= before + (150 << 20), "{before} bytes before, {after} after {}", touched.len());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_memory_of_a_child_counts_while_it_lives() {
    let child = Arc::new(std::sync::Mutex::new(Vec::new()));
    let children = {
        let child = child.clone();
        move || child.lock().unwrap().clone()
    };
    let cancel = CancellationToken::new();
    let monitor =
        SystemMonitor::start(Duration::from_millis(200), Arc::new(SystemClock), children, cancel.clone());
    let mut readings = monitor.readings();
    let alone = next(&mut readings).await.process_memory_bytes;
    // `tail` keeps what it read, which has no line break.
    let mut process = std::process::Command::new("tail")
        .args(["-c", "200000000"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stdin = process.stdin.as_mut().unwrap();
    std::io::Write::write_all(stdin, &vec![b'x'; 200_000_000]).unwrap();
    child.lock().unwrap().push(process.id());
    next(&mut readings).await;
    let together = next(&mut readings).await.process_memory_bytes;
    assert!(together >= alone + (150 << 20), "{alone} bytes alone, {together} together");
    process.kill().unwrap();
    process.wait().unwrap();
    next(&mut readings).await;
    let after = next(&mut readings).await.process_memory_bytes;
    assert!(after < alone + (50 << 20), "{alone} bytes before, {after} after");
}

#[test]
fn an_absent_gpu_is_said_with_its_reason_and_a_present_one_with_its_memory() {
    let monitor = start(&CancellationToken::new());
    let reading = monitor.readings().borrow().clone();
    match monitor.info().gpus {
        Gpus::Absent { reason } => {
            assert!(reason.contains("NVIDIA") || reason.contains("GPU"), "{reason}");
            assert!(reading.gpus.is_empty());
        }
        Gpus::Present { devices } => {
            assert_eq!(devices.len(), reading.gpus.len());
            assert!(
                devices.iter().all(|device| device.memory_bytes > 0 && !device.name.is_empty()),
                "{devices:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_sampler_ends_with_its_token() {
    let cancel = CancellationToken::new();
    let monitor = start(&cancel);
    let mut readings = monitor.readings();
    next(&mut readings).await;
    cancel.cancel();
    while readings.changed().await.is_ok() {}
    assert!(readings.borrow().process_memory_bytes > 0, "the last reading stays");
}
