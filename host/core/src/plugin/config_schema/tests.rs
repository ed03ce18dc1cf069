use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jsonschema::Keyword;
use serde_json::json;

use super::*;
use crate::ErrorKind;

/// Why a schema is refused.
fn refusal(schema: &Json) -> String {
    let error = ConfigSchema::new(schema).map(drop).unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "plugin-config-schema"));
    let reason = error.message.strip_prefix("the plugin's config schema is refused: ");
    reason.unwrap_or_else(|| panic!("{error}")).to_owned()
}

/// What is wrong with a config; nothing where it fits.
fn wrong(schema: &Json, config: &Json) -> Option<String> {
    let error = ConfigSchema::new(schema).unwrap().check(config).err()?;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Invalid, "invalid-config"));
    Some(error.message.strip_prefix("the config ").unwrap().to_owned())
}

/// `value` in so many objects.
fn nested(key: &str, depth: usize, value: Json) -> Json {
    (0..depth).fold(value, |inner, _| json!({ key: inner }))
}

#[test]
fn a_config_that_fits_passes_and_one_that_does_not_is_told_where_and_why() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "column": {"$ref": "#/$defs/column", "x-gold": true, "default": "answer"},
            "filters": {"type": "array", "items": {"enum": ["strict", "flexible"]}, "uniqueItems": true},
            "shots": {"type": ["integer", "null"], "minimum": 0},
            "judge": {"oneOf": [{"const": "strictly", "description": "no mercy"}, {"const": "mildly", "type": "string"}]},
            "other name/~": {"type": "string", "format": "date"},
        },
        "required": ["column"],
        "additionalProperties": false,
        "$defs": {"column": {"type": "string", "pattern": "^[a-z_]{1,20}$"}},
    });
    let good = json!({"column": "gold", "filters": ["strict"], "shots": null, "other name/~": "any text"});
    assert_eq!(wrong(&schema, &good), None);
    let told = |config| wrong(&schema, &config).unwrap();
    assert_eq!(
        told(json!({"column": "Gold"})),
        r#"does not fit the plugin's schema: at `/column`: "Gold" does not match "^[a-z_]{1,20}$""#
    );
    assert_eq!(
        told(json!({"filters": ["strict", "lax"], "shots": -1, "shot": 5})),
        "does not fit the plugin's schema: at `/filters/1`: \"lax\" is not one of \"strict\" or \"flexible\"; at `/shots`: \
         -1 is less than the minimum of 0; at the top: Additional properties are not allowed ('shot' was unexpected); at \
         the top: \"column\" is a required property"
    );
    for (value, written) in [(json!("wildly"), "\"wildly\""), (json!(7), "7")] {
        assert_eq!(
            told(json!({"column": "a", "judge": value})),
            format!(
                "does not fit the plugin's schema: at `/judge`: {written} is not one of \"strictly\", \"mildly\""
            )
        );
    }
    assert_eq!(
        told(json!({"column": "a", "other name/~": 1})),
        "does not fit the plugin's schema: at `/other name~1~0`: 1 is not of type \"string\""
    );
}

