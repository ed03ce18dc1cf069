use std::io::Write;

use super::{BFLOAT16, GraphFile};

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

fn model(location: &str) -> Vec<u8> {
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    let tensor = [vec![0x10, 1], field(8, b"weight"), field(13, &entry)].concat();
    [vec![0x08, 10], field(7, &field(5, &tensor))].concat()
}

/// A model with one node of `domain` that calls `Thing`, and a function of that name where it is defined.
fn calling(domain: &str, defined: bool) -> Vec<u8> {
    let node = [field(4, b"Thing"), field(7, domain.as_bytes())].concat();
    let function = [field(1, b"Thing"), field(10, domain.as_bytes())].concat();
    let functions = if defined {
        [vec![0xca, 1, u8::try_from(function.len()).unwrap()], function].concat()
    } else {
        vec![]
    };
    [field(7, &field(1, &node)), functions].concat()
}

/// A field of a number above 15, whose tag takes two bytes.
fn high_field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[(number << 3 | 2) | 0x80, number >> 4][..], &field(0, content)[1..]].concat()
}

fn found(bytes: &[u8]) -> llm_bench_core::Result<GraphFile> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    GraphFile::read(file.path(), "model.onnx")
}

#[test]
fn the_file_that_a_tensor_names_is_found() {
    let locations: Vec<_> = found(&model("model.onnx_data")).unwrap().locations.into_iter().collect();
    assert_eq!(locations, ["model.onnx_data"]);
}

#[test]
fn the_file_that_a_tensor_names_is_found_wherever_the_tensor_stands() {
    let entry = [field(1, b"location"), field(2, b"weights")].concat();
    let weights = field(13, &entry);
    let attribute = field(5, &weights);
    let subgraph = field(6, &field(5, &weights));
    let graph = field(7, b"");
    for (place, model) in [
        ("attribute", field(7, &field(1, &field(5, &attribute)))),
        ("subgraph", field(7, &field(1, &field(5, &subgraph)))),
        ("function", [graph.clone(), high_field(25, &field(11, &attribute))].concat()),
        ("training", [graph, high_field(20, &field(1, &field(5, &weights)))].concat()),
    ] {
        let locations: Vec<_> = found(&model).unwrap().locations.into_iter().collect();
        assert_eq!(locations, ["weights"], "{place}");
    }
}

#[test]
fn an_operator_that_runs_what_a_model_brings_is_refused_even_where_the_file_defines_it() {
    let node = [field(4, b"EPContext"), field(7, b"com.microsoft")].concat();
    let function = [field(1, b"EPContext"), field(10, b"com.microsoft")].concat();
    let model = [field(7, &field(1, &node)), high_field(25, &function)].concat();
    assert_eq!(found(&model).unwrap_err().code, "custom-operator");
}

#[test]
fn a_name_that_is_too_long_is_not_taken_for_none() {
    let domain = vec![b'x'; 5000];
    let long = |number: u8, content: &[u8]| {
        let length = content.len();
        let low = u8::try_from(length & 0x7f).unwrap() | 0x80;
        [&[number << 3 | 2, low, u8::try_from(length >> 7).unwrap()], content].concat()
    };
    let node = [field(4, b"Thing"), long(7, &domain)].concat();
    let error = found(&long(7, &long(1, &node))).unwrap_err();
    assert_eq!(error.code, "model-file-broken");
}

#[test]
fn an_operator_of_a_stranger_is_refused_unless_the_file_defines_it() {
    for domain in ["", "ai.onnx", "com.microsoft"] {
        assert!(found(&calling(domain, false)).unwrap().uses(|operator| operator == "Thing"), "{domain}");
    }
    let error = found(&calling("org.stranger", false)).unwrap_err();
    assert_eq!(error.code, "custom-operator");
    assert!(error.message.contains("`Thing` of `org.stranger`"), "{error}");
    assert!(!found(&calling("org.stranger", true)).unwrap().uses(|operator| operator == "Thing"));
}

#[test]
fn an_input_and_a_weight_in_bfloat16_are_found_by_name() {
    let element = u8::try_from(BFLOAT16).unwrap();
    let input = [field(1, b"past"), field(2, &field(1, &[0x08, element]))].concat();
    let weight = [vec![0x10, element], field(8, b"weight")].concat();
    let name = |graph: &[u8]| found(&field(7, graph)).unwrap().bfloat16;
    assert_eq!(name(&field(11, &input)).as_deref(), Some("past"));
    assert_eq!(name(&field(5, &weight)).as_deref(), Some("weight"));
    assert_eq!(found(&model("weights")).unwrap().bfloat16, None);
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name() {
    let whole = model("weights");
    for length in 0..whole.len() {
        let error = found(&whole[..length]).unwrap_err();
        assert_eq!(error.code, "model-file-broken", "{length}");
        assert!(error.message.contains("`model.onnx`"));
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    assert_eq!(found(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err().code, "model-file-broken");
}
