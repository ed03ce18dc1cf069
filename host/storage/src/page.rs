//! Pages of lists. A page starts behind a key, never at an offset, so rows that come and go move nothing.

use llm_bench_core::benchmark::Page;

/// One row more than asked for tells whether there is a next page.
pub(crate) fn rows_to_fetch(limit: u32) -> i64 {
    i64::from(limit.max(1)) + 1
}

/// Makes a page of [`rows_to_fetch`] rows or fewer.
pub(crate) fn page<T, C>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    Page { items, next }
}
