//! The layers of a network that another program trains, in TOML.

/// Numbers of blocks fit, and every layer has weights.
pub(super) fn run(bytes: &[u8]) {
    let Ok(network) = spfde::grid::parse_layers(&String::from_utf8_lossy(bytes)) else { return };
    assert!(!network.blocks.is_empty());
    let blocks = network.layers.iter().map(|layer| layer.block);
    assert!(blocks.clone().is_sorted() && blocks.max().unwrap() <= network.blocks.len());
    assert!(network.layers.iter().all(|layer| (1..=u32::MAX as usize).contains(&layer.weights())));
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let text = include_str!("../../../pipelines/tests/recorded/layers.toml");
    let more = "[[layer]]\nname = \"c\"\nkind = \"convolution\"\noutputs = 16\ninputs = 3\nkernel = [3, 3]\n\
                output = [32, 32]\nweights = 432\nblock = \"b\"\nreads_block_input = true\n";
    vec![("convolution", more.into()), ("recorded", text.into())]
}
