//! Configs held against the JSON Schema of their plugin. Both are a stranger's: neither may cost much to look at.
//!
//! A schema is one document of draft 2020-12. Its references lead to places in itself, and nothing is ever fetched. How
//! much a config costs is known before: `cost` counts how often each schema in the schema would look at each value, which bounds time, memory and stack whatever the schema says. Patterns run in time linear in the text.

mod cost;
mod reading;

use std::borrow::Cow;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};

use self::cost::Cost;
use crate::plugin::Descriptor;
use crate::{Error, Json, Result};

/// Of a schema or config as JSON text.
const BYTES: usize = 256 << 10;
/// Arrays and objects in each other in a schema.
const SCHEMA_DEPTH: usize = 64;
/// Arrays and objects in each other in a config.
const CONFIG_DEPTH: usize = 32;
/// Of a pattern, compiled. `^\w{1,20}$` with all letters of Unicode takes about as much.
const PATTERN_BYTES: usize = 256 << 10;
/// What of a config is held against its schema, in the units of [`Cost`].
const MOST_COST: u64 = 500_000;
/// Up to this cost, all that is wrong is looked for.
const COST_OF_A_LIST: u64 = 50_000;
/// Problems that are told.
const PROBLEMS: usize = 5;
const PROBLEM_CHARS: usize = 300;

/// The schema of a plugin's config.
pub struct ConfigSchema {
    validator: Validator,
    cost: Cost,
}

impl ConfigSchema {
    /// # Errors
    /// `plugin-config-schema` where it is none, where it refers to another document, or where it is too large.
    pub fn new(schema: &Json) -> Result<Self> {
        let (bytes, levels) = size(schema);
        if bytes > BYTES || levels > SCHEMA_DEPTH {
            return Err(refused(format!(
                "it has {bytes} bytes and {levels} levels; at most {BYTES} and {SCHEMA_DEPTH} are allowed"
            )));
        }
        let cost = Cost::of(schema).map_err(refused)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES),
            )
            .build(schema)
            .map_err(|error| refused(problem(&error)))?;
        Ok(Self { validator, cost })
    }

    /// # Errors
    /// `invalid-config` with the place of each of the first problems, as a JSON Pointer.
    pub fn check(&self, config: &Json) -> Result<()> {
        let (bytes, levels) = size(config);
        if bytes > BYTES || levels > CONFIG_DEPTH {
            return Err(invalid(format!(
                "has {bytes} bytes and {levels} levels; at most {BYTES} and {CONFIG_DEPTH} are allowed"
            )));
        }
        let cost = self.cost.of_config(config, MOST_COST);
        if cost > MOST_COST {
            return Err(invalid(format!(
                "is too large for its schema: to hold one against the other may take more than {MOST_COST} steps"
            )));
        }
        let Err(first) = self.validator.validate(config) else { return Ok(()) };
        let mut problems = vec![problem(&first)];
        if cost <= COST_OF_A_LIST {
            let mut errors = self.validator.iter_errors(config);
            problems = errors.by_ref().take(PROBLEMS).map(|error| problem(&error)).collect();
            if errors.next().is_some() {
                problems.push("and more".to_owned());
            }
        }
        Err(invalid(format!("does not fit the plugin's schema: {}", problems.join("; "))))
    }
}

/// Holds a config against its plugin's schema.
///
/// # Errors
/// As [`ConfigSchema::new`] and [`ConfigSchema::check`].
pub fn check_config(descriptor: &Descriptor, config: &Json) -> Result<()> {
    ConfigSchema::new(&descriptor.config_schema)?.check(config)
}

/// What is wrong, after where.
fn problem(error: &ValidationError) -> String {
    let place = match error.instance_path().as_str() {
        "" => Cow::Borrowed("at the top"),
        path => Cow::Owned(format!("at `{}`", shown(path))),
    };
    let reason = match allowed(error) {
        Some(values) => format!("{} is not one of {}", error.instance(), values.join(", ")),
        None => error.to_string(),
    };
    // A long value would hide what is wrong with it.
    let reason = if reason.len() > PROBLEM_CHARS { error.masked().to_string() } else { reason };
    format!("{place}: {}", shown(&reason))
}

/// The values of which one is wanted, where the schema has alternatives of one value each, as enums with descriptions.
fn allowed(error: &ValidationError) -> Option<Vec<String>> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let values = context.iter().map(|branch| {
                branch.iter().find_map(|error| match error.kind() {
                    ValidationErrorKind::Constant { expected_value } => {
                        Some(vec![expected_value.to_string()])
                    }
                    _ => allowed(error),
                })
            });
            values.collect::<Option<Vec<_>>>().map(|values| values.concat())
        }
        _ => None,
    }
}

/// The beginning of a text that may hold anything.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(PROBLEM_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(PROBLEM_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn refused(wrong: impl std::fmt::Display) -> Error {
    Error::invalid("plugin-config-schema", format!("the plugin's config schema is refused: {wrong}"))
}

fn invalid(wrong: impl std::fmt::Display) -> Error {
    Error::invalid("invalid-config", format!("the config {wrong}"))
}

/// Bytes and levels of a value.
fn size(value: &Json) -> (usize, usize) {
    let (mut bytes, mut levels) = (0, 0);
    let mut rest = vec![(value, 1)];
    while let Some((value, level)) = rest.pop() {
        levels = levels.max(level);
        // A number or a sign, and what stands around it.
        bytes += 4;
        match value {
            Json::String(text) => bytes += text.len(),
            Json::Array(items) => rest.extend(items.iter().map(|item| (item, level + 1))),
            Json::Object(members) => {
                bytes += members.keys().map(String::len).sum::<usize>();
                rest.extend(members.values().map(|member| (member, level + 1)));
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
    (bytes, levels)
}

#[cfg(test)]
mod tests;
