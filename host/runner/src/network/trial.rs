//! Finding out by trying what a graph makes of padding, and of tokens after a cache.
//!
//! Most graphs say it by their inputs. A merged decoder may have been traced with a single token after a cache, and
//! then does not mask what follows; fused attention has rules of its own, and some builders state shapes that are not
//! so. Wrong numbers would come without any error, so what a graph says in one run is held against the others.

use llm_bench_core::Result;

use super::{Logits, Network, Step};
use crate::graph::{Continues, Padding};

/// Tokens of a tried sequence.
const LENGTH: usize = 8;
/// Of these, those before the cut between a cache and what follows.
const CUT: usize = 4;
/// By how much of the logits' spread two runs may differ. Half precision stays far below, another mask far above.
const TOLERANCE: f32 = 0.03;

impl Network {
    /// Corrects `padding` and `continues` of the graph.
    pub(super) fn try_out(&mut self) -> Result<()> {
        let (whole, _) = self.advance(sequences(self.vocabulary(), 0..LENGTH), None)?;
        if self.graph.continues != Continues::Never {
            self.graph.continues = if self.continues(&whole, LENGTH) {
                Continues::Many
            } else if self.continues(&whole, CUT + 1) {
                Continues::OneToken
            } else {
                Continues::Never
            };
        }
        if self.graph.padding == Padding::Anywhere && !self.pads_left_rightly(&whole) {
            self.graph.padding = Padding::Nowhere;
        }
        Ok(())
    }

    /// Whether the tokens up to `end` after a cache get the logits that they get in one run.
    fn continues(&mut self, whole: &Logits, end: usize) -> bool {
        let vocabulary = self.vocabulary();
        let cut = self
            .advance(sequences(vocabulary, 0..CUT), None)
            .and_then(|(_, cache)| self.advance(sequences(vocabulary, CUT..end), Some(cache)));
        agrees(cut.map(|(logits, _)| {
            (0..2)
                .all(|row| (CUT..end).all(|place| is_near(&logits, (row, place - CUT), whole, (row, place))))
        }))
    }

    /// Whether a row behind padding gets the logits that it gets without, in a run and, with a cache, in the next.
    fn pads_left_rightly(&mut self, whole: &Logits) -> bool {
        let padding = LENGTH - 1 - CUT;
        let mut step = sequences(self.vocabulary(), 0..LENGTH - 1);
        let row = LENGTH - 1..2 * (LENGTH - 1);
        for values in [&mut step.ids, &mut step.mask, &mut step.positions] {
            values[row.clone()].rotate_right(padding);
            values[row.start..row.start + padding].fill(0);
        }
        let padded = self.advance(step, None);
        let (logits, cache) = match padded {
            Ok(padded) => padded,
            Err(error) => return agrees(Err(error)),
        };
        let is_right = (0..CUT).all(|place| is_near(&logits, (1, padding + place), whole, (1, place)));
        if !is_right || self.graph.continues == Continues::Never {
            return is_right;
        }
        let mut next = sequences(self.vocabulary(), LENGTH - 1..LENGTH);
        let other = sequences(self.vocabulary(), CUT..CUT + 1);
        (next.ids[1], next.positions[1]) = (other.ids[1], other.positions[1]);
        next.mask[LENGTH..LENGTH + padding].fill(0);
        agrees(self.advance(next, Some(cache)).map(|(logits, _)| {
            is_near(&logits, (0, 0), whole, (0, LENGTH - 1)) && is_near(&logits, (1, 0), whole, (1, CUT))
        }))
    }

    fn vocabulary(&self) -> usize {
        self.graph.vocabulary.unwrap_or(2).max(2)
    }
}

/// The tokens at `places` of two sequences that differ.
fn sequences(vocabulary: usize, places: std::ops::Range<usize>) -> Step {
    let mut step = Step { rows: 2, ids: Vec::new(), mask: vec![1; 2 * places.end], positions: Vec::new() };
    for row in 0..2 {
        for place in places.clone() {
            let id = (place * 7 + row * 5 + 3) % vocabulary;
            step.ids.push(i64::try_from(id).unwrap_or(0));
            step.positions.push(i64::try_from(place).unwrap_or(0));
        }
    }
    step
}

fn is_near(one: &Logits, (row, place): (usize, usize), other: &Logits, at: (usize, usize)) -> bool {
    let (Ok(one), Ok(other)) = (one.at(row, place), other.at(at.0, at.1)) else { return false };
    let largest = other.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let smallest = other.iter().copied().fold(f32::INFINITY, f32::min);
    let allowed = TOLERANCE * (largest - smallest);
    one.iter().zip(other.iter()).all(|(one, other)| (one - other).abs() <= allowed)
}