#[test]
fn only_the_first_of_many_problems_are_told_and_each_in_part() {
    let schema = json!({"items": {"type": "string"}});
    let told = wrong(&schema, &json!(vec![1; 100])).unwrap();
    assert_eq!(told.matches("is not of type").count(), PROBLEMS);
    assert!(told.ends_with("; and more"), "{told}");
    let told = wrong(&schema, &json!([vec!["\u{1b}[2J"; 1000]])).unwrap();
    assert!(told.len() < 2000 && !told.contains('\u{1b}'), "{told}");
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_place() {
    assert_eq!(
        refusal(&json!({"properties": {"a": {"type": "strin"}}})),
        "at `/properties/a/type`: \"strin\" is not valid under any of the schemas listed in the 'anyOf' keyword"
    );
    assert!(refusal(&json!({"required": "a"})).starts_with("at `/required`: "));
    assert!(refusal(&json!({"pattern": "("})).contains("\"(\""));
    assert!(
        refusal(&json!({"$schema": "http://json-schema.org/draft-07/schema#"}))
            .ends_with("draft 2020-12 is understood")
    );
}

#[test]
fn a_reference_to_anything_else_is_refused_by_its_name() {
    for reference in [
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json#/$defs/a",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "https://json-schema.org/draft/2020-12/schema",
        "#anchor",
        "#%zz",
    ] {
        let reason = refusal(&json!({"properties": {"a": {"$ref": reference}}}));
        let expected = format!("`$ref` at `#/properties/a` leads to `{reference}`, and nothing is fetched");
        assert!(reason.starts_with(&expected), "{reason}");
    }
    assert_eq!(
        refusal(&json!({"$ref": "#/$defs/a"})),
        "`$ref` at `#` leads to `#/$defs/a`, which is not there"
    );
    assert!(refusal(&json!({"$defs": {"a": {"$ref": "https://example.com"}}})).contains("`#/$defs/a`"));
    assert!(refusal(&json!({"$id": "https://json-schema.org/draft/2020-12/schema"})).contains("`$id`"));
    assert!(refusal(&json!({"items": {"$id": "other", "$ref": "#"}})).contains("`$id`"));
    assert!(refusal(&json!({"$dynamicRef": "#"})).contains("`$dynamicRef`"));
    // What only looks like one is a value.
    let schema = json!({"const": {"$ref": "https://example.com", "$id": "x"}});
    assert_eq!(wrong(&schema, &schema["const"]), None);
    let schema = json!({"$ref": "#/$defs/a%20b~1c", "$defs": {"a b/c": {"type": "object"}}});
    assert_eq!(wrong(&schema, &json!({})), None);
}

#[test]
fn references_that_lead_in_a_circle_are_refused_and_those_that_descend_are_not() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}),
    ] {
        assert!(refusal(&schema).ends_with("or they lead in a circle"), "{schema}");
    }
    let tree = json!({
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}},
            "additionalProperties": false,
        }},
    });
    assert_eq!(wrong(&tree, &nested("left", 20, json!({}))), None);
    assert!(wrong(&tree, &nested("left", 20, json!(1))).unwrap().contains("1 is not of type \"object\""));
}

#[test]
fn references_that_multiply_are_refused() {
    let doubling = |keyword: &str, levels: u32| {
        let mut defs = serde_json::Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            defs.insert(format!("l{level}"), json!({ keyword: [next, next] }));
        }
        defs.insert(format!("l{levels}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/l0", "$defs": defs})
    };
    for keyword in ["allOf", "anyOf", "oneOf"] {
        assert!(refusal(&doubling(keyword, 11)).contains("multiply each other"), "{keyword}");
    }
    assert!(wrong(&doubling("anyOf", 5), &json!(1)).is_some());
    // The same, but each time one level of the config lower.
    let next = json!({"$ref": "#"});
    let schema = json!({"properties": {"a": {"anyOf": [next, next]}}});
    assert_eq!(wrong(&schema, &nested("a", 5, json!(1))), None);
    let told = wrong(&schema, &nested("a", 25, json!(1))).unwrap();
    assert!(told.starts_with("is too large for its schema"), "{told}");
}

#[test]
fn a_pattern_takes_no_longer_than_its_text_is_long() {
    let text = "a".repeat(5_000);
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let schema = json!({"properties": {"text": {"pattern": pattern}}});
        wrong(&schema, &json!({"text": format!("{text}!")}));
    }
    // As dear as they may be.
    let dear = json!({"pattern": "[ab]*a[ab]{500}c"});
    let text: String = (0..100_000_u64)
        .map(|n| if n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0 { 'a' } else { 'b' })
        .collect();
    assert!(wrong(&dear, &json!(text)).unwrap().contains("does not match"));
    let many: Vec<Json> = (0..PATTERNS_THAT_ARE_MANY).map(|_| dear.clone()).collect();
    let told = wrong(&json!({"allOf": many}), &json!(text)).unwrap();
    assert!(told.starts_with("is too large for its schema"), "{told}");
}

const PATTERNS_THAT_ARE_MANY: usize = 20;

#[test]
fn patterns_that_are_large_many_or_beyond_linear_time_are_refused() {
    for pattern in ["(\\w{100}){100}", "((((((a{20}){20}){20}){20}){20}){20})", "(?<=a)b", "(a)\\1", "(?!a)b"]
    {
        assert!(refusal(&json!({"pattern": pattern})).starts_with("at `/pattern`: "), "{pattern}");
        let named = refusal(&json!({"patternProperties": {pattern: true}}));
        assert!(named.starts_with("at `/patternProperties"), "{named}");
    }
    assert!(refusal(&json!({"pattern": "a".repeat(2000)})).contains("1000 bytes are allowed"));
    let many: Vec<Json> = (0..100).map(|n| json!({"pattern": format!("{n}")})).collect();
    assert!(refusal(&json!({"anyOf": many})).contains("one too many"));
}

