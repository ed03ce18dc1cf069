//! Between the contract's types and the domain's: `lift` from the guest, `lower` to it.

pub(crate) mod lift;
pub(crate) mod lower;
