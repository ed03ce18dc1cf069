use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::PromptSettings;

/// The settings of a task that asks questions: those of the prompt and the task's own, in one flat object.
///
/// A setting that neither knows is refused by name, which `#[serde(flatten)]` cannot do.
///
/// ```
/// use llm_bench_plugin_sdk::{Prompted, TaskSettings};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use serde_json::{from_value, json};
///
/// /// What a benchmark may set.
/// #[derive(Default, Serialize, Deserialize, JsonSchema)]
/// #[serde(default, deny_unknown_fields)]
/// struct Settings {
///     /// Whether case matters.
///     ignore_case: bool,
/// }
///
/// impl TaskSettings for Settings {}
///
/// let config: Prompted<Settings> = from_value(json!({"ignore_case": true, "delimiter": ": "}))?;
/// assert!(config.task.ignore_case && config.prompt.delimiter == ": ");
/// let error = from_value::<Prompted<Settings>>(json!({"ignorecase": true})).err().unwrap();
/// assert!(error.to_string().starts_with("unknown field `ignorecase`, expected one of `ignore_case`, `system`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prompted<T> {
    /// How a row becomes a prompt.
    pub prompt: PromptSettings,
    /// The task's own settings.
    pub task: T,
}

/// A task's own settings. Their names are those of the default in JSON, so no field may be left out of it.
pub trait TaskSettings: Serialize + DeserializeOwned + JsonSchema + Default {
    /// The defaults of the settings of the prompt.
    fn prompt() -> PromptSettings {
        PromptSettings::default()
    }
}

impl<T: TaskSettings> Default for Prompted<T> {
    fn default() -> Self {
        Self { prompt: T::prompt(), task: T::default() }
    }
}

impl<T: TaskSettings> Serialize for Prompted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = object(&self.prompt).map_err(S::Error::custom)?;
        object.extend(self::object(&self.task).map_err(S::Error::custom)?);
        object.serialize(serializer)
    }
}

impl<'de, T: TaskSettings> Deserialize<'de> for Prompted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Map::deserialize(deserializer)?;
        let mut prompt = object(&T::prompt()).map_err(D::Error::custom)?;
        let known = object(&T::default()).map_err(D::Error::custom)?;
        let mut task = Map::new();
        for (name, value) in given {
            if prompt.contains_key(&name) {
                prompt.insert(name, value);
            } else if known.contains_key(&name) {
                task.insert(name, value);
            } else {
                let names = known.keys().chain(prompt.keys()).map(|name| format!("`{name}`"));
                let names = names.collect::<Vec<_>>().join(", ");
                return Err(D::Error::custom(format!("unknown field `{name}`, expected one of {names}")));
            }
        }
        Ok(Self {
            prompt: settings(prompt).map_err(D::Error::custom)?,
            task: settings(task).map_err(D::Error::custom)?,
        })
    }
}

impl<T: TaskSettings> JsonSchema for Prompted<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("prompted {}", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let of_prompt = PromptSettings::json_schema(generator);
        let defaults = object(&T::prompt()).unwrap_or_default();
        let properties = schema.ensure_object().entry("properties").or_insert_with(|| Map::new().into());
        if let (Some(properties), Some(Value::Object(more))) =
            (properties.as_object_mut(), of_prompt.get("properties"))
        {
            for (name, property) in more {
                properties.insert(name.clone(), property.clone());
                if let Some(default) = defaults.get(name) {
                    properties[name]["default"] = default.clone();
                }
            }
        }
        schema
    }
}

fn object(settings: &impl Serialize) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the settings of a task must be an object".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads settings; an error names the place.
fn settings<S: DeserializeOwned>(object: Map<String, Value>) -> Result<S, String> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        if path == "." { error.into_inner().to_string() } else { format!("`{path}`: {}", error.into_inner()) }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;
    use crate::Template;

    /// Settings.
    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Own {
        /// The gold column.
        #[schemars(extend("x-gold" = true))]
        answer: String,
        until: Vec<String>,
    }

    impl TaskSettings for Own {
        fn prompt() -> PromptSettings {
            PromptSettings { prompt: Template::parse("{{ text }}").unwrap(), ..PromptSettings::default() }
        }
    }

    #[test]
    fn both_kinds_of_settings_stand_in_one_object_and_one_schema() {
        let config: Prompted<Own> = from_value(json!({"answer": "a", "chat": true})).unwrap();
        let written = to_value(&config).unwrap();
        assert_eq!((&written["answer"], &written["chat"]), (&json!("a"), &json!(true)));
        assert_eq!(written["prompt"], "{{ text }}");
        let schema = schemars::schema_for!(Prompted<Own>).to_value();
        assert_eq!(schema["properties"]["answer"]["x-gold"], true);
        assert_eq!(schema["properties"]["prompt"]["default"], "{{ text }}");
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_place() {
        let refuse = |config| from_value::<Prompted<Own>>(config).unwrap_err().to_string();
        assert_eq!(
            refuse(json!({"until": ["a", 1]})),
            "`until[1]`: invalid type: integer `1`, expected a string"
        );
        assert!(refuse(json!({"prompt": "{{"})).starts_with("`prompt`: template: syntax error"));
    }
}
