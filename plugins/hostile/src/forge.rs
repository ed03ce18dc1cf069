//! Does what safe Rust forbids, as a plugin in C or by hand would.

#![expect(unsafe_code, reason = "this is the harm")]

use std::hint::black_box;

use llm_bench_plugin_sdk::prelude::*;

use crate::probe;

/// What is taken to look for others' traces: most of what a small budget has.
const SCAVENGED_PAGES: usize = 512;

/// A string that is none.
pub(crate) fn no_text() -> String {
    // SAFETY: it is not sound. Nobody in this component looks at the bytes again: they are handed over as they are.
    unsafe { String::from_utf8_unchecked(vec![b'x', 0xff, 0xfe]) }
}

/// Writes one byte where nothing of its own lies.
pub(crate) fn write(address: usize) -> Solution {
    let place = std::ptr::without_provenance_mut::<u8>(black_box(address));
    // SAFETY: it is not sound. Address 0 of a WebAssembly memory can be written, and nothing lies there; what is past
    // the memory traps.
    unsafe { place.write_volatile(1) };
    Solution::answer("harmless")
}

/// Reads memory that is new to it, byte for byte.
pub(crate) fn scavenge() -> Result<Solution> {
    const PAGE: usize = 65_536;
    #[cfg(target_arch = "wasm32")]
    let first = core::arch::wasm32::memory_grow(0, SCAVENGED_PAGES) * PAGE;
    #[cfg(not(target_arch = "wasm32"))]
    let first = vec![0_u8; SCAVENGED_PAGES * PAGE].leak().as_ptr().addr();
    // SAFETY: these pages were taken above, and nobody else has them. Where none were to be had, the address is past all
    // memory, and reading traps.
    let memory = unsafe {
        std::slice::from_raw_parts(std::ptr::with_exposed_provenance(first), SCAVENGED_PAGES * PAGE)
    };
    match trace(memory) {
        Some((place, trace)) => Ok(probe::read(format!("{trace} at {place}"))),
        None => Err(probe::refused("what others left in memory", "there is nothing")),
    }
}

/// Where the first byte is that nobody has cleared, and what it is.
fn trace(memory: &[u8]) -> Option<(usize, u8)> {
    black_box(memory).iter().copied().enumerate().find(|(_, byte)| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::trace;

    #[test]
    fn a_trace_is_found_and_clean_memory_has_none() {
        assert_eq!(trace(&[0, 0, 7, 8]), Some((2, 7)));
        assert_eq!(trace(&[0; 100]), None);
    }
}
