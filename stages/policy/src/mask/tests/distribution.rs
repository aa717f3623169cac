//! Distributions by hand, and the sparsity that masks realise.

use proptest::prelude::*;
use spfde_data::architecture::{Architecture, LayerShape};

use crate::example;
use crate::mask::{Distribution, Layers, Targets};

fn near(left: f64, right: f64, within: f64) {
    assert!((left - right).abs() < within, "{left}, expected {right}");
}

/// ResNet-20 for an image of one channel, with shortcuts that have no parameters.
fn resnet20() -> Architecture {
    let mut network = (*example::residual(&[16, 32, 64], 3, 28)).clone();
    network.layers.retain(|layer| !layer.name.ends_with("shortcut"));
    network
}

fn all_masked(sparsity: f64, distribution: Distribution) -> Layers<'static> {
    Layers { sparsity, distribution, dense_first: false, dense_last: false, ..Layers::default() }
}

#[test]
fn er_patches_of_resnet20_is_that_of_gse() {
    let network = resnet20();
    assert_eq!(network.layers.iter().map(LayerShape::weights).sum::<usize>(), 268_048);
    let density = |sparsity: f64, name: &str| {
        let targets = Targets::of(&network, &all_masked(sparsity, Distribution::ErPatches)).unwrap();
        targets.densities[network.layers.iter().position(|layer| layer.name == name).unwrap()]
    };
    // c · (in + out) / (in · out), c = 268 048 · (1 − s) / Σ (in + out) = 4.1968 at s = 0.9.
    for (name, expected) in [
        ("stem", 0.7286),
        ("block2.convolution1", 0.2914),
        ("block4.convolution1", 0.1603),
        ("block5.convolution2", 0.1457),
        ("block7.convolution1", 0.0801),
        ("block9.convolution2", 0.0729),
        ("classifier", 0.4853),
    ] {
        near(density(0.9, name), expected, 5e-5);
    }
    near(density(0.95, "stem"), 0.3643, 5e-5);
    near(density(0.95, "block1.convolution1"), 0.1457, 5e-5);
    near(density(0.95, "block8.convolution1"), 0.0364, 5e-5);
    near(density(0.98, "block8.convolution1"), 0.0146, 5e-5);
}

#[test]
fn er_counts_channels_and_erk_the_kernel_too() {
    // 4 outputs of 3 inputs and 4 of 4, each 3 × 3; 10 of 4: 108, 144 and 40 weights, all masked.
    let mut network = (*example::residual(&[4], 1, 8)).clone();
    network.layers.remove(2);
    network.layers[0].inputs = 3;
    let densities = |distribution| Targets::of(&network, &all_masked(0.8, distribution)).unwrap().densities;
    // A fifth of 108 + 144 + 40 = 292 weights: 58.4.
    // er: 7/12, 8/16, 14/40; ε · (63 + 72 + 14) = 58.4.
    let epsilon = 58.4 / 149.0;
    for (density, score) in densities(Distribution::Er).iter().zip([7.0 / 12.0, 0.5, 0.35]) {
        near(*density, epsilon * score, 1e-12);
    }
    // erk: 13/108, 14/144, 14/40; ε · (13 + 14 + 14) = 58.4.
    let epsilon = 58.4 / 41.0;
    for (density, score) in densities(Distribution::Erk).iter().zip([13.0 / 108.0, 14.0 / 144.0, 0.35]) {
        near(*density, epsilon * score, 1e-12);
    }
    // er-patches: 31/108, 40/144, 14/40; ε · (31 + 40 + 14) = 58.4.
    let epsilon = 58.4 / 85.0;
    for (density, score) in densities(Distribution::ErPatches).iter().zip([31.0 / 108.0, 40.0 / 144.0, 0.35])
    {
        near(*density, epsilon * score, 1e-12);
    }
}

#[test]
fn erk_of_resnet20_is_the_published_formula() {
    // ε Σ p · N = Σ (1 − s) · N with p = (out + in + ky + kx) / N. A shortcut of 32 · 16 would have 1.7 times
    // its 512 weights: it is dense, and the others share what is left.
    let network = example::residual(&[16, 32, 64], 3, 28);
    let targets = Targets::new(&network, Distribution::Erk, 0.9).unwrap();
    // Six of 16·16·9; 32·16·9, five of 32·32·9; 64·32·9, five of 64·64·9, 64·32.
    let weights = [6.0 * 2304.0, 4608.0 + 5.0 * 9216.0, 18_432.0 + 5.0 * 36_864.0 + 2048.0];
    let sums = [6.0 * 38.0, 54.0 + 5.0 * 70.0, 102.0 + 5.0 * 134.0 + 98.0];
    let epsilon = (0.1 * (weights.iter().sum::<f64>() + 512.0) - 512.0) / sums.iter().sum::<f64>();
    let density =
        |name: &str| targets.densities[network.layers.iter().position(|layer| layer.name == name).unwrap()];
    near(density("block1.convolution2"), epsilon * 38.0 / 2304.0, 1e-12);
    near(density("block4.convolution1"), epsilon * 54.0 / 4608.0, 1e-12);
    near(density("block4.shortcut"), 1.0, 1e-12);
    near(density("block7.shortcut"), epsilon * 98.0 / 2048.0, 1e-12);
    near(density("block9.convolution2"), epsilon * 134.0 / 36_864.0, 1e-12);
}

