//! What is counted besides fuel and memory. Who spends more is ended, not told: a loop would only ask again.

use std::fmt;

use llm_bench_core::limits::Limits;
use llm_bench_core::model::ModelRequest;
use llm_bench_core::sample::FailureKind;

/// What a generation request counts that names no maximum: the models' usual default.
const DEFAULT_TOKENS: u64 = 256;

/// Models that a guest may hold open at once.
const OPEN_MODELS: u32 = 256;

/// The end of a guest by the host's decision; travels through wasmtime as the error of a host call.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Ended {}

/// What is left of the counted budgets.
pub(crate) struct Budget {
    limits: Limits,
    host_calls: u32,
    request_bytes: u64,
    data_bytes: u64,
    tokens: u64,
    open_models: u32,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, host_calls: 0, request_bytes: 0, data_bytes: 0, tokens: 0, open_models: 0 }
    }

    /// Counts one call of an imported function of the contract.
    pub(crate) fn count_call(&mut self) -> Result<(), Ended> {
        self.host_calls += 1;
        let most = self.limits.host_calls;
        within(self.host_calls <= most, || format!("the plugin called its host more than {most} times"))
    }

    /// The calls so far, the one that was too many among them.
    pub(crate) fn host_calls(&self) -> u32 {
        self.host_calls
    }

    /// Counts what a request costs: its bytes, which the host keeps, and the tokens it lets a model generate.
    pub(crate) fn count_request(&mut self, request: &ModelRequest) -> Result<(), Ended> {
        self.request_bytes = self.request_bytes.saturating_add(request.bytes());
        let (bytes, most) = (self.request_bytes, self.limits.request_bytes);
        within(bytes <= most, || {
            format!("the plugin's model requests have {bytes} bytes together; the limit is {most}")
        })?;
        let ModelRequest::Generate(requests) = request else { return Ok(()) };
        let asked =
            requests.iter().map(|request| request.sampling.max_tokens.map_or(DEFAULT_TOKENS, u64::from));
        self.tokens = asked.fold(self.tokens, u64::saturating_add);
        let (tokens, most) = (self.tokens, self.limits.requested_tokens);
        within(tokens <= most, || {
            format!("the plugin asked for {tokens} generated tokens; the limit is {most}")
        })
    }

    /// Counts bytes of data files that were read.
    pub(crate) fn count_data(&mut self, bytes: u64) -> Result<(), Ended> {
        self.data_bytes = self.data_bytes.saturating_add(bytes);
        let (bytes, most) = (self.data_bytes, self.limits.data_bytes);
        within(bytes <= most, || {
            format!("the plugin read {bytes} bytes of its data files; the limit is {most}")
        })
    }

    pub(super) fn model_opened(&mut self) -> Result<(), Ended> {
        self.open_models += 1;
        within(self.open_models <= OPEN_MODELS, || {
            format!("the plugin holds more than {OPEN_MODELS} models open at once")
        })
    }

    pub(super) fn model_closed(&mut self) {
        self.open_models = self.open_models.saturating_sub(1);
    }
}

fn within(holds: bool, message: impl FnOnce() -> String) -> Result<(), Ended> {
    if holds { Ok(()) } else { Err(Ended { kind: FailureKind::CallLimit, message: message() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_all_requests_together_are_capped_and_empty_texts_count_too() {
        let limits = Limits { request_bytes: 1000, ..Limits::default() };
        let mut budget = Budget::new(limits);
        budget.count_request(&ModelRequest::Embed(vec!["x".repeat(800)])).unwrap();
        let ended = budget.count_request(&ModelRequest::Embed(vec!["x".repeat(200)])).unwrap_err();
        assert_eq!(ended.kind, FailureKind::CallLimit);
        assert!(ended.message.contains("1000"), "{ended}");
        assert!(Budget::new(limits).count_request(&ModelRequest::Embed(vec![String::new(); 100])).is_err());
    }
}
