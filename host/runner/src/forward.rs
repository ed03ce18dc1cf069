//! Runs long rows in chunks.

use llm_bench_core::Result;

use crate::network::{Cache, Fork, Network, Stride};

/// New tokens of each row in one run. The attention of a chunk is a matrix of its tokens times all before them, which
/// stays in the processor's caches at this size; longer chunks were several times slower on every model tried.
const CHUNK: usize = 256;

/// The most new tokens that a row of so many has in one run, where the graph continues a cache with several.
pub(crate) fn run_length(tokens: usize) -> usize {
    // A remainder of a few tokens is not worth a run of its own.
    let chunks = if tokens <= CHUNK + CHUNK / 4 { 1 } else { tokens.div_ceil(CHUNK) };
    tokens.div_ceil(chunks).max(1)
}

/// Whether so many new tokens of a row are run at once, whatever the graph takes.
pub(crate) fn fits_one_run(tokens: usize) -> bool {
    run_length(tokens) == tokens
}

/// One row of a batch.
#[derive(Debug, Clone)]
pub(crate) struct ForwardRow<'tokens> {
    /// New tokens: at least one.
    pub(crate) ids: &'tokens [u32],
    /// For each slot of the cache before them: 1 where it holds a token of this row, else 0.
    pub(crate) past: Vec<i64>,
    /// The first new token's place in its sequence.
    pub(crate) place: usize,
    /// Indices into `ids`, ascending: the tokens whose logits are wanted.
    pub(crate) wanted: Vec<usize>,
    /// Where `ids` are no single sequence: then all rows of the batch have to [fit into one run](fits_one_run), and their
    /// cache is of no use.
    pub(crate) fork: Option<Fork>,
}

/// Called with a row, the number of one of its wanted tokens, and the logits after that token.
pub(crate) type Read<'read> = dyn FnMut(usize, usize, &[f32]) -> Result<()> + 'read;

/// Runs rows after `past` (none: at the start), gives their wanted logits to `read`, and returns the cache of all of it
/// where it is asked for. Rows shorter than the longest are padded at the right, in the cache too.
pub(crate) fn forward(
    network: &mut Network,
    rows: &[ForwardRow<'_>],
    past: Option<&Cache>,
    keeps_cache: bool,
    read: &mut Read<'_>,
) -> Result<Option<Cache>> {
    let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let chunk = if network.graph().can_be_cut(rows.len()) { run_length(longest) } else { longest.max(1) };
    let mut masks: Vec<Vec<i64>> = rows.iter().map(|row| row.past.clone()).collect();
    let mut cache = None;
    for start in (0..longest).step_by(chunk) {
        let end = (start + chunk).min(longest);
        let wanted: Vec<(usize, Vec<usize>)> = rows.iter().map(|row| wanted_in(row, start, end)).collect();
        let strides: Vec<Stride<'_>> = (rows.iter().zip(&masks).zip(&wanted))
            .map(|((row, mask), (_, wanted))| Stride {
                ids: row.ids.get(start..end.min(row.ids.len())).unwrap_or_default(),
                past: mask,
                place: if start < row.ids.len() { row.place + start } else { 0 },
                wanted,
                fork: row.fork.as_ref(),
            })
            .collect();
        let is_last = end == longest;
        let (logits, longer) = network.run(&strides, cache.as_ref().or(past), keeps_cache || !is_last)?;
        for (index, (before, wanted)) in wanted.iter().enumerate() {
            for number in 0..wanted.len() {
                read(index, before + number, &logits.at(index, number)?)?;
            }
        }
        for (row, mask) in rows.iter().zip(&mut masks) {
            mask.extend((start..end).map(|place| i64::from(place < row.ids.len())));
        }
        cache = longer;
    }
    Ok(cache)
}

/// How many wanted tokens lie before a chunk, and those in it as indices into the chunk.
fn wanted_in(row: &ForwardRow<'_>, start: usize, end: usize) -> (usize, Vec<usize>) {
    let before = row.wanted.partition_point(|&place| place < start);
    let after = row.wanted.partition_point(|&place| place < end);
    (before, row.wanted[before..after].iter().map(|place| place - start).collect())
}