#[test]
fn listed_layers_have_their_own_density_and_the_others_share_the_sparsity() {
    let network = example::residual(&[4, 8], 1, 8);
    let list = "block1.*=0.5, stem=0.25, block2.shortcut=1";
    let layers = Layers { sparsity: 0.9, densities: list, ..Layers::default() };
    let targets = Targets::of(&network, &layers).unwrap();
    let expected = [
        ("stem", 0.25, true),
        ("block1.convolution1", 0.5, true),
        ("block1.convolution2", 0.5, true),
        ("block2.convolution1", 0.1, true),
        ("block2.convolution2", 0.1, true),
        ("block2.shortcut", 1.0, false),
        ("classifier", 1.0, false),
    ];
    for (at, (name, density, masked)) in expected.into_iter().enumerate() {
        assert_eq!((network.layers[at].name.as_str(), targets.masked[at]), (name, masked));
        near(targets.densities[at], density, 1e-12);
    }
    // 4·8·9 weights by 12 + 6, 8·8·9 by 16 + 6: erk deals a tenth of both together.
    let erk = Targets::of(&network, &Layers { distribution: Distribution::Erk, ..layers }).unwrap();
    let epsilon = 0.1 * (288.0 + 576.0) / (18.0 + 22.0);
    near(erk.densities[3], epsilon * 18.0 / 288.0, 1e-12);
    near(erk.densities[4], epsilon * 22.0 / 576.0, 1e-12);
    near(erk.densities[1], 0.5, 1e-12);
}

#[test]
fn the_first_and_the_last_layer_are_dense_if_asked() {
    let network = example::residual(&[4, 8], 1, 8);
    for (dense_first, dense_last) in [(true, true), (true, false), (false, true)] {
        let layers = Layers { sparsity: 0.5, dense_first, dense_last, ..Layers::default() };
        let targets = Targets::of(&network, &layers).unwrap();
        let dense: Vec<bool> = targets.masked.iter().map(|masked| !masked).collect();
        assert_eq!(dense, [dense_first, false, false, false, false, false, dense_last]);
    }
    // Behind the first convolution one that reads a single channel is depthwise.
    let mut depthwise = (*network).clone();
    depthwise.layers[1].inputs = 1;
    let targets = Targets::of(&depthwise, &all_masked(0.5, Distribution::Uniform)).unwrap();
    assert_eq!(targets.masked, [true, false, true, true, true, true, true]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_realised_sparsity_is_exact_to_one_weight_for_each_layer(
        sparsity in 0.0f64..0.9,
        which in 0usize..4,
        wide in 1usize..5,
        residual in any::<bool>(),
        dense_last in any::<bool>(),
    ) {
        use Distribution::{Er, ErPatches, Erk, Uniform};
        let network = match residual {
            true => example::residual(&[4 * wide, 8 * wide], 2, 8),
            false => example::perceptron(&[8 * wide, 30, 20 * wide, 10]),
        };
        let distribution = [Uniform, Er, Erk, ErPatches][which];
        let layers = Layers { sparsity, distribution, dense_last, ..Layers::default() };
        let targets = Targets::of(&network, &layers).unwrap();
        let masked: Vec<usize> = (0..network.layers.len()).filter(|layer| targets.masked[*layer]).collect();
        let all: usize = masked.iter().map(|layer| network.layers[*layer].weights()).sum();
        let kept: u32 = masked.iter().map(|layer| targets.count(*layer)).sum();
        let error = f64::from(kept) - (1.0 - sparsity) * all as f64;
        prop_assert!(error.abs() <= masked.len() as f64 / 2.0 + 1e-6, "{} of {}", error, masked.len());
        for layer in masked {
            let exact = targets.densities[layer] * network.layers[layer].weights() as f64;
            prop_assert!((f64::from(targets.count(layer)) - exact).abs() <= 0.5 + 1e-9);
        }
    }
}
