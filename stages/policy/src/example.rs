//! Architectures made up from sizes, so that a policy can be tried and tested without a model.

use std::sync::Arc;

use spfde_data::{Architecture, LayerKind, LayerShape};

/// A multilayer perceptron with the given numbers of features, input first: every layer but the last is a
/// block.
///
/// ```
/// let architecture = spfde_policy::example::perceptron(&[784, 1024, 1024, 10]);
/// assert_eq!(architecture.layers.len(), 3);
/// assert_eq!(architecture.blocks.len(), 2);
/// ```
///
/// # Panics
/// If there are fewer than two sizes.
pub fn perceptron(sizes: &[usize]) -> Arc<Architecture> {
    assert!(sizes.len() >= 2, "a perceptron has at least an input and an output");
    let linear = |(index, pair): (usize, &[usize])| {
        layer(format!("linear{}", index + 1), LayerKind::Linear, [pair[1], pair[0], 1], 1, index)
    };
    let layers: Vec<LayerShape> = sizes.windows(2).enumerate().map(linear).collect();
    let blocks = layers[..layers.len() - 1].iter().map(|layer| layer.name.clone()).collect();
    finish(layers, blocks)
}

/// A residual network in the style of the CIFAR ResNets: a 3×3 stem, `blocks` residual blocks for each entry
/// of `channels` (the first of each but the first stage halves the image and has a 1×1 shortcut), a
/// classifier of ten classes. The stem belongs to the first block. `side` is the image's height and width,
/// with one channel.
///
/// ```
/// let resnet20 = spfde_policy::example::residual(&[16, 32, 64], 3, 28);
/// assert_eq!(resnet20.layers.len(), 22); // 19 convolutions, 2 shortcuts, 1 classifier
/// assert_eq!(resnet20.blocks.len(), 9);
/// ```
///
/// # Panics
/// If there is no channel count.
pub fn residual(channels: &[usize], blocks: usize, side: u64) -> Arc<Architecture> {
    let mut width = *channels.first().expect("a residual network has at least one stage");
    let mut positions = side * side;
    let convolution = |name: String, size: [usize; 3], positions: u64, block: usize| {
        layer(name, LayerKind::Convolution, size, positions, block)
    };
    let mut layers = vec![convolution("stem".into(), [width, 1, 3], positions, 0)];
    let mut names = Vec::new();
    for (stage, &next) in channels.iter().enumerate() {
        for position in 0..blocks {
            let block = names.len();
            let name = format!("block{}", block + 1);
            let shrinks = stage > 0 && position == 0;
            if shrinks {
                positions = side.div_ceil(1 << stage).pow(2);
            }
            let named = |part: &str| format!("{name}.{part}");
            let first = convolution(named("convolution1"), [next, width, 3], positions, block);
            layers.push(LayerShape { reads_block_input: block > 0, ..first });
            let second = convolution(named("convolution2"), [next, next, 3], positions, block);
            layers.push(LayerShape { reads_block_input: false, ..second });
            if shrinks {
                layers.push(convolution(named("shortcut"), [next, width, 1], positions, block));
            }
            width = next;
            names.push(name);
        }
    }
    layers.push(layer("classifier".into(), LayerKind::Linear, [10, width, 1], 1, names.len()));
    finish(layers, names)
}

/// One layer that reads its block's input; `size` is outputs, inputs, and rows of the kernel.
fn layer(name: String, kind: LayerKind, size: [usize; 3], positions: u64, block: usize) -> LayerShape {
    let [outputs, inputs, side] = size;
    let (groups, kernel, reads_block_input) = (1, (side, side), true);
    LayerShape { name, kind, outputs, inputs, groups, kernel, positions, block, reads_block_input }
}

/// An architecture that keeps every layer's output, four bytes a value, from the first active block on.
fn finish(layers: Vec<LayerShape>, blocks: Vec<String>) -> Arc<Architecture> {
    let kept = |frozen: usize| {
        let active = layers.iter().filter(|layer| layer.block >= frozen);
        active.map(|layer| 4 * layer.outputs as u64 * layer.positions).sum()
    };
    let activation_bytes = (0..=blocks.len()).map(kept).collect();
    Arc::new(Architecture { layers, blocks, activation_bytes })
}
