//! The layers of a network that another program trains, from `layers.toml` beside its recorded gradients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use spfde_data::{Architecture, LayerKind, LayerShape};

use crate::{Error, Result, small_file};

/// The name of the file.
pub const LAYERS_NAME: &str = "layers.toml";

/// Bytes of the file.
const LARGEST: u64 = 16 << 20;

/// Layers are numbered by 16 bits.
const MOST: usize = 1 << 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    layer: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    kind: Kind,
    outputs: u32,
    inputs: u32,
    #[serde(default = "one")]
    kernel: [u32; 2],
    #[serde(default = "one")]
    output: [u32; 2],
    weights: Option<u64>,
    block: Option<String>,
    reads_block_input: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Convolution,
    Linear,
}

fn one() -> [u32; 2] {
    [1, 1]
}

/// Where the layers of recorded gradients are: in their directory, or beside it.
pub(super) fn place(gradients: &Path) -> PathBuf {
    let inside = gradients.join(LAYERS_NAME);
    match inside.exists() {
        true => inside,
        false => gradients.parent().unwrap_or(gradients).join(LAYERS_NAME),
    }
}

/// Reads the file.
///
/// # Errors
/// If it cannot be read, or is no list of layers.
pub(super) fn read(path: &Path) -> Result<Arc<Architecture>> {
    let bytes = small_file::read(path, "list of layers", LARGEST)?;
    parse(&String::from_utf8_lossy(&bytes))
        .map_err(|what| Error::usage(format!("{}: {what}", path.display())))
}

/// Reads its text.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Arc<Architecture>, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("line {}: {}", text[..at.min(text.len())].matches('\n').count() + 1, error.message())
    })?;
    if file.layer.is_empty() || file.layer.len() > MOST {
        return Err(format!("has {} layers, not 1 to {MOST}", file.layer.len()));
    }
    let (mut layers, mut blocks) = (Vec::<LayerShape>::new(), Vec::<String>::new());
    let mut ended = false;
    for (number, entry) in file.layer.into_iter().enumerate() {
        let wrong = |what: String| Err(format!("layer {number}, {:?}: {what}", entry.name));
        let begins = entry.block.as_ref() != blocks.last();
        match &entry.block {
            None => ended = true,
            Some(block) if ended || begins && blocks.contains(block) => {
                return wrong(format!(
                    "the layers of block {block:?} have to stand together, before those of none"
                ));
            }
            Some(block) if begins => blocks.push(block.clone()),
            Some(_) => {}
        }
        let Entry { kind, outputs, inputs, kernel, output, .. } = entry;
        if kind == Kind::Linear && kernel != one() {
            return wrong("a linear layer has no kernel".to_owned());
        }
        let extents = [outputs, inputs, kernel[0], kernel[1]].map(u64::from);
        let weights = extents.iter().try_fold(1, |all: u64, extent| all.checked_mul(*extent));
        let Some(weights) = weights.filter(|weights| (1..=u64::from(u32::MAX)).contains(weights)) else {
            return wrong(format!("outputs × inputs × kernel is not from 1 to {} weights", u32::MAX));
        };
        if let Some(found) = entry.weights.filter(|found| *found != weights) {
            return wrong(format!("weights is {found}; outputs × inputs × kernel is {weights}"));
        }
        let positions = u64::from(output[0]) * u64::from(output[1]);
        if !(1..=1 << 32).contains(&positions) {
            return wrong(format!("output is {output:?}, not rows and columns of 1 to 2^32 positions"));
        }
        layers.push(LayerShape {
            kind: if kind == Kind::Linear { LayerKind::Linear } else { LayerKind::Convolution },
            outputs: outputs as usize,
            inputs: inputs as usize,
            // Nothing that is replayed depends on it: sums are those of a training.
            groups: 1,
            kernel: (kernel[0] as usize, kernel[1] as usize),
            positions,
            block: entry.block.as_ref().map_or(usize::MAX, |_| blocks.len() - 1),
            reads_block_input: entry.reads_block_input.unwrap_or(begins && entry.block.is_some()),
            name: entry.name,
        });
    }
    if blocks.is_empty() {
        return Err("no layer is of a block: nothing could freeze".to_owned());
    }
    let classifiers = layers.iter_mut().filter(|layer| layer.block == usize::MAX);
    classifiers.for_each(|layer| layer.block = blocks.len());
    let activation_bytes = vec![0; blocks.len() + 1];
    Ok(Arc::new(Architecture { layers, blocks, activation_bytes }))
}
