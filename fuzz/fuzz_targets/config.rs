//! A plugin's schema and a config for it, one JSON text each, a line break between them: neither hangs the host.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_bench_core::plugin::config_schema::ConfigSchema;

fuzz_target!(|text: &str| {
    let Some((schema, config)) = text.split_once('\n') else { return };
    let (Ok(schema), Ok(config)) = (serde_json::from_str(schema), serde_json::from_str(config)) else {
        return;
    };
    if let Ok(schema) = ConfigSchema::new(&schema)
        && let Err(error) = schema.check(&config)
    {
        assert_eq!(error.code, "invalid-config");
        assert!(error.message.chars().count() <= 5000, "{error:?}");
    }
});
