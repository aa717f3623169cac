//! Selections of whole units: the least, the greatest, random ones.

use std::ops::Range;

use super::granularity::Granularity;
use super::pattern;
use super::selection::{lowest, order_of};
use crate::share_of;

/// The units of one layer: which of its weights go and come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    pub(super) granularity: Granularity,
    pub(super) outputs: u32,
    pub(super) inputs: u32,
    /// Positions of a kernel; 1 of a linear layer.
    pub(super) kernel: u32,
}

/// A weight with its key: the bits of a score, or a draw.
pub(super) type Keyed = (u64, u32);

/// By what a unit is chosen: the lowest [`By::key`] comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    LeastScore,
    GreatestScore,
    Draw,
}

impl By {
    /// The key of a unit, from those of its weights.
    pub(super) fn key(self, unit: &[Keyed]) -> u64 {
        match self {
            Self::LeastScore => order_of(norm(unit)),
            Self::GreatestScore => !order_of(norm(unit)),
            Self::Draw => unit[0].0,
        }
    }
}

/// The L2 norm of scores; the score itself of a single one.
pub(super) fn norm(unit: &[Keyed]) -> f64 {
    let score = |(bits, _): &Keyed| f64::from_bits(*bits);
    if let [single] = unit {
        score(single)
    } else {
        unit.iter().map(|one| score(one).powi(2)).sum::<f64>().sqrt()
    }
}

fn scored(scores: impl Iterator<Item = (f64, u32)>) -> impl Iterator<Item = Keyed> {
    scores.map(|(score, index)| (score.to_bits(), index))
}

impl Units {
    /// All weights of the layer.
    pub fn weights(&self) -> u32 {
        self.outputs * self.inputs * self.kernel
    }

    /// What the units are.
    pub fn granularity(&self) -> Granularity {
        self.granularity
    }

    /// Rows and columns of the layer as a matrix: outputs, and inputs times positions of the kernel.
    pub fn matrix(&self) -> [u32; 2] {
        [self.outputs, self.inputs * self.kernel]
    }

    /// The number of weights in whole units that is nearest to a density, from 0 to 1; a density of 1 is
    /// the whole layer.
    pub fn count(&self, density: f64) -> u32 {
        let weights = self.weights();
        match self.granularity {
            _ if density >= 1.0 => weights,
            Granularity::Pattern => share_of(density * 9.0 / 4.0, self.inputs) * 4 * self.outputs,
            _ => share_of(density, weights / self.size()) * self.size(),
        }
    }

    /// How many weights may grow beside so many existing ones.
    pub fn room(&self, existing: usize) -> usize {
        let most = match self.granularity {
            Granularity::Pattern => 4 * self.outputs * self.inputs,
            _ => self.weights(),
        };
        (most as usize).saturating_sub(existing)
    }

    /// So many weights, rounded down to what can be exchanged for as many others.
    pub fn exchanged(&self, weights: u32) -> u32 {
        weights / self.size() * self.size()
    }

    /// The weights of a unit; of patterns those that come and go together, one kernel of each output.
    fn size(&self) -> u32 {
        match self.granularity {
            Granularity::Unstructured | Granularity::Share { .. } => 1,
            Granularity::Block { outputs, inputs } => outputs * inputs,
            Granularity::Channel => self.inputs * self.kernel,
            Granularity::Pattern => 4 * self.outputs,
        }
    }

    /// Whether a mask, ascending, is made of whole units.
    pub fn is_whole(&self, mask: &[u32]) -> bool {
        let whole = |key: &dyn Fn(u32) -> u32, size: u32| {
            let mut keys: Vec<u32> = mask.iter().map(|index| key(*index)).collect();
            keys.sort_unstable();
            keys.chunk_by(|left, right| left == right).all(|unit| unit.len() == size as usize)
        };
        match self.granularity {
            Granularity::Share { existing, of } => {
                whole(&|index| self.group(index, of), existing)
                    && mask.len() == (self.weights() / of * existing) as usize
            }
            Granularity::Pattern => {
                let kept = mask.iter().map(|index| (0, *index)).collect();
                mask.len().is_multiple_of(self.size() as usize) && pattern::least(self, kept, 0).is_empty()
            }
            _ => whole(&|index| self.unit(index), self.size()),
        }
    }

