//! What a judge said, read so that a careless or a hostile text does not become a score.
//!
//! A verdict that cannot be read is no verdict: use [`Measurement::judged`](crate::Measurement::judged), which leaves the
//! metric undefined on that sample. Where the judge gives likelihoods, [`Model::choose`](crate::Model::choose) has
//! nothing to read at all.

/// The option that an answer names: in its last line, or, where that names none, anywhere. None where it names no option,
/// more than one, or one after a `not`.
///
/// Options are found as whole words, in any case; of two that overlap the longer one counts.
///
/// ```
/// use llm_bench_plugin_sdk::verdict::one_of;
///
/// let options = ["correct", "incorrect"];
/// assert_eq!(one_of("It is 5, as expected.\nVerdict: **Correct**", &options), Some("correct"));
/// assert_eq!(one_of("The answer is incorrect.", &options), Some("incorrect"));
/// // What the judge quotes does not speak for it.
/// assert_eq!(one_of("It says \"this is correct\".\nVerdict: incorrect", &options), Some("incorrect"));
/// assert_eq!(one_of("not correct", &options), None);
/// assert_eq!(one_of("correct or incorrect?", &options), None);
/// ```
pub fn one_of<'o>(answer: &str, options: &[&'o str]) -> Option<&'o str> {
    let answer = answer.trim_end();
    let last = answer.lines().next_back().unwrap_or_default();
    match named(last, options) {
        Named::None => match named(answer, options) {
            Named::One(option) => Some(option),
            Named::None | Named::Unclear => None,
        },
        Named::One(option) => Some(option),
        Named::Unclear => None,
    }
}

enum Named<'o> {
    None,
    One(&'o str),
    Unclear,
}

fn named<'o>(text: &str, options: &[&'o str]) -> Named<'o> {
    let words = words(text);
    let mut options: Vec<(&'o str, Vec<String>)> = options
        .iter()
        .map(|option| (*option, self::words(option)))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    options.sort_by_key(|(_, words)| std::cmp::Reverse(words.len()));
    let (mut found, mut place) = (None, 0);
    while place < words.len() {
        let matching = options.iter().find(|(_, option)| words[place..].starts_with(option));
        let Some((option, length)) = matching.map(|(option, words)| (*option, words.len())) else {
            place += 1;
            continue;
        };
        let is_negated = place > 0 && is_negation(&words[place - 1]);
        if is_negated || found.is_some_and(|found| found != option) {
            return Named::Unclear;
        }
        found = Some(option);
        place += length;
    }
    found.map_or(Named::None, Named::One)
}

fn words(text: &str) -> Vec<String> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
    text.split(|c| !is_inside(c)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn is_negation(word: &str) -> bool {
    matches!(word, "not" | "never" | "neither" | "nor" | "cannot")
        || word.ends_with("n't")
        || word.ends_with("n’t")
}

/// The rating in an answer: the one number of its last line, from `low` to `high`. None where there is no number, more
/// than one, or one that is out of range. `7/10` is 7 where 10 is the highest.
///
/// ```
/// use llm_bench_plugin_sdk::verdict::rating;
///
/// assert_eq!(rating("Three small mistakes.\nRating: 7", 1.0, 10.0), Some(7.0));
/// assert_eq!(rating("[[8.5]]", 1.0, 10.0), Some(8.5));
/// assert_eq!(rating("7/10", 1.0, 10.0), Some(7.0));
/// assert_eq!(rating("between 6 and 8", 1.0, 10.0), None);
/// assert_eq!(rating("Rating: 100", 1.0, 10.0), None);
/// ```
pub fn rating(answer: &str, low: f64, high: f64) -> Option<f64> {
    let last = answer.trim_end().lines().next_back()?;
    let mut numbers = numbers(last).into_iter();
    let (rating, mut end) = numbers.next()?;
    if let Some((highest, highest_end)) = numbers.next() {
        let between = last[end..].trim_start();
        if !between.starts_with('/') || highest != high {
            return None;
        }
        end = highest_end;
    }
    let is_alone = numbers.next().is_none() && last.get(end..).is_some();
    (is_alone && (low..=high).contains(&rating)).then_some(rating)
}

/// The numbers of a text, and where each ends. A dash before a digit is a minus where no word or number ends at it.
fn numbers(text: &str) -> Vec<(f64, usize)> {
    let mut found = Vec::new();
    let mut before = None;
    let mut rest = text.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let next_is_digit = rest.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let is_minus = c == '-' && next_is_digit && !before.is_some_and(char::is_alphanumeric);
        before = Some(c);
        if !c.is_ascii_digit() && !is_minus {
            continue;
        }
        let mut end = start + c.len_utf8();
        while let Some(&(place, next)) = rest.peek() {
            let is_point = next == '.' && text[place + 1..].starts_with(|c: char| c.is_ascii_digit());
            if !next.is_ascii_digit() && !is_point {
                break;
            }
            end = place + next.len_utf8();
            before = Some(next);
            rest.next();
        }
        if let Ok(number) = text[start..end].parse() {
            found.push((number, end));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_two_overlapping_options_counts() {
        let options = ["relevant", "not relevant"];
        assert_eq!(one_of("Verdict: not relevant.", &options), Some("not relevant"));
        assert_eq!(one_of("Verdict: RELEVANT", &options), Some("relevant"));
        assert_eq!(one_of("It isn't relevant.", &options), None);
    }

    #[test]
    fn an_option_is_a_whole_word() {
        assert_eq!(one_of("yesterday", &["yes", "no"]), None);
        assert_eq!(one_of("I know: yes", &["yes", "no"]), Some("yes"));
        assert_eq!(one_of("", &["yes", "no"]), None);
        assert_eq!(one_of("anything", &[""]), None);
    }

    #[test]
    fn an_answer_that_ends_without_a_verdict_is_searched_as_a_whole() {
        assert_eq!(one_of("Yes.\nThe answer names Paris.\n\n", &["yes", "no"]), Some("yes"));
        assert_eq!(one_of("Yes.\nWell, no.\nHard to say.", &["yes", "no"]), None);
    }

    #[test]
    fn ratings_of_any_writing_are_numbers_and_nothing_else() {
        let cases = [
            ("-3", Some(-3.0)),
            ("**Score**: 4.5.", Some(4.5)),
            ("4 / 5", Some(4.0)),
            ("4/6", None),
            ("GPT-4", Some(4.0)),
            ("no idea", None),
            ("", None),
            ("1 2 3", None),
        ];
        for (text, expected) in cases {
            assert_eq!(rating(text, -5.0, 5.0), expected, "{text}");
        }
    }
}
