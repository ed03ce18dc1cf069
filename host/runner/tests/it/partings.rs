//! One text may be parted into context and continuation in several ways; each way asks something else.

use crate::support::{FIXTURES, loaded, loaded_row_by_row, pair};

#[tokio::test]
async fn the_same_tokens_parted_elsewhere_are_scored_as_asked() {
    // Short contexts are no families: each row has a key of its own.
    let requests = vec![
        pair("The", " quick brown fox"),
        pair("The quick", " brown fox"),
        pair("The quick brown", " fox"),
        pair("The quick brown", " fox jumps"),
    ];
    for name in FIXTURES {
        for model in [loaded(name).await, loaded_row_by_row(name).await] {
            let together = model.score(requests.clone()).await.unwrap();
            for (request, answer) in requests.iter().zip(together) {
                let alone = model.score(vec![request.clone()]).await.unwrap()[0];
                let tolerance = 1e-4 * f64::from(alone.tokens);
                assert_eq!(answer.tokens, alone.tokens, "{name}: {request:?}");
                assert!((answer.sum - alone.sum).abs() <= tolerance, "{name}: {answer:?} and {alone:?}");
            }
        }
    }
}
