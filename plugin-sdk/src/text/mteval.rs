/// Puts spaces around what `mteval-v13a` takes for words of their own; white space then separates the words.
pub(super) fn separate(text: &str) -> String {
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut spaced = String::with_capacity(text.len() + 8);
    spaced.push(' ');
    for character in text.chars() {
        if stands_alone(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced.push(' ');
    // Numbers keep their points, commas and leading signs.
    let spaced = replace_pairs(&spaced, |left, right| {
        (!left.is_ascii_digit() && is_point(right)).then(|| [left, ' ', right, ' '].into_iter())
    });
    let spaced = replace_pairs(&spaced, |left, right| {
        (is_point(left) && !right.is_ascii_digit()).then(|| [' ', left, ' ', right].into_iter())
    });
    replace_pairs(&spaced, |left, right| {
        (left.is_ascii_digit() && right == '-').then(|| [left, ' ', right, ' '].into_iter())
    })
}

/// ASCII punctuation but the apostrophe, comma, hyphen and full stop.
fn stands_alone(character: char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '\'' | ',' | '-' | '.')
}

fn is_point(character: char) -> bool {
    matches!(character, '.' | ',')
}

/// Replaces neighbours from left to right; both of a replaced pair are done with.
fn replace_pairs<I: Iterator<Item = char>>(text: &str, replace: impl Fn(char, char) -> Option<I>) -> String {
    let mut replaced = String::with_capacity(text.len() * 2);
    let mut rest = text.chars();
    while let Some(left) = rest.next() {
        match rest.clone().next().and_then(|right| replace(left, right)) {
            Some(replacement) => {
                replaced.extend(replacement);
                rest.next();
            }
            None => replaced.push(left),
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        separate(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_keep_their_points_and_words_do_not() {
        assert_eq!(
            words("1,234.5 a.b .5 5. x-y 3-4"),
            ["1,234.5", "a", ".", "b", ".", "5", "5", ".", "x-y", "3", "-", "4"]
        );
    }

    #[test]
    fn entities_are_read_one_after_the_other() {
        assert_eq!(words("&amp;lt;b&gt;"), ["<", "b", ">"]);
    }

    #[test]
    fn a_word_hyphenated_over_a_line_is_joined() {
        assert_eq!(words("sepa-\nrate <skipped>lines\nhere"), ["separate", "lines", "here"]);
    }
}
