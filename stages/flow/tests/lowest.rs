//! The incremental cut against a sort from scratch, at every window, for several numbers of workers.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use differential_dataflow::input::Input;
use spfde_data::random::mix;
use spfde_flow::{Place, Ranked, Tick, lowest};
use spfde_policy::Rank;
use timely::Config;

const WINDOWS: u32 = 25;

/// What holds in each window: the ranked samples and how many are wanted.
type World = (BTreeSet<Ranked>, u32);

/// A world in which keys, members and the number wanted change from window to window. `spread` says how keys
/// look.
fn worlds(samples: u32, spread: fn(u64) -> u32) -> Vec<World> {
    let mut orders: BTreeMap<u32, Place> = BTreeMap::new();
    let mut worlds = Vec::new();
    for window in 0..WINDOWS {
        for sample in 0..samples {
            let draw = mix(u64::from(window) << 32 | u64::from(sample));
            // All samples come at first; later a tenth change their key and a few come and go.
            if window == 0 || draw.is_multiple_of(10) {
                let (key, since) = (spread(draw >> 8), (draw >> 40) as u32 % 3);
                orders.insert(sample, Rank { key, since, hash: mix(u64::from(sample)) }.into());
            } else if draw % 37 == 1 {
                orders.remove(&sample);
            }
        }
        let wanted = match window % 5 {
            0 => 0,
            1 => samples * 2,
            other => samples * other / 7,
        };
        worlds.push((orders.iter().map(|(sample, order)| (*order, *sample)).collect(), wanted));
    }
    worlds
}

/// The contents of the cut at each window, accumulated over what all workers put out.
fn cuts(worlds: Vec<World>, workers: usize) -> Vec<BTreeSet<Ranked>> {
    let updates: Arc<Mutex<Vec<(Ranked, Tick, i32)>>> = Arc::default();
    let output = Arc::clone(&updates);
    let guards = timely::execute(Config::process(workers), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let output = Arc::clone(&output);
        let (mut ranked, mut wanted) = worker.dataflow::<Tick, _, _>(|scope| {
            let (ranked_input, ranked) = scope.new_collection::<Ranked, i32>();
            let (wanted_input, wanted) = scope.new_collection::<u32, i32>();
            lowest(ranked, wanted).inspect(move |update| output.lock().unwrap().push(*update));
            (ranked_input, wanted_input)
        });
        let mut before: World = (BTreeSet::new(), 0);
        for (window, world) in worlds.iter().enumerate() {
            let mine = |(_, sample): &&Ranked| *sample as usize % peers == index;
            before.0.difference(&world.0).filter(mine).for_each(|gone| ranked.update(*gone, -1));
            world.0.difference(&before.0).filter(mine).for_each(|come| ranked.update(*come, 1));
            if index == 0 && before.1 != world.1 {
                [(before.1, -1), (world.1, 1)]
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .for_each(|(count, diff)| wanted.update(*count, *diff));
            }
            before = world.clone();
            let next = Tick::new(window as u32 + 1, 0);
            ranked.advance_to(next);
            wanted.advance_to(next);
            ranked.flush();
            wanted.flush();
            worker.step();
        }
    });
    guards.unwrap().join().into_iter().for_each(|worker| worker.unwrap());
    let updates = updates.lock().unwrap();
    let mut counts: BTreeMap<Ranked, i32> = BTreeMap::new();
    (0..WINDOWS)
        .map(|window| {
            for (ranked, _, diff) in updates.iter().filter(|(_, tick, _)| tick.epoch == window) {
                *counts.entry(*ranked).or_default() += diff;
            }
            assert!(counts.values().all(|count| *count == 0 || *count == 1), "window {window}");
            counts.iter().filter(|(_, count)| **count == 1).map(|(ranked, _)| *ranked).collect()
        })
        .collect()
}

fn check(samples: u32, spread: fn(u64) -> u32) {
    let worlds = worlds(samples, spread);
    let expected: Vec<BTreeSet<Ranked>> = worlds
        .iter()
        .map(|(ranked, wanted)| ranked.iter().take(*wanted as usize).copied().collect())
        .collect();
    for workers in [1, 2, 3] {
        for (window, (found, expected)) in cuts(worlds.clone(), workers).iter().zip(&expected).enumerate() {
            assert!(
                found == expected,
                "{workers} workers, window {window}: {} of {}",
                found.len(),
                expected.len()
            );
        }
    }
}

#[test]
fn the_cut_of_a_few_equal_keys_is_exact() {
    check(3000, |draw| (draw % 3) as u32);
}

#[test]
fn the_cut_of_counts_with_never_right_is_exact() {
    check(2000, |draw| if draw % 4 == 0 { u32::MAX } else { (draw % 100) as u32 });
}

#[test]
fn the_cut_of_arbitrary_keys_is_exact() {
    check(2000, |draw| (draw as u32) >> (draw % 31));
}

#[test]
fn the_cut_of_one_class_or_few_samples_is_exact() {
    check(500, |_| 7);
    check(3, |draw| draw as u32);
    check(1, |_| 0);
}