    /// The units with the least scores among existing weights, `count` weights together, ascending by index.
    pub fn least(&self, scores: impl Iterator<Item = (f64, u32)>, count: usize) -> Vec<u32> {
        let existing = scored(scores);
        match self.granularity {
            Granularity::Unstructured => {
                lowest(existing.map(|(bits, index)| (order_of(f64::from_bits(bits)), index)), count)
            }
            Granularity::Share { existing: most, of } => {
                let mut existing: Vec<Keyed> = existing.collect();
                existing.sort_by_key(|(_, index)| (self.group(*index, of), *index));
                let groups =
                    existing.chunk_by(|left, right| self.group(left.1, of) == self.group(right.1, of));
                let keyed = |unit: &[Keyed]| {
                    unit.iter().map(|one| (By::LeastScore.key(&[*one]), one.1)).collect::<Vec<_>>()
                };
                let surplus = |unit: &[Keyed]| unit.len().saturating_sub(most as usize);
                if existing.len() - count == (self.weights() / of * most) as usize {
                    return sorted(groups.flat_map(|unit| lowest(keyed(unit), surplus(unit))).collect());
                }
                // Short of the exact number the least of all go, but of a group no more than grow back there.
                let least = groups.flat_map(|unit| {
                    let mut keyed = keyed(unit);
                    keyed.sort_unstable();
                    keyed.truncate((of - most) as usize);
                    keyed
                });
                lowest(least, count)
            }
            Granularity::Pattern => pattern::least(self, existing.collect(), count),
            _ => self.select(existing.collect(), By::LeastScore, count),
        }
    }

    /// The units with the greatest scores among the weights that may grow, `count` weights together, beside
    /// the `kept` ones; ascending by index.
    pub fn greatest(&self, kept: &[u32], scores: impl Iterator<Item = (f64, u32)>, count: usize) -> Vec<u32> {
        match self.granularity {
            Granularity::Unstructured => {
                lowest(scores.map(|(score, index)| (!order_of(score), index)), count)
            }
            _ => self.grow(kept, scored(scores).collect(), By::GreatestScore, count),
        }
    }

    /// Random units among the weights that may grow, each by its draw: `count` weights together, beside the
    /// `kept` ones; ascending by index.
    pub fn drawn(&self, kept: &[u32], draws: impl Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32> {
        match self.granularity {
            Granularity::Unstructured => lowest(draws, count),
            _ => self.grow(kept, draws.collect(), By::Draw, count),
        }
    }

    fn grow(&self, kept: &[u32], mut absent: Vec<Keyed>, by: By, count: usize) -> Vec<u32> {
        match self.granularity {
            Granularity::Share { existing, of } => {
                absent.sort_by_key(|(_, index)| (self.group(*index, of), *index));
                let mut held = vec![0; (self.weights() / of) as usize];
                kept.iter().for_each(|index| held[self.group(*index, of) as usize] += 1);
                let groups = absent.chunk_by(|left, right| self.group(left.1, of) == self.group(right.1, of));
                let best = |group: &[Keyed]| {
                    let missing = existing.saturating_sub(held[self.group(group[0].1, of) as usize]);
                    lowest(group.iter().map(|one| (by.key(&[*one]), one.1)), missing as usize)
                };
                sorted(groups.flat_map(best).collect())
            }
            Granularity::Pattern => pattern::grow(self, kept, absent, by, count),
            _ => self.select(absent, by, count),
        }
    }

    /// The lowest units by their combined keys.
    fn select(&self, mut keyed: Vec<Keyed>, by: By, count: usize) -> Vec<u32> {
        keyed.sort_by_key(|(_, index)| (self.unit(*index), *index));
        let units: Vec<&[Keyed]> =
            keyed.chunk_by(|left, right| self.unit(left.1) == self.unit(right.1)).collect();
        let combined = units.iter().enumerate().map(|(at, unit)| (by.key(unit), at as u32));
        let chosen = lowest(combined, count / self.size() as usize);
        sorted(chosen.into_iter().flat_map(|at| units[at as usize]).map(|(_, index)| *index).collect())
    }

    /// The unit of a weight: blocks and channels by number.
    fn unit(&self, index: u32) -> u32 {
        let [output, input, position] = self.place(index);
        match self.granularity {
            Granularity::Block { outputs, inputs } => {
                (output / outputs * (self.inputs / inputs) + input / inputs) * self.kernel + position
            }
            Granularity::Channel => output,
            _ => index,
        }
    }

    /// The run of `of` consecutive inputs that a weight belongs to.
    fn group(&self, index: u32, of: u32) -> u32 {
        let [output, input, position] = self.place(index);
        (output * (self.inputs / of) + input / of) * self.kernel + position
    }

    /// Output, input, and position in the kernel.
    fn place(&self, index: u32) -> [u32; 3] {
        let (pair, position) = (index / self.kernel, index % self.kernel);
        [pair / self.inputs, pair % self.inputs, position]
    }

    /// The kernel that a weight belongs to: output times inputs plus input.
    pub(super) fn pair(&self, index: u32) -> u32 {
        index / self.kernel
    }

    /// The kernels of an output.
    pub(super) fn pairs(&self, output: u32) -> Range<u32> {
        output * self.inputs..(output + 1) * self.inputs
    }
}

pub(super) fn sorted(mut indices: Vec<u32>) -> Vec<u32> {
    indices.sort_unstable();
    indices
}
