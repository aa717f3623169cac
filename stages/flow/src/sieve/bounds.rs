//! Where cuts go, as differential collections: the sizes of classes come in as changes, and what goes out is
//! the class through which each cut goes. Its arrangements have one record for each class of an order,
//! however many samples there are, and all cuts through an order share them.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::CountTotal;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::OkErr;

use crate::tick::Tick;

use super::orders::Order;
use super::place::Class;
use super::tally::{Ask, Asked, Stratum};

/// An entry in the list that is cut: the numbers wanted come before all classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Entry {
    Wanted(u32, u32),
    Class(Class, i64),
}

/// The class in which a member's cut ends, and how many of it are below: one at least.
type Bound = (u32, (Class, u32));

/// A bound of an order holds from a moment on, or does not any more.
pub(super) type Told = ((Stratum, Bound), Tick, i64);

/// The bounds of all cuts. There is none where fewer samples stand in an order than are wanted.
pub(super) fn bounds<'s>(asks: StreamVec<'s, Tick, Ask>) -> StreamVec<'s, Tick, Told> {
    let (sizes, wanted) = asks.ok_err(|((of, asked), at, diff)| match asked {
        Asked::Size(class) => Ok(((of, class), at, diff)),
        Asked::Wanted(member, wanted) => Err(((of, Entry::Wanted(member, wanted)), at, diff)),
    });
    let sizes = sizes.as_collection().count_total_core::<i64>();
    let classes = sizes.map(|((of, class), size)| (of, Entry::Class(class, size)));
    let entries = classes.concat(wanted.as_collection());
    entries.reduce_named("Cut", |_, entries, bounds: &mut Vec<(Bound, i64)>| cut(entries, bounds)).inner
}

/// Where the cuts go through the classes of an order.
fn cut(entries: &[(&Entry, i64)], bounds: &mut Vec<(Bound, i64)>) {
    for (entry, _) in entries {
        let Entry::Wanted(member, wanted) = entry else { break };
        let mut left = i64::from(*wanted);
        for (entry, _) in entries {
            let Entry::Class(class, size) = entry else { continue };
            if *size >= left {
                bounds.push(((*member, (*class, left as u32)), 1));
                break;
            }
            left -= size;
        }
    }
}

/// The bounds as they were told last, the same on all workers.
#[derive(Default)]
pub(super) struct Bounds {
    known: BTreeMap<(Stratum, u32), (Class, u32)>,
    /// What will hold later.
    heard: BTreeMap<Tick, Vec<(i64, Stratum, Bound)>>,
}

impl Bounds {
    /// Takes what was told up to the close of `epoch`. The stamp of a message is only a lower bound of the
    /// times inside it.
    pub(super) fn hear(&mut self, epoch: u32, told: Vec<Told>) {
        for ((of, bound), at, diff) in told {
            self.heard.entry(at).or_default().push((diff, of, bound));
        }
        while let Some(heard) = self.heard.first_entry().filter(|heard| *heard.key() <= Tick::close_of(epoch))
        {
            let mut changes = heard.remove();
            // What ends comes before what begins.
            changes.sort_unstable();
            for (diff, of, (member, bound)) in changes {
                match diff > 0 {
                    true => drop(self.known.insert((of, member), bound)),
                    false => drop(self.known.remove(&(of, member))),
                }
            }
        }
    }

    /// Where a member's cut through an order goes.
    pub(super) fn of(&self, order: &Order, member: u32) -> Option<(Class, u32)> {
        self.known.get(&((order.kind, order.stratum), member)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_in_one_class() {
        let classes = [Entry::Class(3, 5), Entry::Class(4, 1), Entry::Class(9, 10)];
        for (wanted, bound) in [
            (1, Some((3, 1))),
            (5, Some((3, 5))),
            (6, Some((4, 1))),
            (7, Some((9, 1))),
            (16, Some((9, 10))),
            (17, None),
        ] {
            let (one, other) = (Entry::Wanted(2, wanted), Entry::Wanted(4, 1));
            let entries: Vec<(&Entry, i64)> =
                [&one, &other].into_iter().chain(&classes).map(|entry| (entry, 1)).collect();
            let mut bounds = Vec::new();
            cut(&entries, &mut bounds);
            let expected: Vec<(Bound, i64)> =
                bound.map(|bound| ((2, bound), 1)).into_iter().chain([((4, (3, 1)), 1)]).collect();
            assert_eq!(bounds, expected, "{wanted}");
        }
    }
}
