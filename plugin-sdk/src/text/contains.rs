/// Whether any target occurs in the answer, whatever the case of their letters: lm-evaluation-harness's `contains`
/// (of the tasks `squad_completion`, `swde`, `fda`). Nothing else is left out of account: targets with white space or
/// punctuation must occur with it. An empty target occurs everywhere; without targets there is none.
///
/// Letters are equal as Python's `re.IGNORECASE` finds them, one by one: `ſ` is an `S`, but `ß` is not `ss`.
///
/// ```
/// use llm_bench_plugin_sdk::text::contains;
///
/// assert!(contains("It is PARIS, of course.", ["Paris"]));
/// assert!(contains("Bonn, then Berlin", ["Hamburg", "bonn"]));
/// assert!(!contains("in Paris", ["in  Paris", "Rome"]));
/// ```
pub fn contains<'t>(answer: &str, targets: impl IntoIterator<Item = &'t str>) -> bool {
    let answer: Vec<char> = answer.chars().map(lower).collect();
    targets.into_iter().any(|target| {
        let target: Vec<char> = target.chars().map(lower).collect();
        target.is_empty()
            || answer.windows(target.len()).any(|window| {
                window.iter().zip(&target).all(|(left, right)| {
                    left == right || (!left.is_ascii() || !right.is_ascii()) && same_upper(*left, *right)
                })
            })
    })
}

/// One character for one: only `İ` has a lower case of two, whose first is the simple one.
fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

fn same_upper(left: char, right: char) -> bool {
    left.to_uppercase().eq(right.to_uppercase())
}
