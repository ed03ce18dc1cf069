//! What a measurement found: a table for people and a file for machines.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::machine::Machine;

pub(crate) struct Report {
    /// The work's name on the command line.
    pub(crate) name: &'static str,
    pub(crate) about: String,
    /// What the seconds are of.
    pub(crate) time: &'static str,
    /// The least ratio.
    pub(crate) bar: f64,
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
    pub(crate) scores: Outcome,
    /// The peer's packages.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) machine: Machine,
}

pub(crate) struct Side {
    /// Program and version.
    pub(crate) name: String,
    /// One figure for each repetition.
    pub(crate) seconds: Vec<f64>,
}

/// Whether both sides gave the same answers.
pub(crate) struct Outcome {
    pub(crate) agree: bool,
    pub(crate) json: Value,
    pub(crate) line: String,
}

impl Report {
    /// How many times as fast as the peer we are.
    fn ratio(&self) -> f64 {
        self.theirs.median() / self.ours.median()
    }

    fn is_met(&self) -> bool {
        self.scores.agree && self.ratio() >= self.bar
    }

    pub(crate) fn print(&self) {
        let met = if self.is_met() { "met" } else { "NOT met" };
        println!("\n{}: {}; {}", self.name, self.about, self.time);
        for side in [&self.theirs, &self.ours] {
            println!("  {:28} {}", side.name, side.line());
        }
        println!("  {:28} {:.2} ×, the bar of {} × is {met}", "ratio", self.ratio(), self.bar);
        println!("  {:28} {}", "answers", self.scores.line);
        println!("  {:28} {}", "machine", self.machine.line());
    }

    /// Writes `NAME.json` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(&self.json())?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// # Errors
    /// When the answers differ: then the times are of different things.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.scores.agree, "{}: the answers differ, so the ratio counts for nothing", self.name);
        Ok(())
    }

    fn json(&self) -> Value {
        let side =
            |side: &Side| json!({ "name": side.name, "seconds": side.seconds, "median_s": side.median() });
        json!({
            "work": self.name,
            "about": self.about,
            "time": self.time,
            "ratio": self.ratio(),
            "bar": self.bar,
            "met": self.is_met(),
            "llm-bench": side(&self.ours),
            "peer": side(&self.theirs),
            "answers": self.scores.json,
            "machine": self.machine.json(),
            "versions": self.versions,
            "finished_unix_s": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        })
    }
}

impl Side {
    fn median(&self) -> f64 {
        median(&self.seconds)
    }

    fn line(&self) -> String {
        let median = format!("{:.3} s", self.median());
        match self.seconds.len() {
            1 => median,
            n => {
                let least = self.seconds.iter().copied().fold(f64::INFINITY, f64::min);
                let most = self.seconds.iter().copied().fold(0.0, f64::max);
                format!("{median}, the median of {n} from {least:.3} to {most:.3}")
            }
        }
    }
}

/// The middle one, of an even count the mean of the two in the middle; of none, not a number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ours: &[f64], theirs: &[f64], agree: bool) -> Report {
        let side = |seconds: &[f64]| Side { name: "side".to_owned(), seconds: seconds.to_vec() };
        Report {
            name: "work",
            about: String::new(),
            time: "whole processes",
            bar: 2.0,
            ours: side(ours),
            theirs: side(theirs),
            scores: Outcome { agree, json: Value::Null, line: String::new() },
            versions: BTreeMap::new(),
            machine: Machine::look(),
        }
    }

    #[test]
    fn the_ratio_is_of_the_medians() {
        let report = report(&[1.0, 9.0, 2.0], &[5.0, 3.0], true);
        assert_eq!(report.ratio(), 2.0);
        assert!(report.is_met());
    }

    #[test]
    fn a_fast_wrong_answer_meets_no_bar() {
        let report = report(&[1.0], &[100.0], false);
        assert!(!report.is_met());
        assert!(report.check().is_err());
    }
}
