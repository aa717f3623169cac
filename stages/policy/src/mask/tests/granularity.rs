//! Units: whatever the granularity, weights of a unit come and go together, and counts are whole.

use std::collections::BTreeMap;

use spfde_data::architecture::LayerShape;
use spfde_data::parameter::Value;
use spfde_data::random::{Purpose, draw};

use super::{apply, decide, dense_gradients, update, values};
use crate::mask::{Granularity, MaskContext, MaskUpdate, Needs, Units};
use crate::{Spans, example};

/// A convolution of 3×3 with 8 outputs and 12 inputs.
fn layer() -> LayerShape {
    let mut layer = example::residual(&[4, 8], 1, 8).layers[1].clone();
    (layer.outputs, layer.inputs) = (8, 12);
    layer
}

fn units(word: &str) -> Units {
    Granularity::parse(word).unwrap().units(&layer())
}

/// Output, input and position of a weight.
fn place(index: u32) -> (u32, u32, u32) {
    (index / 108, index / 9 % 12, index % 9)
}

/// Whether a mask is made of whole units, by their description.
fn is_whole(word: &str, mask: &[u32]) -> bool {
    let full = |key: &dyn Fn(u32) -> (u32, u32, u32), size: usize| {
        let mut held: BTreeMap<(u32, u32, u32), usize> = BTreeMap::new();
        mask.iter().for_each(|index| *held.entry(key(*index)).or_default() += 1);
        held.values().all(|count| *count == size)
    };
    match word {
        "unstructured" => true,
        "block-4x1" => full(
            &|index| {
                let (o, i, k) = place(index);
                (o / 4, i, k)
            },
            4,
        ),
        "block-2x3" => full(
            &|index| {
                let (o, i, k) = place(index);
                (o / 2, i / 3, k)
            },
            6,
        ),
        "channel" => full(&|index| (place(index).0, 0, 0), 108),
        "3:4" => {
            full(
                &|index| {
                    let (o, i, k) = place(index);
                    (o, i / 4, k)
                },
                3,
            ) && mask.len() == 8 * 12 * 9 / 4 * 3
        }
        "2:4" => {
            full(
                &|index| {
                    let (o, i, k) = place(index);
                    (o, i / 4, k)
                },
                2,
            ) && mask.len() == 8 * 12 * 9 / 2
        }
        "pattern" => {
            let mut kernels: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            mask.iter().for_each(|index| kernels.entry(index / 9).or_default().push(index % 9));
            // The eight patterns are the centre with three more, as MEST's repository has them.
            let known = |kernel: &Vec<u32>| {
                let rows = ["45 78", "34 67", "12 45", "01 34", "45 678", "34 57", "145 7", "134 7"];
                let own: String = kernel.iter().map(u32::to_string).collect();
                rows.iter().any(|row| row.replace(' ', "") == own) || own == "5678"
            };
            let of = |output: u32| kernels.keys().filter(|kernel| **kernel / 12 == output).count();
            kernels.values().all(known) && (1..8).all(|output| of(output) == of(0))
        }
        _ => unreachable!(),
    }
}

const WORDS: [&str; 7] = ["unstructured", "block-4x1", "block-2x3", "channel", "2:4", "3:4", "pattern"];

/// A density that the units have.
fn density(word: &str, otherwise: f64) -> f64 {
    match word {
        "2:4" => 0.5,
        "3:4" => 0.75,
        _ => otherwise,
    }
}

#[test]
fn masks_stay_whole_through_rounds_of_drop_and_growth() {
    for word in WORDS {
        let units = units(word);
        let draws = |round: u64| move |index: u32| draw(round, Purpose::User, 1, u64::from(index));
        let all = || 0..units.weights();
        let count = units.count(density(word, 0.25));
        let mut mask = units.drawn(&[], all().map(|index| (draws(0)(index), index)), count as usize);
        assert!(mask.len() == count as usize && is_whole(word, &mask), "{word}: {mask:?}");
        for round in 1..20 {
            let score = |index: &u32| f64::from((draws(round)(*index) >> 40) as u32);
            let exchanged = units.exchanged(count / 3) as usize;
            let dropped = units.least(mask.iter().map(|index| (score(index), *index)), exchanged);
            let kept: Vec<u32> = mask.iter().copied().filter(|index| !dropped.contains(index)).collect();
            let absent: Vec<u32> = all().filter(|index| !mask.contains(index)).collect();
            let grown = match round % 2 {
                0 => units.drawn(&kept, absent.iter().map(|index| (draws(round)(*index), *index)), exchanged),
                _ => units.greatest(&kept, absent.iter().map(|index| (score(index), *index)), exchanged),
            };
            assert_eq!(dropped.len(), grown.len(), "{word}");
            assert!(dropped.len() == exchanged || word == "3:4", "{word}: {}", dropped.len());
            mask = kept.into_iter().chain(grown).collect();
            mask.sort_unstable();
            assert!(is_whole(word, &mask) && units.is_whole(&mask), "{word}, round {round}: {mask:?}");
            let broken = &mask[1..];
            assert!(word == "unstructured" || !units.is_whole(broken), "{word}");
        }
    }
}

