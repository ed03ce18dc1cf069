//! The generated side of the contract. Authors never see it; it is public for the macros of [`crate::export`].
//!
//! A task is a scorer that solves as well. So the solver is generated alone, and a task exports both halves: the
//! linker joins the two worlds into `task`. So it is with the aggregator.

/// World `scoring`: what every plugin imports and exports.
pub mod scoring {
    wit_bindgen::generate!({
        world: "scoring",
        path: "wit",
        pub_export_macro: true,
        export_macro_name: "export_scoring_world",
        default_bindings_module: "llm_bench_plugin_sdk::bindings::scoring",
        runtime_path: "::llm_bench_plugin_sdk::bindings::runtime",
    });
}

/// What a task exports besides. It shares every type with [`scoring`].
pub mod solving {
    wit_bindgen::generate!({
        world: "llm-bench:sdk/solving",
        path: "wit",
        inline: "package llm-bench:sdk; world solving { export llm-bench:plugin/solver@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_solving_world",
        default_bindings_module: "llm_bench_plugin_sdk::bindings::solving",
        runtime_path: "::llm_bench_plugin_sdk::bindings::runtime",
        with: { "llm-bench:plugin/types@0.1.0": super::scoring::llm_bench::plugin::types },
    });
}

/// What a plugin with metrics of the whole corpus exports besides. It shares every type with [`scoring`].
pub mod aggregating {
    wit_bindgen::generate!({
        world: "llm-bench:sdk/aggregating",
        path: "wit",
        inline: "package llm-bench:sdk; world aggregating { export llm-bench:plugin/aggregator@0.1.0; }",
        pub_export_macro: true,
        export_macro_name: "export_aggregating_world",
        default_bindings_module: "llm_bench_plugin_sdk::bindings::aggregating",
        runtime_path: "::llm_bench_plugin_sdk::bindings::runtime",
        with: { "llm-bench:plugin/types@0.1.0": super::scoring::llm_bench::plugin::types },
    });
}

pub use aggregating::exports::llm_bench::plugin::aggregator;
pub use scoring::exports::llm_bench::plugin::{plugin, scorer};
pub use scoring::llm_bench::plugin::{data_files, logging, models, types};
pub use solving::exports::llm_bench::plugin::solver;
pub use wit_bindgen::rt as runtime;
