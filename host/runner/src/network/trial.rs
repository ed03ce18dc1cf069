//! Finding out by trying what a graph makes of padding, and of tokens after a cache.
//!
//! Most graphs say it by their inputs. A merged decoder may have been traced with a single token after a cache, and
//! then does not mask what follows; fused attention has rules of its own, and some builders state shapes that are not
//! so. Wrong numbers would come without any error, so what a graph says in one run is held against the others.

use std::ops::Range;

use llm_bench_core::Result;

use super::{Cache, Fork, Logits, Network, Stride};
use crate::graph::{Continues, Padding};

/// Tokens of a tried sequence.
const LENGTH: usize = 8;
/// Of these, those before the cut between a cache and what follows.
const CUT: usize = 4;
/// By how much of the logits' spread two runs may differ. Half precision stays far below, another mask far above.
const TOLERANCE: f32 = 0.03;

/// Some tokens of a tried sequence, after what a cache holds of it.
struct Part {
    ids: Vec<u32>,
    past: Vec<i64>,
    place: usize,
    wanted: Vec<usize>,
    fork: Option<Fork>,
}

impl Network {
    /// Corrects `padding` and `continues` of the graph.
    pub(super) fn try_out(&mut self) -> Result<()> {
        let (whole, _) = self.try_parts(&[self.part(0, 0..LENGTH, 0), self.part(1, 0..LENGTH, 0)], None)?;
        if self.graph.continues != Continues::Never {
            self.graph.continues = if self.continues(&whole, LENGTH) {
                Continues::Many
            } else if self.continues(&whole, CUT + 1) {
                Continues::OneToken
            } else {
                Continues::Never
            };
        }
        if self.graph.padding == Padding::Anywhere && !self.takes_gaps(&whole) {
            self.graph.padding = Padding::Nowhere;
        }
        Ok(())
    }

    /// Whether rows with a cache run at all, and tokens after it get the logits that they get in one run.
    pub(super) fn goes_on_from_a_cache(&mut self) -> bool {
        let whole = self.try_parts(&[self.part(0, 0..LENGTH, 0), self.part(1, 0..LENGTH, 0)], None);
        whole.is_ok_and(|(whole, _)| self.continues(&whole, LENGTH))
    }

    /// Whether each of two branches after a cache gets the logits that it gets without the other.
    pub(super) fn sees_no_other_branch(&mut self) -> bool {
        // The trunk's last token is not in the cache yet.
        let cached = CUT - 1;
        let trunk = self.part(0, 0..CUT, 0).ids;
        // How this sequence goes on, and how the other does.
        let branches = [0, 1].map(|row| self.part(row, CUT..LENGTH, 0).ids);
        let length = LENGTH - CUT;
        let alone = branches.each_ref().map(|branch| Part {
            ids: [&trunk[..], branch].concat(),
            wanted: (CUT..LENGTH).collect(),
            ..self.part(0, 0..LENGTH, 0)
        });
        let forked = Part {
            ids: [&trunk[cached..], &branches.concat()].concat(),
            wanted: (1..=2 * length).collect(),
            fork: Some(Fork::new(1, [length; 2])),
            ..self.part(0, cached..CUT, 0)
        };
        let start = self.part(0, 0..cached, 0);
        let tried = self.try_parts(&alone, None).and_then(|(alone, _)| {
            let (_, cache) = self.try_parts(&[start], None)?;
            let (forked, _) = self.try_parts(&[forked], cache.as_ref())?;
            let is_same = |index| is_near(&forked, (0, index), &alone, (index / length, index % length));
            Ok((0..2 * length).all(is_same))
        });
        agrees(tried)
    }

    /// Whether the tokens up to `end` after a cache get the logits that they get in one run.
    fn continues(&mut self, whole: &Logits, end: usize) -> bool {
        let starts = [self.part(0, 0..CUT, 0), self.part(1, 0..CUT, 0)];
        let ends = [self.part(0, CUT..end, 0), self.part(1, CUT..end, 0)];
        let cut = self.try_parts(&starts, None).and_then(|(_, cache)| self.try_parts(&ends, cache.as_ref()));
        agrees(cut.map(|(logits, _)| {
            (0..2)
                .all(|row| (CUT..end).all(|place| is_near(&logits, (row, place - CUT), whole, (row, place))))
        }))
    }

