//! Watches CPU, memory and GPU: one sampling thread, many readers.

mod gpu;
mod host;

use std::sync::Arc;
use std::time::Duration;

use llm_bench_core::clock::Clock;
use llm_bench_core::hardware::{HardwareInfo, HardwareMonitor, HardwareReading};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::gpu::GpuProbe;
use crate::host::HostProbe;

/// Shares of CPU time are differences between two looks; the kernel counts too coarsely for closer ones.
const SHORTEST_INTERVAL: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

/// Samples this machine.
#[derive(Debug)]
pub struct SystemMonitor {
    info: HardwareInfo,
    readings: watch::Receiver<HardwareReading>,
}

impl SystemMonitor {
    /// Takes a first reading and starts the thread that takes the others, one every `interval` (at least 200 ms).
    /// It ends when `cancel` is cancelled, or when the monitor and all its readers are gone.
    ///
    /// The CPU shares of the first reading look back to the start of the machine and of the process; a second one
    /// replaces it after 200 ms. `children` tells the ids of the processes whose use counts as this one's. Where the system tells nothing, the values stay at zero and the log says why.
    pub fn start(
        interval: Duration,
        clock: Arc<dyn Clock>,
        children: impl Fn() -> Vec<u32> + Send + 'static,
        cancel: CancellationToken,
    ) -> Self {
        let host = HostProbe::new();
        let gpu = GpuProbe::new(host.total_memory_bytes());
        let info = host.info(gpu.gpus().clone());
        let mut sampler = Sampler { host, gpu, clock, children: Box::new(children) };
        let (sender, readings) = watch::channel(sampler.read());
        let thread = std::thread::Builder::new()
            .name("hardware-monitor".to_owned())
            .spawn(move || sampler.run(interval.max(SHORTEST_INTERVAL), &sender, &cancel));
        if let Err(error) = thread {
            warn!(%error, "the hardware monitor could not start; its readings stay as they are");
        }
        Self { info, readings }
    }
}

impl HardwareMonitor for SystemMonitor {
    fn info(&self) -> HardwareInfo {
        self.info.clone()
    }

    fn readings(&self) -> watch::Receiver<HardwareReading> {
        self.readings.clone()
    }
}

struct Sampler {
    host: HostProbe,
    gpu: GpuProbe,
    clock: Arc<dyn Clock>,
    children: Box<dyn Fn() -> Vec<u32> + Send>,
}

impl Sampler {
    fn read(&mut self) -> HardwareReading {
        let host = self.host.read(&(self.children)());
        HardwareReading {
            at: self.clock.now(),
            cpu_percent: host.cpu_percent,
            process_cpu_percent: host.process_cpu_percent,
            process_memory_bytes: host.process_memory_bytes,
            used_memory_bytes: host.used_memory_bytes,
            gpus: self.gpu.read(),
        }
    }

    /// Publishes until nobody wants readings any more. The thread has a small runtime of its own, for waiting on
    /// the clock and on the end at once: what the driver does here blocks, and must block nobody else.
    fn run(
        mut self,
        interval: Duration,
        sender: &watch::Sender<HardwareReading>,
        cancel: &CancellationToken,
    ) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                warn!(%error, "the hardware monitor could not start; its readings stay as they are");
                return;
            }
        };
        runtime.block_on(async {
            let mut pause = SHORTEST_INTERVAL;
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = sender.closed() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                sender.send_replace(self.read());
                pause = interval;
            }
        });
    }
}
