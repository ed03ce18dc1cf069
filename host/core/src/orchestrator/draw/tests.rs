use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::dataset::Format;

fn split(rows: u64) -> Split {
    Split {
        name: "train".into(),
        path: PathBuf::new(),
        format: Format::JsonLines,
        rows,
        bytes: 0,
        digest: String::new(),
        columns: Vec::new(),
    }
}

fn print(value: u64) -> Fingerprint {
    fingerprint(json!({ "value": value }).as_object().cloned().unwrap_or_default())
}

#[test]
fn the_draws_of_a_row_are_those_of_the_references_sampler() {
    // lm_eval.api.samplers.ContextSampler([{"value": i} for i in pool]), set_rnd(1234), sample(2, eval_doc=row or None).
    let pool = [0, 1, 2, 3, 4, 5, 6, 7];
    let draw = |equals: Option<&Equals>, rows| {
        draw_all(&split(8), 2, rows, equals, &mut PythonRandom::new(1234)).unwrap().rows
    };
    assert_eq!(draw(None, 4), [7, 0, 0, 7, 0, 5, 1, 0]);
    let equals =
        Equals { pool: pool.map(print).to_vec(), evaluated: [0, 1, 2, 3, 4, 5, 6, 7].map(print).to_vec() };
    assert_eq!(draw(Some(&equals), 8), [7, 6, 6, 4, 0, 5, 1, 0, 3, 0, 0, 2, 7, 4, 2, 0]);
}

#[test]
fn where_several_equals_are_drawn_the_reference_draws_again_from_the_others() {
    let pool = [0, 0, 0, 1, 0, 2, 3, 0];
    let equals = Equals { pool: pool.map(print).to_vec(), evaluated: [0; 4].map(print).to_vec() };
    let draws = draw_all(&split(8), 2, 4, Some(&equals), &mut PythonRandom::new(1234)).unwrap();
    let values: Vec<u64> = draws.rows.iter().map(|row| pool[usize::try_from(*row).unwrap()]).collect();
    assert_eq!(values, [1, 3, 1, 3, 2, 3, 1, 3]);
    assert_eq!(draws.of(1).len(), 2);
    assert!(draws.of(4).is_empty() && draws.of(u64::MAX).is_empty());
    let error = draw_all(&split(8), 4, 1, Some(&equals), &mut PythonRandom::new(1)).unwrap_err();
    assert_eq!(error.code, "too-few-examples");
}

#[test]
fn rows_are_equal_in_whatever_order_their_columns_stand() {
    let of = |row: Json| fingerprint(row.as_object().cloned().unwrap_or_default());
    assert_eq!(of(json!({"a": 1, "b": {"c": 2, "d": [3]}})), of(json!({"b": {"d": [3], "c": 2}, "a": 1})));
    assert_ne!(of(json!({"a": 1})), of(json!({"a": 2})));
    assert_ne!(of(json!({"a": [1, 2]})), of(json!({"a": [2, 1]})));
}
