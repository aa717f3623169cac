//! The exact cut of a differential collection: the lowest few of very many, kept up to date for what changes.
//!
//! A histogram of coarse classes tells which class the cut goes through; the classes below it go in whole,
//! the members of that one class are ranked. So a change of the collection costs its own updates, one pass
//! over the histogram and one sort of a single class, however many records there are. Several cuts through
//! one order share its arrangement.
//!
//! No stage uses it: their states are dense, which is faster where one per cent of the samples changes, or
//! more. It is for programs whose samples are a collection already, and what the stages are measured against:
//! the example `dense_or_arranged` times both.

use std::hash::Hash;

use differential_dataflow::operators::CountTotal;
use differential_dataflow::{ExchangeData, VecCollection};
use serde::{Deserialize, Serialize};

use crate::tick::Tick;

use super::place::{Class, Ranked};

/// An entry in the list that is cut: the numbers wanted come before all classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Entry<C> {
    Wanted(C, u32),
    Class(Class, i32),
}

/// What of a class a cut lets in.
type Part<C> = (Class, C, i32, bool);

/// For each class and each cut that lets something of it in: how many, and whether that is all.
fn parts<C: ExchangeData>(entries: &[(&Entry<C>, i32)], parts: &mut Vec<(Part<C>, i32)>) {
    let wanted = |(entry, _): &(&Entry<C>, i32)| match entry {
        Entry::Wanted(cut, wanted) => Some((cut.clone(), i64::from(*wanted))),
        Entry::Class(..) => None,
    };
    for (cut, mut left) in entries.iter().map_while(wanted) {
        for (entry, _) in entries {
            let Entry::Class(class, size) = entry else { continue };
            if left == 0 {
                break;
            }
            let taken = left.min(i64::from(*size));
            parts.push(((*class, cut.clone(), taken as i32, taken == i64::from(*size)), 1));
            left -= taken;
        }
    }
    parts.sort();
}

/// The lowest of every order, for each cut through it as many as are `wanted`, exactly; all if there are
/// fewer. A cut has one number, or none for 0. Every sample is in an order at most once.
pub(super) fn lowest_of<'s, O, C>(
    ranked: VecCollection<'s, Tick, (O, Ranked), i32>,
    wanted: VecCollection<'s, Tick, (O, (C, u32)), i32>,
) -> VecCollection<'s, Tick, ((O, C), Ranked), i32>
where
    O: ExchangeData + Hash,
    C: ExchangeData + Hash,
{
    let classed = ranked.map(|(order, ranked)| ((order, ranked.0.class()), ranked));
    let members = classed.arrange_by_key_named("Members");
    let sizes = members.clone().as_collection(|class, _| class.clone()).count_total_core::<i32>();
    let classes = sizes.map(|((order, class), size)| (order, Entry::Class(class, size)));
    let wanted = wanted.map(|(order, (cut, wanted))| (order, Entry::Wanted(cut, wanted)));
    let cuts = classes
        .concat(wanted)
        .reduce_named("Cut", |_, entries, cuts: &mut Vec<(Part<C>, i32)>| parts(entries, cuts));
    let whole = cuts
        .clone()
        .filter(|(_, (.., all))| *all)
        .map(|(order, (class, cut, ..))| ((order, class), cut))
        .arrange_by_key_named("Whole");
    let split = cuts
        .filter(|(_, (.., all))| !*all)
        .map(|(order, (class, cut, taken, _))| ((order, class), (cut, taken)))
        .arrange_by_key_named("Split");
    let below = members
        .clone()
        .join_core(whole, |(order, _), ranked, cut| Some(((order.clone(), cut.clone()), *ranked)));
    let partly = members
        .join_core(split, |(order, class), ranked, (cut, taken)| {
            Some(((order.clone(), cut.clone(), *class), (*ranked, *taken)))
        })
        .reduce_named("Rank", |_, members, low: &mut Vec<(Ranked, i32)>| {
            let taken = members[0].0.1 as usize;
            low.extend(members.iter().take(taken).map(|((ranked, _), _)| (*ranked, 1)));
        })
        .map(|((order, cut, _), ranked)| ((order, cut), ranked));
    below.concat(partly).consolidate()
}

/// The lowest `wanted` of the `ranked`, exactly; all of them if there are fewer. `wanted` holds one number,
/// or none for 0. Every sample is in `ranked` at most once.
pub fn lowest<'s>(
    ranked: VecCollection<'s, Tick, Ranked, i32>,
    wanted: VecCollection<'s, Tick, u32, i32>,
) -> VecCollection<'s, Tick, Ranked, i32> {
    let (ranked, wanted) = (ranked.map(|ranked| ((), ranked)), wanted.map(|wanted| ((), ((), wanted))));
    lowest_of(ranked, wanted).map(|(_, ranked)| ranked)
}
