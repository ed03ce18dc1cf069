//! Finds all schemas in a schema, and refuses what leads out of it.

use std::collections::HashMap;

use super::cost::Schema;
use super::shown;
use crate::Json;

/// Schemas in a schema.
const SCHEMAS: usize = 4096;
const PATTERNS: usize = 64;
const PATTERN_CHARS: usize = 1000;
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What is wrong with a schema; the end of a sentence that names it.
pub(super) type Wrong = String;

/// A walk through all schemas of a document. The first is the document itself.
#[derive(Default)]
pub(super) struct Reading<'schema> {
    pub(super) schemas: Vec<Schema>,
    pub(super) has_unevaluated: bool,
    /// By the address of its text.
    known: HashMap<*const Json, usize>,
    queue: Vec<(usize, &'schema Json, String)>,
    patterns: usize,
}

impl<'schema> Reading<'schema> {
    pub(super) fn of(document: &'schema Json) -> Result<Self, Wrong> {
        let mut reading = Self::default();
        reading.enter(document, document, "#".to_owned())?;
        while let Some((index, value, place)) = reading.queue.pop() {
            reading.schemas[index] = reading.read(value, &place, document)?;
        }
        Ok(reading)
    }

    /// The index of a schema, which is read later.
    fn enter(
        &mut self,
        value: &'schema Json,
        document: &'schema Json,
        place: String,
    ) -> Result<usize, Wrong> {
        if let Some(&index) = self.known.get(&std::ptr::from_ref(value)) {
            return Ok(index);
        }
        let index = self.schemas.len();
        if index == SCHEMAS {
            return Err(format!("it consists of more than {SCHEMAS} schemas"));
        }
        if value.get("$id").is_some() || !std::ptr::eq(value, document) && value.get("$schema").is_some() {
            return Err(format!("`$id` or `$schema` at `{}` makes it another document", shown(&place)));
        }
        self.known.insert(value, index);
        self.schemas.push(Schema::default());
        self.queue.push((index, value, place));
        Ok(index)
    }

    fn read(&mut self, value: &'schema Json, place: &str, document: &'schema Json) -> Result<Schema, Wrong> {
        let mut schema = Schema { keywords: 1, ..Schema::default() };
        // Else it is `true`, `false`, or refused later as no schema.
        for (keyword, value) in value.as_object().into_iter().flatten() {
            self.check(keyword, value, place)?;
            schema.keywords += 1 + value.as_array().map_or(0, Vec::len) as u64;
            let mut parts = Vec::new();
            for (key, part) in parts_of(keyword, value) {
                let place = format!("{place}/{keyword}{key}");
                parts.push((key, self.enter(part, document, place)?));
            }
            let indices = parts.iter().map(|(_, index)| *index);
            match keyword.as_str() {
                "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas"
                | "dependencies" => {
                    schema.same.extend(indices);
                }
                "$ref" => {
                    let target = target(value, document, place)?;
                    schema.same.push(self.enter(
                        target,
                        document,
                        shown(value.as_str().unwrap_or_default()),
                    )?);
                }
                "properties" => {
                    let names = value.as_object().into_iter().flat_map(serde_json::Map::keys).cloned();
                    schema.properties = names.zip(indices).collect();
                }
                "patternProperties" => {
                    schema.patterns_of_names += parts.len() as u64;
                    schema.members.extend(indices);
                }
                "additionalProperties" => schema.other_members.extend(indices),
                "unevaluatedProperties" => {
                    self.has_unevaluated = true;
                    schema.members.extend(indices);
                }
                "propertyNames" => schema.names.extend(indices),
                "prefixItems" => schema.prefix.extend(indices),
                "unevaluatedItems" => {
                    self.has_unevaluated = true;
                    schema.items.extend(indices);
                }
                "items" | "additionalItems" | "contains" => schema.items.extend(indices),
                "pattern" => schema.patterns += 1,
                "enum" => schema.comparisons += value.as_array().map_or(0, Vec::len) as u64,
                "const" | "uniqueItems" | "minLength" | "maxLength" => schema.comparisons += 1,
                _ => {}
            }
        }
        Ok(schema)
    }

    /// Refuses what would make the document another, and bounds patterns.
    fn check(&mut self, keyword: &str, value: &Json, place: &str) -> Result<(), Wrong> {
        match (keyword, value) {
            ("$dynamicRef" | "$recursiveRef", _) => {
                Err(format!("`{keyword}` at `{}` is not resolved; `$ref` is", shown(place)))
            }
            ("$schema", Json::String(draft)) if draft.trim_end_matches('#') != DRAFT => {
                Err(format!("it is of the draft `{}`; draft 2020-12 is understood", shown(draft)))
            }
            ("pattern", Json::String(pattern)) => self.count_pattern(pattern, place),
            ("patternProperties", Json::Object(patterns)) => {
                patterns.keys().try_for_each(|pattern| self.count_pattern(pattern, place))
            }
            _ => Ok(()),
        }
    }

    fn count_pattern(&mut self, pattern: &str, place: &str) -> Result<(), Wrong> {
        self.patterns += 1;
        if pattern.len() <= PATTERN_CHARS && self.patterns <= PATTERNS {
            return Ok(());
        }
        Err(format!(
            "the pattern at `{}` is too long, or one too many; {PATTERNS} of {PATTERN_CHARS} bytes are allowed",
            shown(place)
        ))
    }
}

/// The schemas that stand in a keyword, with what leads to them from it.
fn parts_of<'schema>(keyword: &str, value: &'schema Json) -> Vec<(String, &'schema Json)> {
    match (keyword, value) {
        (
            "properties" | "patternProperties" | "dependentSchemas" | "dependencies" | "$defs"
            | "definitions",
            Json::Object(members),
        ) => members.iter().map(|(key, part)| (format!("/{key}"), part)).collect(),
        // `items` was a list in older drafts.
        ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Json::Array(items)) => {
            items.iter().enumerate().map(|(index, part)| (format!("/{index}"), part)).collect()
        }
        (
            "not"
            | "if"
            | "then"
            | "else"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "propertyNames"
            | "items"
            | "additionalItems"
            | "unevaluatedItems"
            | "contains"
            | "contentSchema",
            part,
        ) => vec![(String::new(), part)],
        _ => vec![],
    }
}

/// Where a reference leads.
fn target<'schema>(reference: &Json, document: &'schema Json, place: &str) -> Result<&'schema Json, Wrong> {
    let Json::String(reference) = reference else {
        return Err(format!("`$ref` at `{}` is no text", shown(place)));
    };
    let pointer = reference.strip_prefix('#').and_then(decoded);
    let Some(pointer) = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/')) else {
        return Err(format!(
            "`$ref` at `{}` leads to `{}`, and nothing is fetched; it may lead to a place in the schema, such as \
             `#/$defs/name`",
            shown(place),
            shown(reference)
        ));
    };
    document.pointer(&pointer).ok_or_else(|| {
        format!("`$ref` at `{}` leads to `{}`, which is not there", shown(place), shown(reference))
    })
}

/// The text of the fragment of an address.
fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
