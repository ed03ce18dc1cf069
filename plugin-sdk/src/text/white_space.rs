/// Whether Python counts a character as white space: Rust's, and U+001C to U+001F.
/// Scores agree with Python's only where this decides what is stripped, split or counted.
///
/// ```
/// use llm_bench_plugin_sdk::text::is_space;
///
/// assert!(is_space('\u{1c}') && !'\u{1c}'.is_whitespace());
/// ```
pub fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Python's `str.strip()`.
///
/// ```
/// assert_eq!(llm_bench_plugin_sdk::text::strip(" \u{1f}Paris\n"), "Paris");
/// ```
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The number of parts of Python's `re.split(r"\s+", text)`: what `word_perplexity` divides by. White space at an end
/// makes one empty part there, which counts.
///
/// ```
/// use llm_bench_plugin_sdk::text::count_words;
///
/// assert_eq!(count_words("two  words"), 2);
/// assert_eq!(count_words(" two words\n"), 4);
/// assert_eq!(count_words(""), 1);
/// ```
pub fn count_words(text: &str) -> usize {
    let mut words = 1;
    let mut in_space = false;
    for character in text.chars() {
        let space = is_space(character);
        words += usize::from(space && !in_space);
        in_space = space;
    }
    words
}
