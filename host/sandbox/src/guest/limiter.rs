//! Memory of a guest, summed over all of its linear memories (wasmtime's own limiter counts each alone).

use wasmtime::ResourceLimiter;

use crate::engine::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES};

/// Elements of all tables together.
const ALL_TABLE_ELEMENTS: usize = 10 * TABLE_ELEMENTS as usize;

/// Grants growth up to a sum, and remembers the highest sum and whether growth was denied: a guest mostly ends itself
/// by `unreachable` then, and the denial is the reason to tell.
pub(super) struct Limiter {
    limit: usize,
    bytes: usize,
    peak: usize,
    elements: usize,
    /// The growth that was granted last, to take back when the system refuses it after all.
    granted: usize,
    pub(super) denied: bool,
}

impl Limiter {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
        Self { limit, bytes: 0, peak: 0, elements: 0, granted: 0, denied: false }
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit as u64
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak as u64
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let bytes = self.bytes.saturating_add(growth);
        self.granted = 0;
        if bytes > self.limit {
            self.denied = true;
            return Ok(false);
        }
        // Past a memory's own maximum growth fails by itself and is nobody's denial.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.granted = growth;
            self.bytes = bytes;
            self.peak = self.peak.max(bytes);
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.bytes -= std::mem::take(&mut self.granted);
        tracing::debug!("a plugin's memory did not grow: {error:#}");
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add(desired.saturating_sub(current));
        let fits = elements <= ALL_TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            self.elements = elements;
        }
        self.denied |= elements > ALL_TABLE_ELEMENTS;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};

    use super::*;
    use crate::engine;

    const PAGE: usize = 65_536;

    /// Whether a component of these core modules, each with one instance, can be loaded and instantiated.
    async fn fits(modules: &[String]) -> bool {
        let defined = |(number, module): (usize, &String)| {
            format!("(core module $m{number} {module}) (core instance (instantiate $m{number}))")
        };
        let text: String = modules.iter().enumerate().map(defined).collect();
        let component = wat::parse_str(format!("(component {text})")).unwrap();
        let code = engine::compiling().unwrap().precompile_component(&component).unwrap();
        let engine = engine::running(1, 1 << 20).unwrap();
        #[expect(unsafe_code, reason = "the code was compiled two lines before")]
        let component = unsafe { Component::deserialize(&engine, code) };
        // What the pool has no room for is refused here already.
        let Ok(component) = component else { return false };
        let ready = Linker::new(&engine).instantiate_pre(&component).unwrap();
        let mut store = Store::new(&engine, Limiter::new(64 << 20));
        store.limiter(|limiter| limiter);
        store.set_fuel(1_000_000).unwrap();
        ready.instantiate_async(&mut store).await.is_ok()
    }

    #[tokio::test]
    async fn instances_memories_and_tables_are_counted() {
        let some = |count: u32, module: &str| vec![module.to_owned(); count as usize];
        for (limit, module) in [(INSTANCES, ""), (MEMORIES, "(memory 0)"), (TABLES, "(table 1 funcref)")] {
            assert!(fits(&some(limit, module)).await, "{limit} × {module:?}");
            assert!(!fits(&some(limit + 1, module)).await, "{limit} × {module:?} and one more");
        }
    }

    #[tokio::test]
    async fn elements_of_tables_are_counted_for_each_and_for_all() {
        let table = |elements: u32| format!("(table {elements} funcref)");
        assert!(fits(&[table(TABLE_ELEMENTS)]).await);
        assert!(!fits(&[table(TABLE_ELEMENTS + 1)]).await);
        let ten = vec![table(TABLE_ELEMENTS); 10];
        assert!(fits(&ten).await);
        assert!(!fits(&[ten, vec![table(1)]].concat()).await);
    }

    #[test]
    fn all_memories_count_together_and_a_denial_is_remembered() {
        let mut limiter = Limiter::new(3 * PAGE as u64);
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limiter.memory_growing(0, PAGE, None).unwrap());
        assert!(!limiter.denied);
        assert!(!limiter.memory_growing(PAGE, 2 * PAGE, None).unwrap());
        assert!(limiter.denied);
        assert_eq!(limiter.peak_bytes(), 3 * PAGE as u64);
    }

    #[test]
    fn growth_that_the_system_refuses_is_given_back() {
        let mut limiter = Limiter::new(2 * PAGE as u64);
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
    }

    #[test]
    fn growth_past_the_memory_s_own_maximum_is_not_counted() {
        let mut limiter = Limiter::new(4 * PAGE as u64);
        assert!(limiter.memory_growing(0, 2 * PAGE, Some(PAGE)).unwrap());
        assert_eq!((limiter.peak_bytes(), limiter.denied), (0, false));
    }
}