    /// Whether a row that is padded at the right, beside a longer one, gets the logits that it gets without, in a run
    /// and, after a cache with the padding in it, in the next.
    fn takes_gaps(&mut self, whole: &Logits) -> bool {
        let first = LENGTH - 1;
        let starts = [self.part(0, 0..first, 0), self.part(1, 0..CUT, 0)];
        let (logits, cache) = match self.try_parts(&starts, None) {
            Ok(tried) => tried,
            Err(error) => return agrees(Err(error)),
        };
        let is_right = (0..CUT).all(|place| is_near(&logits, (1, place), whole, (1, place)));
        if !is_right || self.graph.continues == Continues::Never {
            return is_right;
        }
        let more = if self.graph.continues == Continues::Many { LENGTH - CUT } else { 1 };
        let ends = [self.part(0, first..LENGTH, 0), self.part(1, CUT..CUT + more, first - CUT)];
        agrees(self.try_parts(&ends, cache.as_ref()).map(|(logits, _)| {
            is_near(&logits, (0, 0), whole, (0, first))
                && (0..more).all(|place| is_near(&logits, (1, place), whole, (1, CUT + place)))
        }))
    }

    fn try_parts(&mut self, parts: &[Part], past: Option<&Cache>) -> Result<(Logits, Option<Cache>)> {
        let strides: Vec<Stride<'_>> = parts
            .iter()
            .map(|part| Stride {
                ids: &part.ids,
                past: &part.past,
                place: part.place,
                wanted: &part.wanted,
                fork: part.fork.as_ref(),
            })
            .collect();
        self.run(&strides, past, self.graph.continues != Continues::Never)
    }

    /// Tokens of one of two sequences that differ; the cache before them ends with `padding`.
    fn part(&self, row: usize, places: Range<usize>, padding: usize) -> Part {
        let vocabulary = self.graph.vocabulary.unwrap_or(2).max(2);
        let id = |place: usize| u32::try_from((place * 7 + row * 5 + 3) % vocabulary).unwrap_or(0);
        Part {
            past: [vec![1; places.start], vec![0; padding]].concat(),
            place: places.start,
            wanted: (0..places.len()).collect(),
            ids: places.map(id).collect(),
            fork: None,
        }
    }
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
    use super::super::{LoadOptions, Network};
    use crate::folder::ModelFolder;
    use crate::graph::{Continues, Padding};
    use crate::provider::Provider;
    use crate::runtime::{self, testing};

    fn opened(fixture: &str) -> Network {
        let environment = runtime::load(&testing::library()).unwrap();
        let folder = ModelFolder::open(&testing::fixture(fixture)).unwrap();
        let options = LoadOptions { threads: Some(1), rewrites: true, provider: Provider::Cpu };
        Network::open(&environment, &folder, options).unwrap()
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
    fn the_library_takes_attention_as_one_operation() {
        for fixture in ["gpt2", "llama", "llama-cache-position", "llama-without-positions", "qwen2"] {
            let network = opened(fixture);
            assert!(network.rewritten.is_fused && network.rewritten.hides, "{fixture}");
            // A branch goes on from the trunk: it has to be told its place.
            assert_eq!(network.forks(), network.graph.position_ids.is_some(), "{fixture}");
        }
        assert!(!opened("llama-float16").rewritten.is_fused && !opened("llama-int8").rewritten.is_fused);
    }

    #[test]
    fn a_graph_that_promises_too_much_is_corrected() {
        for (fixture, corrected) in [
            ("gpt2-without-positions", (Padding::Nowhere, Continues::Many)),
            ("llama", (Padding::Anywhere, Continues::Many)),
        ] {
            let mut network = opened(fixture);
            (network.graph.padding, network.graph.continues) = (Padding::Anywhere, Continues::Many);
            network.try_out().unwrap();
            assert_eq!((network.graph.padding, network.graph.continues), corrected, "{fixture}");
        }
    }
}
