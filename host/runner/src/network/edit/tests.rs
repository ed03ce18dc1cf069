use super::protobuf::{fields, message, number, text};
use super::{POSITIONS, Rewrites, edit};

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}/model.onnx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[test]
fn exported_graphs_get_an_input_for_the_wanted_positions() {
    for name in ["gpt2", "gpt2-without-cache", "llama", "llama-float16", "qwen2"] {
        let model = fixture(name);
        let edited = edit(&model, Rewrites::All).unwrap_or_else(|| panic!("{name} is not edited"));
        assert!(edited.rewritten.selects_logits, "{name}");
        let holds = |bytes: &[u8]| bytes.windows(POSITIONS.len()).any(|part| part == POSITIONS.as_bytes());
        assert!(!holds(&model) && holds(&edited.bytes), "{name}");
        assert!(fields(&edited.bytes).all(|field| field.is_some()), "{name}");
    }
}

/// The operations of a model's graph.
fn operators(model: &[u8]) -> Vec<String> {
    let graph = fields(model).flatten().find(|field| field.number == 7).unwrap().content.unwrap();
    let graph = super::Graph::read(&model[graph]).unwrap();
    graph.nodes.iter().map(|node| node.operator.to_owned()).collect()
}

#[test]
fn exported_attention_becomes_one_operation() {
    for (name, layers, is_turned) in [
        ("gpt2", 2, false),
        ("gpt2-without-positions", 2, false),
        ("llama", 2, true),
        ("llama-cache-position", 1, true),
        ("llama-without-positions", 2, true),
        ("qwen2", 2, true),
    ] {
        let edited = edit(&fixture(name), Rewrites::All).unwrap();
        let operators = operators(&edited.bytes);
        let count = |operator: &str| operators.iter().filter(|there| *there == operator).count();
        assert!(edited.rewritten.is_fused && edited.rewritten.hides, "{name}");
        assert_eq!((count("Attention"), count("Softmax"), count("IsNaN")), (layers, 0, 0), "{name}");
        assert_eq!(count("RotaryEmbedding"), if is_turned { 2 * layers } else { 0 }, "{name}");
        // Projections give what the operations take: what is left is of the mask and the angles.
        assert!(!is_turned || count("Reshape") == 4, "{name}");
        if is_turned {
            // Queries, keys and values are one product, and the two of the network after the attention.
            assert_eq!((count("MatMul"), count("Split")), (4 * layers + 2, 2 * layers), "{name}");
        }
        // Of the norms of a Llama only the first has no sum before it.
        let norms = if is_turned { 2 * layers } else { 0 };
        assert_eq!(count("SkipSimplifiedLayerNormalization"), norms, "{name}");
    }
}

#[test]
fn other_attention_stays_as_it_is() {
    for name in ["gpt2-without-cache", "llama-float16", "llama-int8"] {
        let edited = edit(&fixture(name), Rewrites::All).unwrap();
        assert!(
            !edited.rewritten.is_fused && operators(&edited.bytes).iter().any(|there| there == "Softmax"),
            "{name}"
        );
    }
    let edited = edit(&fixture("llama"), Rewrites::Fewer).unwrap();
    assert!(!edited.rewritten.is_fused && edited.rewritten.selects_logits);
}

#[test]
fn a_graph_that_runs_in_circles_is_left_alone() {
    let node = |operator: &str, inputs: &[&str], output: &str| {
        let inputs = inputs.iter().flat_map(|input| text(1, input)).collect::<Vec<_>>();
        message(1, &[inputs, text(2, output), text(4, operator)].concat())
    };
    let output = message(12, &text(1, "logits"));
    for nodes in [
        [node("Cast", &["x"], "logits"), node("Cast", &["logits"], "x")].concat(),
        [
            node("MatMul", &["h", "a"], "logits"),
            node("Cast", &["b"], "a"),
            node("Transpose", &["a"], "b"),
            node("Relu", &["h"], "h"),
        ]
        .concat(),
    ] {
        let operators = message(8, &number(2, 17));
        let model = [message(7, &[nodes, output.clone()].concat()), operators].concat();
        assert!(edit(&model, Rewrites::All).is_none());
    }
}

#[test]
fn hostile_nodes_neither_take_long_nor_break_the_graph() {
    let node = |operator: &str, inputs: &[String], outputs: &[&str]| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|input| text(1, input)).collect();
        let outputs: Vec<u8> = outputs.iter().flat_map(|output| text(2, output)).collect();
        message(1, &[inputs, outputs, text(4, operator)].concat())
    };
    let model = |nodes: &[u8]| {
        let graph = [nodes, &message(12, &text(1, "logits"))].concat();
        [message(7, &graph), message(8, &number(2, 17))].concat()
    };
    // A tree of a hundred branches at each of its forks.
    let forks =
        (0..8).flat_map(|depth| node("Cast", &vec![format!("w{}", depth + 1); 100], &[&format!("w{depth}")]));
    let product = node("MatMul", &["h".into(), "w0".into()], &["logits"]);
    assert!(edit(&model(&[product, forks.collect()].concat()), Rewrites::All).is_none());
    // One test for two guards, of which one is an output.
    let guard =
        |condition: &str, output: &str| node("Where", &[condition.into(), "w".into(), "x".into()], &[output]);
    let nodes = [
        node("Softmax", &["h".into()], &["x"]),
        node("IsNaN", &["x".into()], &["one", "other"]),
        node("Constant", &[], &["w"]),
        guard("one", "logits"),
        guard("other", "y"),
    ];
    let edited = edit(&model(&nodes.concat()), Rewrites::All).unwrap();
    assert_eq!(operators(&edited.bytes), ["Softmax", "IsNaN", "Constant", "Where"]);
}

#[test]
fn what_is_no_model_is_left_alone() {
    let model = fixture("llama");
    for length in [0, 1, 100, model.len() / 2] {
        assert!(edit(&model[..length], Rewrites::All).is_none(), "{length}");
    }
    assert!(edit(b"version https://git-lfs.github.com/spec/v1\n", Rewrites::All).is_none());
}

#[test]
fn flipped_bytes_neither_panic_nor_hang() {
    let model = fixture("llama");
    // Weights are most of the file; what stands between and after them is the structure.
    let graph = fields(&model).flatten().find(|field| field.number == 7).unwrap().content.unwrap();
    let nodes: Vec<_> = (fields(&model[graph.clone()]).flatten())
        .filter(|field| field.number != 5)
        .map(|field| graph.start + field.whole.start..graph.start + field.whole.end)
        .collect();
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        // A generator of Lehmer's kind: the same places on every machine.
        state = state * 48_271 % 0x7fff_ffff;
        usize::try_from(state).unwrap() % below
    };
    for _ in 0..200 {
        let mut broken = model.clone();
        for _ in 0..3 {
            let node = &nodes[draw(nodes.len())];
            broken[node.start + draw(node.len())] ^= 1 << draw(8);
        }
        if let Some(edited) = edit(&broken, Rewrites::All) {
            assert!(fields(&edited.bytes).all(|field| field.is_some()));
        }
    }
}
