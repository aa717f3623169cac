//! `pattern`: of a 3×3 kernel four weights exist or none, in one of eight patterns, and every output has as
//! many kernels (MEST, [arXiv 2110.14032](https://arxiv.org/abs/2110.14032)).

use super::selection::{lowest, order_of};
use super::units::{By, Keyed, Units, norm, sorted};

/// The positions, row by row, that each pattern keeps. MEST's repository lists the five others of each.
const PATTERNS: [[u32; 4]; 8] = [
    [4, 5, 7, 8],
    [3, 4, 6, 7],
    [1, 2, 4, 5],
    [0, 1, 3, 4],
    [5, 6, 7, 8],
    [3, 4, 5, 7],
    [1, 4, 5, 7],
    [1, 3, 4, 7],
];

/// A kernel that may exist, with its key and the weights that it would have.
struct Candidate {
    pair: u32,
    key: u64,
    weights: Vec<Keyed>,
}

/// The weights to drop, so that every output keeps as many kernels: those of least norm go, and of a kernel
/// with more than four weights all outside its best pattern.
pub(super) fn least(units: &Units, existing: Vec<Keyed>, count: usize) -> Vec<u32> {
    let keep = (existing.len() - count) / (4 * units.outputs as usize);
    let kernels = kernels(units, existing.clone()).map(|(pair, weights)| {
        let weights = if weights.len() > 4 { best(&weights).unwrap_or(weights) } else { weights };
        Candidate { pair, key: By::GreatestScore.key(&weights), weights }
    });
    let kept = first_of_each(units, &kernels.collect::<Vec<_>>(), |_| keep);
    existing.into_iter().map(|(_, index)| index).filter(|index| kept.binary_search(index).is_err()).collect()
}

/// The weights of new kernels, so that every output has as many. A random kernel takes a random pattern, one
/// with scores its best.
pub(super) fn grow(units: &Units, kept: &[u32], absent: Vec<Keyed>, by: By, count: usize) -> Vec<u32> {
    let wanted = (kept.len() + count) / (4 * units.outputs as usize);
    let mut held: Vec<u32> = kept.iter().map(|index| units.pair(*index)).collect();
    held.dedup();
    let candidates = kernels(units, absent).filter(|(pair, _)| held.binary_search(pair).is_err());
    let candidates = candidates.filter_map(|(pair, all)| {
        let weights = if by == By::Draw { turned(&all)? } else { best(&all)? };
        Some(Candidate { pair, key: by.key(if by == By::Draw { &all } else { &weights }), weights })
    });
    let missing = |output: u32| {
        let own = units.pairs(output);
        wanted.saturating_sub(held.iter().filter(|pair| own.contains(pair)).count())
    };
    first_of_each(units, &candidates.collect::<Vec<_>>(), missing)
}

/// The weights by kernel.
fn kernels(units: &Units, mut keyed: Vec<Keyed>) -> impl Iterator<Item = (u32, Vec<Keyed>)> {
    keyed.sort_by_key(|(_, index)| *index);
    let of = *units;
    let chunks: Vec<(u32, Vec<Keyed>)> = keyed
        .chunk_by(|left, right| of.pair(left.1) == of.pair(right.1))
        .map(|kernel| (of.pair(kernel[0].1), kernel.to_vec()))
        .collect();
    chunks.into_iter()
}

/// The weights of a kernel that a pattern keeps, if it has all of them.
fn within(kernel: &[Keyed], pattern: &[u32; 4]) -> Option<Vec<Keyed>> {
    let kept: Vec<Keyed> =
        kernel.iter().filter(|(_, index)| pattern.contains(&(index % 9))).copied().collect();
    (kept.len() == 4).then_some(kept)
}

/// The pattern with the greatest norm.
fn best(kernel: &[Keyed]) -> Option<Vec<Keyed>> {
    let patterns = PATTERNS.iter().filter_map(|pattern| within(kernel, pattern));
    patterns.min_by_key(|weights| !order_of(norm(weights)))
}

/// The pattern that the kernel's draw points to, or the next that it has all weights of.
fn turned(kernel: &[Keyed]) -> Option<Vec<Keyed>> {
    let start = (kernel[0].0 % 8) as usize;
    (0..8).find_map(|turn| within(kernel, &PATTERNS[(start + turn) % 8]))
}

/// The weights of the first so many candidates of each output, ascending.
fn first_of_each(units: &Units, candidates: &[Candidate], count: impl Fn(u32) -> usize) -> Vec<u32> {
    let chosen = (0..units.outputs).flat_map(|output| {
        let own = units.pairs(output);
        let start = candidates.partition_point(|candidate| candidate.pair < own.start);
        let end = candidates.partition_point(|candidate| candidate.pair < own.end);
        let keyed = (start..end).map(|at| (candidates[at].key, at as u32));
        lowest(keyed, count(output))
    });
    let weights = chosen.flat_map(|at| candidates[at as usize].weights.iter().map(|(_, index)| *index));
    sorted(weights.collect())
}
