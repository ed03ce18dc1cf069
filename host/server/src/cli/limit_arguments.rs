//! What one sample of a task may use, as options of all that runs tasks.

use clap::{Args, ValueEnum};
use llm_bench_core::limits::Budget;

use crate::order::LimitChoices;

#[derive(Debug, Args)]
pub(super) struct LimitArguments {
    /// What one sample of the task may use [default: the host's limits, normal unless config.toml says otherwise, and what
    /// the plugin was granted].
    #[arg(long, value_enum)]
    budget: Option<BudgetArgument>,
    /// WebAssembly fuel of a sample, instead of the budget's.
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Memory of a sample in MiB, instead of the budget's.
    #[arg(long, value_name = "N")]
    memory_mib: Option<u64>,
    /// Seconds a sample may compute, instead of the budget's.
    #[arg(long, value_name = "N")]
    timeout_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BudgetArgument {
    /// Compiled tasks that do little.
    Small,
    Normal,
    /// Interpreted tasks (Python, JavaScript) on long texts.
    Large,
}

impl LimitArguments {
    pub(super) fn choices(&self) -> LimitChoices {
        let budget = self.budget.map(|budget| match budget {
            BudgetArgument::Small => Budget::Small,
            BudgetArgument::Normal => Budget::Normal,
            BudgetArgument::Large => Budget::Large,
        });
        let Self { fuel, memory_mib, timeout_s, .. } = *self;
        LimitChoices { budget, fuel, memory_mib, timeout_s }
    }
}