#[test]
fn schemas_that_are_deep_or_large_are_refused() {
    assert!(refusal(&nested("not", 23, json!({"not": {"not": true}}))).contains("lead in a circle"));
    assert!(refusal(&nested("items", 70, json!({}))).contains("71 levels"));
    let many: Vec<Json> = (0..5000).map(|_| json!({})).collect();
    assert!(refusal(&json!({"prefixItems": many})).contains("more than 4096 schemas"));
    assert!(refusal(&json!({"title": "x".repeat(300_000)})).contains("262144"));
}

#[test]
fn configs_that_are_deep_or_large_are_refused() {
    let any = json!({});
    assert!(wrong(&any, &nested("a", 40, json!(1))).unwrap().contains("41 levels"));
    assert!(wrong(&any, &json!({"a": "x".repeat(300_000)})).unwrap().contains("262144"));
    assert_eq!(wrong(&any, &json!({"a": "x".repeat(200_000)})), None);
}

#[test]
fn comparing_is_bounded() {
    let values: Vec<Json> = (0..400).map(|n| json!([vec!["same"; 20], n])).collect();
    let schema = json!({"items": {"enum": values}});
    let told = wrong(&schema, &json!(vec![json!([vec!["same"; 20], -1]); 500])).unwrap();
    assert!(told.starts_with("is too large for its schema"), "{told}");
    assert_eq!(wrong(&schema, &json!([values[0]])), None);
    let schema = json!({"uniqueItems": true});
    let unique: Vec<u64> = (0..20_000).collect();
    assert_eq!(wrong(&schema, &json!(unique)), None);
}

#[test]
fn what_is_as_deep_as_allowed_fits_on_the_stack_of_a_thread() {
    // Each level of the config is looked at by as many schemas within each other as may be.
    let schema = json!({
        "$ref": "#/$defs/a",
        "$defs": {"a": nested("not", 20, json!({"properties": {"a": {"$ref": "#"}}}))},
    });
    let config = nested("a", CONFIG_DEPTH - 1, json!(1));
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(move || wrong(&schema, &config)).unwrap().join().unwrap();
}

/// Counts the looks of the schemas that bear it.
struct Counted(Arc<AtomicU64>);

impl Keyword<'_> for Counted {
    fn validate(&self, _: &Json) -> Result<(), ValidationError<'static>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn is_valid(&self, _: &Json) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[test]
fn the_cost_is_never_less_than_the_looks_that_are_counted() {
    let leaf = json!({"x-count": 0, "type": "integer"});
    let stranger = |inner: &Json| {
        json!({
            "x-count": 0,
            "anyOf": [{"x-count": 0, "oneOf": [inner, {"x-count": 0, "properties": {"a": inner}}]}, inner],
            "if": inner, "then": inner, "else": {"not": inner},
            "unevaluatedProperties": inner,
        })
    };
    for schema in [
        json!({"items": leaf, "contains": leaf, "x-count": 0}),
        json!({"x-count": 0, "additionalProperties": {"$ref": "#"}, "propertyNames": {"x-count": 0}}),
        json!({"x-count": 0, "properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"not": {"$ref": "#"}}]}}}),
        stranger(&leaf),
        stranger(&stranger(&leaf)),
        json!({"$ref": "#/$defs/a", "unevaluatedItems": leaf, "$defs": {"a": {"allOf": [
            {"x-count": 0, "unevaluatedItems": leaf, "anyOf": [{"prefixItems": [leaf]}, {"contains": leaf}]},
            {"x-count": 0, "prefixItems": [{"$ref": "#"}]},
        ]}}}),
    ] {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_keyword("x-count", move |_, _, _| Ok(Box::new(Counted(counted.clone()))))
            .build(&schema)
            .unwrap();
        let cost = Cost::of(&schema).unwrap();
        for config in [
            json!([1, [2, [3, "4"]], {"a": [5]}]),
            json!({"a": {"a": {"b": {"a": 1}}, "c": 2}, "d": {"a": "x"}}),
            nested("a", 6, json!({"a": 1, "b": "x"})),
        ] {
            for validate in [
                |validator: &Validator, config: &Json| validator.validate(config).is_ok(),
                |validator: &Validator, config: &Json| validator.iter_errors(config).count() == 0,
            ] {
                count.store(0, Ordering::Relaxed);
                validate(&validator, &config);
                let (counted, cost) = (count.load(Ordering::Relaxed), cost.of_config(&config, u64::MAX));
                assert!(0 < counted && counted <= cost, "{counted} looks for {cost}: {schema} on {config}");
            }
        }
    }
}
