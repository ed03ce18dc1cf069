use schemars::JsonSchema;
use serde_json::{Value, json};

/// The JSON schema of a config, with a property for each gold column whose name is fixed: the host finds the columns
/// that it strips by their `x-gold` mark and their default.
pub(crate) fn config_schema<C: JsonSchema>(fixed_gold: &[&str]) -> Value {
    let mut schema = schemars::schema_for!(C).to_value();
    if fixed_gold.is_empty() {
        return schema;
    }
    // A config without fields has no `properties` of its own.
    if let Value::Object(root) = &mut schema {
        let properties = root.entry("properties").or_insert_with(|| json!({}));
        for column in fixed_gold {
            // No config bears this name: it carries the mark, and is refused as a setting.
            properties[format!("gold-{column}")] = json!({
                "description": "The name of this gold column is fixed; not a setting.",
                "const": column,
                "default": column,
                "x-gold": true,
            });
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::NoConfig;

    /// What a benchmark may set.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        /// The gold column.
        #[schemars(extend("x-gold" = true))]
        answer: String,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { answer: "label".into() }
        }
    }

    #[test]
    fn a_gold_field_bears_its_mark_and_its_default() {
        let schema = config_schema::<Config>(&[]);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["properties"]["answer"]["x-gold"], true);
        assert_eq!(schema["properties"]["answer"]["default"], "label");
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn a_fixed_gold_column_is_marked_although_no_field_names_it() {
        let schema = config_schema::<NoConfig>(&["answer"]);
        assert_eq!(schema["properties"]["gold-answer"]["x-gold"], true);
        assert_eq!(schema["properties"]["gold-answer"]["default"], "answer");
    }
}
