use std::collections::HashMap;

use super::is_space;

/// The normal form of `SQuAD`'s official scorer: lower case, ASCII punctuation out, the articles a, an, the out, white
/// space collapsed. Vowel signs, as Devanagari has them, count as letters, which they do not in Python's `\b`; that
/// shows only where an English article touches one.
///
/// ```
/// use llm_bench_plugin_sdk::text::squad_normalize;
///
/// assert_eq!(squad_normalize("The  Eiffel-Tower, an icon!"), "eiffeltower icon");
/// ```
pub fn squad_normalize(text: &str) -> String {
    let mut text = text.to_lowercase();
    text.retain(|character| !character.is_ascii_punctuation());
    let mut without_articles = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Articles stand between word boundaries: a run of word characters is one, or is none.
        let is_word = |character: char| character.is_alphanumeric();
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        without_articles.push_str(if matches!(word, "a" | "an" | "the") { " " } else { word });
        let next = tail.find(is_word).unwrap_or(tail.len());
        without_articles.push_str(&tail[..next]);
        rest = &tail[next..];
    }
    words(&without_articles).collect::<Vec<_>>().join(" ")
}

/// Whether the answer equals any target in normal form.
///
/// ```
/// assert!(llm_bench_plugin_sdk::text::squad_exact_match("the tower.", ["Tower"]));
/// ```
pub fn squad_exact_match<'t>(answer: &str, targets: impl IntoIterator<Item = &'t str>) -> bool {
    let answer = squad_normalize(answer);
    targets.into_iter().any(|target| squad_normalize(target) == answer)
}

/// F1 over the multisets of words in normal form, the best over all targets: 2·P·R / (P + R). Where either has no
/// word, 1 if both have none (`SQuAD` 2.0). 0 without targets.
///
/// ```
/// use llm_bench_plugin_sdk::text::squad_f1;
///
/// assert_eq!(squad_f1("the red house", ["red house", "barn"]), 1.0);
/// assert!((squad_f1("red red house", ["red house"]) - 0.8).abs() < 1e-12);
/// ```
pub fn squad_f1<'t>(answer: &str, targets: impl IntoIterator<Item = &'t str>) -> f64 {
    let answer = squad_normalize(answer);
    targets.into_iter().map(|target| f1(&answer, &squad_normalize(target))).fold(0.0, f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "no text has 2^52 words")]
fn f1(answer: &str, target: &str) -> f64 {
    let mut unmatched: HashMap<&str, usize> = HashMap::new();
    for word in words(target) {
        *unmatched.entry(word).or_default() += 1;
    }
    let target_words: usize = unmatched.values().sum();
    let answer_words = words(answer).count();
    if target_words == 0 || answer_words == 0 {
        return f64::from(u8::from(target_words == answer_words));
    }
    let mut shared = 0_usize;
    for word in words(answer) {
        if let Some(count) = unmatched.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = shared as f64 / answer_words as f64;
    let recall = shared as f64 / target_words as f64;
    2.0 * precision * recall / (precision + recall)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_go_only_as_whole_words() {
        assert_eq!(squad_normalize("A theatre, the an-thology"), "theatre anthology");
        assert_eq!(squad_normalize("x—the—y"), "x— —y");
    }

    #[test]
    fn words_count_as_often_as_they_occur() {
        assert!((f1("b b c", "b c c") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(squad_f1("", [""]), 1.0);
        assert_eq!(squad_f1("x", [""]), 0.0);
    }
}