#[test]
fn a_dense_layer_is_pruned_to_its_best_units() {
    for word in WORDS {
        let units = units(word);
        let score = |index: u32| f64::from((draw(9, Purpose::User, 2, u64::from(index)) >> 40) as u32);
        let count = units.count(density(word, 0.25));
        let surplus = (units.weights() - count) as usize;
        let dropped = units.least((0..units.weights()).map(|index| (score(index), index)), surplus);
        assert_eq!(dropped.len(), surplus, "{word}");
        let kept: Vec<u32> =
            (0..units.weights()).filter(|index| dropped.binary_search(index).is_err()).collect();
        assert!(is_whole(word, &kept), "{word}");
        // Nothing that was dropped is better than the least of what was kept, unit by unit.
        let norm = |of: &dyn Fn(u32) -> bool, among: &[u32]| {
            among.iter().filter(|index| of(**index)).map(|index| score(*index).powi(2)).sum::<f64>()
        };
        let groups: Vec<u32> = match word {
            "channel" => (0..8).collect(),
            _ => continue,
        };
        let own = |channel: u32| move |index: u32| place(index).0 == channel;
        let (gone, stay): (Vec<u32>, Vec<u32>) =
            groups.into_iter().partition(|channel| dropped.iter().any(|index| own(*channel)(*index)));
        let most = gone.iter().map(|channel| norm(&own(*channel), &dropped)).fold(0.0, f64::max);
        assert!(stay.iter().all(|channel| norm(&own(*channel), &kept) > most));
    }
}

#[test]
fn of_n_of_m_the_greatest_stay_in_each_group() {
    let units = units("2:4");
    let score = |index: u32| f64::from((draw(5, Purpose::User, 3, u64::from(index)) >> 40) as u32);
    let dropped = units.least((0..864).map(|index| (score(index), index)), 432);
    for start in (0..864).filter(|index| place(*index).1.is_multiple_of(4)) {
        // Four consecutive inputs are nine weights apart.
        let mut group: Vec<u32> = (0..4).map(|input| start + input * 9).collect();
        group.sort_by(|a, b| score(*a).total_cmp(&score(*b)));
        let gone = group.iter().map(|index| dropped.contains(index)).collect::<Vec<_>>();
        assert_eq!(gone, [true, true, false, false]);
    }
}

#[test]
fn counts_are_whole_and_nearest_to_the_density() {
    assert_eq!(units("block-4x1").count(0.1), 88); // 86.4 weights are 21.6 blocks
    assert_eq!(units("channel").count(0.3), 2 * 108);
    assert_eq!(units("2:4").count(0.5), 432);
    assert_eq!(units("pattern").count(0.1), 3 * 4 * 8); // 2.7 kernels of 12 for each output
    assert_eq!(units("pattern").count(1.0), 864);
    // What the units do not divide is masked weight by weight.
    assert_eq!(units("block-3x1").count(0.1), 86);
    assert_eq!(units("block-3x1").granularity(), Granularity::Unstructured);
}

#[test]
fn words_that_name_no_units_are_refused() {
    for word in ["", "block", "block-4", "block-0x1", "4:2", "2:2", "patterns", "n:m"] {
        let error = Granularity::parse(word).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`mask.granularity`: \"{word}\" names no units")), "{error}");
    }
}

/// A rule that trains through all its updates with units: what exists is always whole.
#[test]
fn every_rule_of_single_layers_holds_whole_units() {
    let mut architecture = (*example::residual(&[4, 8], 1, 8)).clone();
    (architecture.layers[1].outputs, architecture.layers[1].inputs) = (8, 12);
    let context = MaskContext { seed: 7, epochs: 16, architecture: architecture.into() };
    for name in ["static", "set", "rigl", "mest-em", "mest-ems", "gmp", "magnitude", "granet"] {
        for word in WORDS {
            let text = |text: &str| Value::Text(text.to_owned());
            let sparsity = Value::Number(1.0 - density(word, 0.3));
            let changes = [("mask.granularity", text(word)), ("mask.sparsity", sparsity)];
            if word.contains(':') && ["mest-ems", "gmp", "granet"].contains(&name) {
                continue;
            }
            let policy = super::policy(name, &context, &changes);
            let never = Spans::never();
            let mut mask = policy.initial(1, &never);
            for epoch in 0..16 {
                let needs = policy.needs(1, epoch, &never);
                if needs > Needs::Nothing {
                    let (own, dense) = (values(7, epoch, &mask), dense_gradients(7, epoch, 864));
                    let update =
                        MaskUpdate { dense_gradients: &dense, ..update(&*policy, 1, epoch, &mask, &own) };
                    mask = apply(&mask, &decide(&*policy, &update), 864, true);
                }
                assert_eq!(mask.len() as u32, policy.nonzero(1, epoch, &never), "{name} {word} {epoch}");
                let is_dense = mask.len() == 864;
                assert!(is_dense || is_whole(word, &mask), "{name}, {word}, epoch {epoch}: {mask:?}");
            }
        }
    }
    let family = crate::Registry::default().mask;
    let built = |name: &str, word: &str| {
        let known = (family.find(name).unwrap().parameters)();
        let mut parameters = spfde_data::parameter::Parameters::defaults(&known);
        for (key, value) in [("mask.granularity", word), ("mask.sparsity", "0.5")] {
            let value = value.parse().map_or(Value::Text(value.into()), Value::Number);
            parameters = parameters.with(&known, key, value).unwrap();
        }
        family.build(name, &parameters, &context).err().map(|error| error.to_string())
    };
    assert!(built("mest-ems", "2:4").unwrap().contains("2:4 fixes how many weights exist"));
    assert!(built("dsr", "channel").unwrap().contains("layers exchange single weights"));
    assert!(built("static", "1:4").unwrap().contains("is a sparsity of 0.7500, not 0.5"));
}
