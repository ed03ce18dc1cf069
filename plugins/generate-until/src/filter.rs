use llm_bench_plugin_sdk::text::{Pattern, strip};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes one match of a regular expression out of an answer, as the filter `regex` of lm-evaluation-harness does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Name beside the metric: `strict-match`.
    pub name: String,
    /// What to take: the match, or its first group that is not empty.
    pub regex: Pattern,
    /// Which match: 0 is the first, -1 the last.
    #[serde(default)]
    pub select: i32,
    /// What stands for the answer where nothing matches.
    #[serde(default = "invalid")]
    pub fallback: String,
}

fn invalid() -> String {
    "[invalid]".into()
}

impl Filter {
    /// The answer as this filter reads it.
    pub(crate) fn read<'t>(&'t self, answer: &'t str) -> &'t str {
        let matches = self.regex.find_all(answer);
        let distance = self.select.unsigned_abs() as usize;
        let index = if self.select < 0 { matches.len().checked_sub(distance) } else { Some(distance) };
        match index.and_then(|index| matches.get(index)) {
            // Only of several groups an empty one counts as nothing found, as in the reference, which strips what stands
            // for it then.
            Some(found) if !found.is_empty() || self.regex.groups() < 2 => strip(found),
            Some(_) => strip(&self.fallback),
            None => &self.fallback,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(regex: &str, select: i32) -> Filter {
        Filter { name: "x".into(), regex: Pattern::parse(regex).unwrap(), select, fallback: invalid() }
    }

    #[test]
    fn the_final_answer_of_grade_school_mathematics_is_found_both_ways() {
        let answer = "She has 12 eggs, sells 3 for $2 each.\n#### 18";
        assert_eq!(filter(r"#### (\-?[0-9\.\,]+)", 0).read(answer), "18");
        assert_eq!(filter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1).read(answer), "18");
        assert_eq!(filter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", 1).read(answer), "3");
    }

    #[test]
    fn where_nothing_matches_the_fallback_stands() {
        assert_eq!(filter(r"#### (\d+)", 0).read("I do not know"), "[invalid]");
        assert_eq!(filter(r"\d", -2).read("1"), "[invalid]");
        assert_eq!(filter(r"answer:(\d*)", 0).read("answer:"), "");
        assert_eq!(filter(r"answer:(\d*)(x?)", 0).read("answer:"), "[invalid]");
    }
}
