//! Which blocks of a network are frozen.

use std::fmt;

/// Blocks that are frozen: so many at the front, and others behind blocks that train. A number stands for so
/// many at the front.
///
/// Its text is that number, then each block behind, from 0.
///
/// ```
/// use spfde_data::FrozenBlocks;
/// let frozen: FrozenBlocks = [true, true, false, true].into_iter().collect();
/// assert!(frozen.contains(3) && !frozen.contains(2));
/// assert_eq!((frozen.prefix(), frozen.count(), frozen.to_string().as_str()), (2, 3, "2+3"));
/// assert_eq!(FrozenBlocks::from(2).to_string(), "2");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrozenBlocks {
    prefix: usize,
    /// Ascending; between the prefix and the first of them is a block that trains.
    behind: Vec<usize>,
}

impl FrozenBlocks {
    /// What its text says; `None` of any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<usize>> = text.split('+').map(|number| number.parse().ok()).collect();
        let numbers = numbers?;
        let ascend = numbers.is_sorted_by(|one, next| one < next);
        let (prefix, behind) = numbers.split_first()?;
        ascend.then(|| Self { prefix: *prefix, behind: behind.to_vec() })
    }

    /// How many at the front there are: the backward pass ends behind them.
    pub fn prefix(&self) -> usize {
        self.prefix
    }

    /// Whether `block` is one of them.
    pub fn contains(&self, block: usize) -> bool {
        block < self.prefix || self.behind.binary_search(&block).is_ok()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.prefix + self.behind.len()
    }

    /// How many blocks a network with these has, at least.
    pub fn end(&self) -> usize {
        self.behind.last().map_or(self.prefix, |last| last.saturating_add(1))
    }
}

impl From<usize> for FrozenBlocks {
    fn from(prefix: usize) -> Self {
        Self { prefix, behind: Vec::new() }
    }
}

impl From<&FrozenBlocks> for FrozenBlocks {
    fn from(blocks: &FrozenBlocks) -> Self {
        blocks.clone()
    }
}

/// From whether each block is frozen, front to back.
impl FromIterator<bool> for FrozenBlocks {
    fn from_iter<I: IntoIterator<Item = bool>>(frozen: I) -> Self {
        let mut blocks = Self::default();
        for (block, _) in frozen.into_iter().enumerate().filter(|(_, frozen)| *frozen) {
            match block == blocks.prefix {
                true => blocks.prefix += 1,
                false => blocks.behind.push(block),
            }
        }
        blocks
    }
}

impl fmt::Display for FrozenBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix)?;
        self.behind.iter().try_for_each(|block| write!(f, "+{block}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_five_blocks_says_what_it_has_and_is_its_text() {
        let mut texts = std::collections::BTreeSet::new();
        for bits in 0..32_u32 {
            let is_frozen = |block: usize| (bits >> block) & 1 == 1;
            let frozen: FrozenBlocks = (0..5).map(is_frozen).collect();
            assert!((0..9).all(|block| frozen.contains(block) == is_frozen(block)), "{frozen}");
            assert_eq!(frozen.count(), bits.count_ones() as usize);
            assert_eq!(frozen.prefix(), bits.trailing_ones() as usize);
            assert_eq!(frozen.end(), 32 - bits.leading_zeros() as usize);
            assert_eq!(FrozenBlocks::parse(&frozen.to_string()), Some(frozen.clone()));
            // However many blocks there are behind the last frozen one.
            assert_eq!((0..8).map(is_frozen).collect::<FrozenBlocks>(), frozen);
            assert!(texts.insert(frozen.to_string()));
        }
        assert_eq!(FrozenBlocks::parse("3"), Some(FrozenBlocks::from(3)));
    }

    #[test]
    fn other_texts_are_none() {
        for text in ",+,-1,1+,+1,1+1,2+1,0+0,0+3+3,0+3+2,1 2,0+99999999999999999999".split(',') {
            assert_eq!(FrozenBlocks::parse(text), None, "{text}");
        }
        let last = FrozenBlocks::parse(&format!("0+{}", usize::MAX)).unwrap();
        assert_eq!(last.end(), usize::MAX);
    }
}
