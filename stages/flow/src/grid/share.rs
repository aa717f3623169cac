//! Which worker owns a sample: neighbouring slots, so that each worker's state is a dense array.

/// The slots, cut into one run for each worker.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    /// Where each worker's slots begin, and the end.
    starts: Vec<u32>,
    /// Workers for each slot, in units of 2⁻⁵⁵: a multiplication finds the owner.
    rate: u64,
}

/// Bits behind the point: of 256 workers and 2²⁸ samples no product overflows, and shares differ by two samples at most.
const BITS: u32 = 55;

impl Shares {
    /// Shares of `samples` slots for `workers` workers.
    pub(super) fn new(samples: u32, workers: usize) -> Self {
        let rate = ((workers as u64) << BITS).checked_div(u64::from(samples)).unwrap_or(0);
        let start = |worker: usize| match worker as u64 {
            0 => 0,
            all if all == workers as u64 => samples,
            worker => (worker << BITS).div_ceil(rate.max(1)).min(u64::from(samples)) as u32,
        };
        Self { starts: (0..=workers).map(start).collect(), rate }
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.starts.len() - 1
    }

    /// The owner of a slot, and the slot's index among the owner's.
    pub(super) fn locate(&self, slot: u32) -> (usize, u32) {
        let owner = ((u64::from(slot) * self.rate) >> BITS) as usize;
        (owner, slot - self.starts[owner])
    }

    /// A worker's slots.
    pub(super) fn of(&self, worker: usize) -> std::ops::Range<u32> {
        self.starts[worker]..self.starts[worker + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one_owner_and_shares_are_alike_in_size() {
        for samples in [0, 1, 2, 3, 7, 64, 1000, 65_537] {
            for workers in [1, 2, 3, 4, 7] {
                let shares = Shares::new(samples, workers);
                let sizes: Vec<usize> = (0..workers).map(|worker| shares.of(worker).len()).collect();
                assert_eq!(sizes.iter().sum::<usize>(), samples as usize);
                let (least, most) = (sizes.iter().min(), sizes.iter().max());
                assert!(most.unwrap() - least.unwrap() <= 2, "{samples} / {workers}: {sizes:?}");
                for worker in 0..workers {
                    for (index, slot) in shares.of(worker).enumerate() {
                        assert_eq!(shares.locate(slot), (worker, index as u32), "{samples} / {workers}");
                    }
                }
            }
        }
        let most = (1 << 28) - 1;
        for workers in [2, 3, 4] {
            let shares = Shares::new(most, workers);
            assert_eq!(shares.locate(most - 1).0, workers - 1);
            for worker in 1..workers {
                let start = shares.of(worker).start;
                assert_eq!((shares.locate(start).0, shares.locate(start - 1).0), (worker, worker - 1));
            }
        }
    }
}
