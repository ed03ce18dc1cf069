//! Lists, a page at a time.

use llm_bench_core::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items of a page unless the client says otherwise.
const DEFAULT_LIMIT: u32 = 50;
const MOST_LIMIT: u32 = 1000;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// `next` of the page before; the first page without it.
    pub(crate) cursor: Option<String>,
    /// Items of a page, 1 to 1000; 50 unless given.
    pub(crate) limit: Option<u32>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PageView<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    pub next: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MOST_LIMIT => Ok(limit),
            limit => Err(Error::invalid(
                "invalid-limit",
                format!("limit is {limit}; it must be 1 to {MOST_LIMIT}"),
            )),
        }
    }

    /// The cursor as `parse` understands it.
    pub(crate) fn after<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.cursor.as_deref() {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| {
                Error::invalid(
                    "invalid-cursor",
                    "the cursor is not one that this list gave; start without one",
                )
            }),
        }
    }

    /// The page of a list that is short enough to be read whole, ordered by a key that is also its cursor.
    pub(crate) fn cut<T, V>(
        &self,
        items: Vec<T>,
        key: impl Fn(&T) -> String,
        view: impl Fn(T) -> V,
    ) -> Result<PageView<V>> {
        let limit = self.limit()? as usize;
        let mut behind = items
            .into_iter()
            .skip_while(|item| self.cursor.as_ref().is_some_and(|cursor| key(item) <= *cursor));
        let page: Vec<T> = behind.by_ref().take(limit).collect();
        let next = behind.next().and_then(|_| page.last().map(&key));
        Ok(PageView { items: page.into_iter().map(view).collect(), next })
    }
}
