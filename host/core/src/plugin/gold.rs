//! Which columns hold the answer: what the dataset says, and what the plugin's config says.

use std::collections::BTreeSet;

use crate::plugin::Descriptor;
use crate::{Json, Row};

/// The gold columns of a benchmark: those of the dataset, and those that the config names in a property whose
/// schema bears `"x-gold": true` (the schema's `default` counts where the config is silent).
pub fn gold_columns(dataset_gold: &[String], descriptor: &Descriptor, config: &Json) -> BTreeSet<String> {
    let mut columns: BTreeSet<String> = dataset_gold.iter().cloned().collect();
    let properties = descriptor.config_schema.get("properties").and_then(Json::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if schema.get("x-gold") != Some(&Json::Bool(true)) {
            continue;
        }
        match config.get(name).filter(|value| !value.is_null()).or_else(|| schema.get("default")) {
            Some(Json::String(column)) => {
                columns.insert(column.clone());
            }
            Some(Json::Array(list)) => {
                columns.extend(list.iter().filter_map(Json::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    columns
}

/// Splits a row into what the solver sees and what the scorer is held against.
pub(crate) fn split_row(row: Row, gold: &BTreeSet<String>) -> (Row, Row) {
    row.into_iter().partition(|(column, _)| !gold.contains(column))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn descriptor(schema: Json) -> Descriptor {
        Descriptor {
            name: "x".into(),
            version: "1".into(),
            description: String::new(),
            config_schema: schema,
            example_config: Json::Null,
            parts: vec![],
            data_files: vec![],
        }
    }

    #[test]
    fn the_config_the_schema_default_and_the_dataset_name_gold_columns() {
        let schema = json!({"properties": {
            "answer": {"x-gold": true, "default": "answer"},
            "aliases": {"x-gold": true},
            "prompt": {"default": "question"},
        }});
        let columns = |config| {
            gold_columns(&["label".into()], &descriptor(schema.clone()), &config)
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(columns(json!({})), ["answer", "label"]);
        assert_eq!(columns(json!({"answer": "gold", "aliases": ["a", "b"]})), ["a", "b", "gold", "label"]);
        assert_eq!(columns(json!({"answer": null})), ["answer", "label"]);
    }

    #[test]
    fn a_split_row_keeps_order_and_loses_nothing() {
        let row = json!({"b": 1, "answer": 2, "a": 3}).as_object().cloned().unwrap();
        let (input, target) = split_row(row, &BTreeSet::from(["answer".to_owned()]));
        assert_eq!(serde_json::to_string(&input).unwrap(), r#"{"b":1,"a":3}"#);
        assert_eq!(serde_json::to_string(&target).unwrap(), r#"{"answer":2}"#);
    }
}
