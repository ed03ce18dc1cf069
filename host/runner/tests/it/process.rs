//! Models in child processes: what they answer, how they end, and what a hostile one can do.

mod crashes;
mod equality;
mod hostile;
mod sandboxing;
mod support;
