//! What `wit/plugin.wit` generates. Only `convert`, `guest` and `plugin` see it.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "host",
    imports: {
        // Neither waits for anything.
        "llm-bench:plugin/logging.log": trappable,
        "llm-bench:plugin/models.[drop]model": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    // They travel to a guest's process and back.
    additional_derives: [serde::Serialize, serde::Deserialize],
    with: {
        "llm-bench:plugin/models.model": crate::guest::OpenModel,
    },
});