/// A run that the graph refuses is an answer too.
fn agrees(tried: Result<bool>) -> bool {
    tried.unwrap_or_else(|error| {
        tracing::debug!(?error, "the graph refuses a run; the runner does without");
        false
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Network, Step};
    use super::{CUT, LENGTH, is_near, sequences};
    use crate::folder::ModelFolder;
    use crate::graph::{Continues, Padding};
    use crate::provider::Provider;
    use crate::runtime;

    fn opened(fixture: &str) -> Network {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        let build = std::env::current_exe().unwrap();
        let library =
            build.ancestors().map(|folder| folder.join("lib").join(&name)).find(|file| file.is_file());
        let environment = runtime::load(&library.expect("run `cargo xtask layout` first")).unwrap();
        let folder = ModelFolder::open(&package.join("tests/fixtures").join(fixture)).unwrap();
        Network::open(&environment, &folder, Some(1), Provider::Cpu).unwrap()
    }

    #[test]
    fn every_family_is_known_for_what_it_can_do() {
        for (fixture, padding, continues) in [
            ("llama", Padding::Anywhere, Continues::Many),
            ("llama-float16", Padding::Anywhere, Continues::Many),
            ("llama-merged", Padding::Anywhere, Continues::Many),
            ("llama-without-positions", Padding::Nowhere, Continues::Many),
            ("llama-cache-position", Padding::Nowhere, Continues::Many),
            ("llama-int8", Padding::Alone, Continues::Many),
            ("gpt2-without-cache", Padding::Anywhere, Continues::Never),
            ("genai-llama", Padding::Behind, Continues::ManyOfOneRow),
            ("genai-llama-int4", Padding::Behind, Continues::ManyOfOneRow),
            ("genai-llama-float16", Padding::Behind, Continues::ManyOfOneRow),
            ("genai-llama-float16-cpu", Padding::Anywhere, Continues::OneToken),
            ("genai-llama-float16-cpu-shared", Padding::Anywhere, Continues::Never),
        ] {
            let graph = opened(fixture).graph;
            assert_eq!((graph.padding, graph.continues), (padding, continues), "{fixture}");
        }
    }

    #[test]
    fn a_graph_that_promises_too_much_is_corrected() {
        for (fixture, corrected) in [
            // The numbers behind padding are wrong; several tokens after a cache are refused.
            ("genai-llama", (Padding::Nowhere, Continues::OneToken)),
            ("gpt2-without-positions", (Padding::Nowhere, Continues::Many)),
            ("llama", (Padding::Anywhere, Continues::Many)),
        ] {
            let mut network = opened(fixture);
            (network.graph.padding, network.graph.continues) = (Padding::Anywhere, Continues::Many);
            network.try_out().unwrap();
            assert_eq!((network.graph.padding, network.graph.continues), corrected, "{fixture}");
        }
    }

    /// Two rows of different length, the shorter one padded at its end, and the next token of each.
    #[test]
    fn where_padding_stands_behind_rows_they_go_on_together() {
        for fixture in ["genai-llama", "genai-llama-int4", "genai-llama-float16"] {
            let mut network = opened(fixture);
            let vocabulary = network.vocabulary();
            let (whole, _) = network.advance(sequences(vocabulary, 0..LENGTH), None).unwrap();
            let mut first = sequences(vocabulary, 0..LENGTH - 1);
            for values in [&mut first.ids, &mut first.mask] {
                values[LENGTH - 1 + CUT..].fill(0);
            }
            let (logits, cache) = network.advance(first, None).unwrap();
            assert!((0..CUT).all(|place| is_near(&logits, (1, place), &whole, (1, place))), "{fixture}");
            let (long, short) =
                (sequences(vocabulary, LENGTH - 1..LENGTH), sequences(vocabulary, CUT..CUT + 1));
            let mut mask = vec![1; 2 * LENGTH];
            mask[LENGTH + CUT + 1..].fill(0);
            let next = Step {
                rows: 2,
                ids: vec![long.ids[0], short.ids[1]],
                mask,
                positions: vec![long.positions[0], short.positions[1]],
            };
            let (logits, _) = network.advance(next, Some(cache)).unwrap();
            assert!(is_near(&logits, (0, 0), &whole, (0, LENGTH - 1)), "{fixture}");
            assert!(is_near(&logits, (1, 0), &whole, (1, CUT)), "{fixture}");
        }
    }
}
