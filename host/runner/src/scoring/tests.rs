use std::path::Path;

use llm_bench_core::Json;

use super::{Fit, ScoringRow, rolling_windows};
use crate::folder::ModelFolder;
use crate::prompt::PromptText;
use crate::settings::ModelSettings;
use crate::tokenizer::TextTokenizer;

const CUT: Fit = Fit { max_length: 4, truncates: true };

#[test]
fn ten_tokens_roll_through_windows_of_four() {
    let tokens: Vec<u32> = (0..10).collect();
    assert_eq!(
        rolling_windows(&tokens, 99, 4),
        [(vec![99], vec![0, 1, 2, 3]), (vec![3], vec![4, 5, 6, 7]), (vec![5, 6, 7], vec![8, 9]),]
    );
    assert_eq!(rolling_windows(&tokens[..3], 99, 4), [(vec![99], vec![0, 1, 2])]);
    assert_eq!(rolling_windows(&tokens[..4], 99, 4), [(vec![99], vec![0, 1, 2, 3])]);
}

#[test]
fn a_long_context_is_cut_at_the_left_and_the_last_token_is_only_predicted() {
    let row = ScoringRow::new(&[1, 2, 3, 4], vec![5, 6], CUT).unwrap();
    assert_eq!(row, ScoringRow { input: vec![2, 3, 4, 5], targets: vec![5, 6] });
    let row = ScoringRow::new(&[1], vec![5, 6, 7, 8], CUT).unwrap();
    assert_eq!(row.input, [1, 5, 6, 7]);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let fit = Fit { max_length: 2, truncates: false };
    let code = |context: &[u32], continuation: &[u32]| {
        ScoringRow::new(context, continuation.to_vec(), fit).unwrap_err().code
    };
    assert_eq!(code(&[1], &[]), "empty-continuation");
    assert_eq!(code(&[], &[1]), "empty-context");
    assert_eq!(code(&[1], &[1, 2, 3]), "continuation-too-long");
    assert_eq!(code(&[1, 2, 3], &[1]), "prompt-too-long");
}

/// What `make_fixtures.py` recorded of lm-evaluation-harness, before it cuts anything.
#[test]
fn the_tokens_of_context_and_continuation_are_those_of_the_reference() {
    const WHOLE: Fit = Fit { max_length: usize::MAX - 1, truncates: false };
    for name in ["llama", "gpt2", "qwen2", "genai-llama"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let folder = ModelFolder::open(&path).unwrap();
        let mut tokenizer = TextTokenizer::open(&path, &ModelSettings::read(&folder).unwrap()).unwrap();
        let recorded: Json =
            serde_json::from_slice(&std::fs::read(path.join("expected.json")).unwrap()).unwrap();
        let cases = recorded["log_likelihood"].as_array().unwrap();
        let mut merging = 0;
        for case in cases {
            let text = |key: &str| case[key].as_str().unwrap();
            let ids = |key: &str| serde_json::from_value::<Vec<u32>>(case[key].clone()).unwrap();
            let (context, continuation) = (text("context"), text("continuation"));
            let row =
                ScoringRow::pair(&mut tokenizer, PromptText::new(context), continuation, WHOLE).unwrap();
            assert_eq!(row.input[..row.context_length()], ids("context_ids"), "{name}: {case}");
            assert_eq!(row.targets, ids("continuation_ids"), "{name}: {case}");
            let whole = tokenizer.encode(&PromptText::new(format!("{context}{continuation}"))).unwrap();
            merging += usize::from(!context.is_empty() && !whole.starts_with(&ids("context_ids")));
        }
        assert!(merging > 0, "{name}: in no case does the continuation merge with the context");
    }
}
