//! What a guest can be asked to do, and what comes of it, in a form that travels.

use serde::{Deserialize, Serialize};
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::llm_bench::plugin::types;
use crate::guest::{Export, GuestState, Program};
use crate::plugin::{Aggregate, Describe, Metrics, Score, Solve};

/// One of the exports that a plugin has, with its arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    Describe(Describe),
    Metrics(Metrics),
    Solve(Solve),
    Score(Score),
    Aggregate(Aggregate),
}

/// What the guest returned, as the contract has it. The outer result of the first two is what the exports' own output
/// is: an export of another type, an answer of the plugin's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Output {
    Described(Result<types::Descriptor, String>),
    Metrics(Result<Vec<types::Metric>, types::Error>),
    Solution(types::Solution),
    Measurements(Vec<types::Measurement>),
}

impl Export for Work {
    type Output = Output;

    async fn call(
        self,
        program: &Program,
        store: &mut Store<GuestState>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<Output, types::Error>> {
        Ok(match self {
            Self::Describe(work) => work.call(program, store, instance).await?.map(Output::Described),
            Self::Metrics(work) => work.call(program, store, instance).await?.map(Output::Metrics),
            Self::Solve(work) => work.call(program, store, instance).await?.map(Output::Solution),
            Self::Score(work) => work.call(program, store, instance).await?.map(Output::Measurements),
            Self::Aggregate(work) => work.call(program, store, instance).await?.map(Output::Measurements),
        })
    }
}

/// An export whose call can be sent to another process.
pub(crate) trait Portable: Export {
    fn work(self) -> Work;

    /// Its output; none where a process answered another call than this.
    fn output(output: Output) -> Option<Self::Output>;
}

macro_rules! portable {
    ($($export:ident => $output:ident),*) => {
        $(impl Portable for $export {
            fn work(self) -> Work {
                Work::$export(self)
            }

            fn output(output: Output) -> Option<Self::Output> {
                if let Output::$output(output) = output { Some(output) } else { None }
            }
        })*
    };
}

portable!(
    Describe => Described,
    Metrics => Metrics,
    Solve => Solution,
    Score => Measurements,
    Aggregate => Measurements
);
