//! Time as a guest sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::guest::clock::give_way;

/// Nanoseconds since 1970 and since the guest began: both are 0, and move only while the guest sleeps.
#[derive(Clone, Default)]
pub(crate) struct VirtualTime(Arc<AtomicU64>);

impl HostMonotonicClock for VirtualTime {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl HostWallClock for VirtualTime {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(HostMonotonicClock::now(self))
    }
}

/// The time and where its alarms are kept.
pub(crate) struct TimeView<'a> {
    pub(crate) time: &'a VirtualTime,
    pub(crate) table: &'a mut ResourceTable,
}

/// Tells wasmtime how to borrow a [`TimeView`].
pub(crate) struct HasVirtualTime;

impl HasData for HasVirtualTime {
    type Data<'a> = TimeView<'a>;
}

/// Waiting for it is what makes time pass.
struct Alarm {
    time: VirtualTime,
    at: u64,
}

#[async_trait::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        self.time.0.fetch_max(self.at, Ordering::Relaxed);
        // A guest that only sleeps burns next to no fuel, so it has to yield here.
        give_way().await;
    }
}

impl monotonic_clock::Host for TimeView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::now(self.time))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::resolution(self.time))
    }

    fn subscribe_instant(&mut self, at: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm { time: self.time.clone(), at })?;
        subscribe(self.table, alarm)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let at = HostMonotonicClock::now(self.time).saturating_add(duration);
        self.subscribe_instant(at)
    }
}
