//! Which array of a file belongs to which layer of a network, and what does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};

use spfde_data::{LayerShape, Tensor, TensorData};
use spfde_model::{Description, LayerStart, is_beside};

use crate::graph::Graph;
use crate::pytorch::{AFFINE, Module, modules, scatter, weight_shape};

/// Names of one kind of misfit that are told.
const TOLD: usize = 20;

/// What PyTorch models put in front of all names.
const PREFIXES: [&str; 2] = ["module.", "model."];

/// A name of the classifier of residual networks, and the one that is known here.
const CLASSIFIER: (&str, &str) = ("linear.", "fc.");

/// The same of shortcuts.
const SHORTCUT: (&str, &str) = (".shortcut.", ".downsample.");

/// Everything that does not fit, in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Misfits {
    missing: Vec<String>,
    unexpected: Vec<String>,
    shapes: Vec<String>,
}

impl Misfits {
    fn is_empty(&self) -> bool {
        [&self.missing, &self.unexpected, &self.shapes].iter().all(|names| names.is_empty())
    }
}

impl Display for Misfits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = String::new();
        for (what, names) in
            [("missing", &self.missing), ("unexpected", &self.unexpected), ("of another shape", &self.shapes)]
        {
            if names.is_empty() {
                continue;
            }
            let shown = names.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(TOLD);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let between = if told.is_empty() { "" } else { "; " };
            write!(told, "{between}{} {what}: {shown}{more}", names.len())?;
        }
        f.write_str(&told)
    }
}

/// What each layer of `network` begins with, of the `arrays` of a checkpoint of its own or of a PyTorch
/// `state_dict`; and notes. Masks and momenta are taken over where that is `whole`. A classifier of another
/// number of classes is left as it is.
///
/// # Errors
/// All that does not fit.
pub(super) fn fit(
    arrays: &[Tensor],
    network: &Description,
    whole: bool,
) -> Result<(Vec<LayerStart>, Vec<String>), Misfits> {
    let layers = &network.architecture().layers;
    let is_own =
        layers.iter().any(|layer| arrays.iter().any(|array| array.name == own(&layer.name, "indices")));
    let most = layers.iter().map(LayerShape::weights).max().unwrap_or(0);
    let graph = Graph::of(network);
    let modules = modules(&graph);
    let mut file = File { left: named(arrays, is_own, &modules, most), misfits: Misfits::default() };
    let (mut starts, mut notes) = (Vec::new(), Vec::new());
    for (number, ((layer, step), module)) in layers.iter().zip(graph.layers()).zip(&modules).enumerate() {
        let names = if is_own { Names::Own(&layer.name) } else { Names::PyTorch(module) };
        let is_last = number + 1 == layers.len();
        if is_last && let Some(classes) = file.other_classes(&names, layer.outputs, layer.inputs) {
            file.forget(&names);
            notes.push(format!(
                "the classifier begins with drawn weights: it has {} classes, that of the file has {classes}",
                layer.outputs
            ));
            starts.push(LayerStart::default());
            continue;
        }
        let mut start = LayerStart::default();
        match names {
            Names::Own(name) => {
                let indices = file.indices(&own(name, "indices"), layer.weights());
                let mut dense = |what: &str| file.scattered(&own(name, what), &indices, layer.weights());
                start.values = dense("values");
                let momenta = dense("momenta");
                if whole {
                    (start.momenta, start.mask) = (momenta, Some(indices));
                }
            }
            Names::PyTorch(module) => {
                start.values = file.floats(&format!("{}.weight", module.layer), &weight_shape(layer));
            }
        }
        let has_norm = step.has_batch_norm();
        for (word, is_norm, _) in AFFINE.iter().filter(|(_, is_norm, _)| *is_norm == has_norm) {
            let list = file.floats(&names.list(word, *is_norm), &[layer.outputs]);
            start.lists.insert((*word).to_owned(), list);
            let momenta = format!("{word}_momenta");
            if is_own && !word.starts_with("running") {
                let list = file.floats(&names.list(&momenta, *is_norm), &[layer.outputs]);
                if whole {
                    start.lists.insert(momenta, list);
                }
            }
        }
        // A bias in front of a batch norm moves its mean.
        if let (true, Names::PyTorch(module)) = (has_norm, &names) {
            let name = format!("{}.bias", module.layer);
            if file.left.contains_key(&name) {
                let bias = file.floats(&name, &[layer.outputs]);
                let mean = start.lists.get_mut("running_mean").expect("it was put there");
                mean.iter_mut().zip(bias).for_each(|(mean, bias)| *mean -= bias);
            }
        }
        starts.push(start);
    }
    file.misfits.unexpected = file.left.into_keys().collect();
    if file.misfits.is_empty() { Ok((starts, notes)) } else { Err(file.misfits) }
}

/// The name of an array of a checkpoint.
fn own(layer: &str, what: &str) -> String {
    format!("{layer}.{what}")
}

/// What the arrays of a layer are called.
enum Names<'a> {
    /// As in a checkpoint, by the layer's name.
    Own(&'a str),
    PyTorch(&'a Module),
}

impl Names<'_> {
    /// The name of a list that follows the layer, by the network's word.
    fn list(&self, word: &str, is_norm: bool) -> String {
        match self {
            Self::Own(name) => own(name, word),
            Self::PyTorch(module) => {
                let owner = if is_norm { &module.norm } else { &module.layer };
                let known = AFFINE.iter().find(|(own, norm, _)| *own == word && *norm == is_norm);
                format!("{owner}.{}", known.map_or(word, |(_, _, word)| *word))
            }
        }
    }

    /// What the names of all its arrays begin with.
    fn prefix(&self) -> String {
        match self {
            Self::Own(name) => format!("{name}."),
            Self::PyTorch(module) => format!("{}.", module.layer),
        }
    }
}

/// The arrays by the names that are known here; sparse ones of up to `most` numbers are dense then. What a
/// module of the network is called keeps its name.
fn named(arrays: &[Tensor], is_own: bool, modules: &[Module], most: usize) -> BTreeMap<String, Tensor> {
    let mut named: BTreeMap<String, Tensor> =
        arrays.iter().map(|array| (array.name.clone(), array.clone())).collect();
    if is_own {
        // What only the optimiser of that run kept.
        let is_begun_anew =
            |name: &str| is_beside(name) || ["squares", ".steps"].iter().any(|end| name.ends_with(end));
        named.retain(|name, _| !is_begun_anew(name));
        return named;
    }
    for prefix in PREFIXES {
        if named.keys().all(|name| name.starts_with(prefix)) {
            named = named.into_iter().map(|(name, array)| (name[prefix.len()..].to_owned(), array)).collect();
        }
    }
    let owners: BTreeSet<&str> = modules.iter().flat_map(|module| [&*module.layer, &*module.norm]).collect();
    let is_known = |name: &str| name.match_indices('.').any(|(end, _)| owners.contains(&name[..end]));
    let renamed = |name: String| {
        if is_known(&name) {
            return name;
        }
        let name = name.replace(SHORTCUT.0, SHORTCUT.1);
        name.strip_prefix(CLASSIFIER.0).map_or(name.clone(), |rest| format!("{}{rest}", CLASSIFIER.1))
    };
    named = named.into_iter().map(|(name, array)| (renamed(name), array)).collect();
    let sparse: Vec<String> =
        named.keys().filter_map(|name| name.strip_suffix(".indices")).map(str::to_owned).collect();
    for name in sparse {
        let part = |what: &str| named.get(&format!("{name}.{what}")).map(|array| &array.data);
        if let Some(array) = densified(&name, part("indices"), part("values"), part("shape"), most) {
            ["indices", "values", "shape"]
                .iter()
                .for_each(|what| drop(named.remove(&format!("{name}.{what}"))));
            named.insert(name, array);
        }
    }
    named
}

/// The dense array of which these are indices, values and shape, if they are.
fn densified(
    name: &str,
    indices: Option<&TensorData>,
    values: Option<&TensorData>,
    shape: Option<&TensorData>,
    most: usize,
) -> Option<Tensor> {
    let (Some(TensorData::U32(indices)), Some(TensorData::F32(values)), Some(TensorData::U32(shape))) =
        (indices, values, shape)
    else {
        return None;
    };
    let shape: Vec<usize> = shape.iter().map(|extent| *extent as usize).collect();
    let count = shape.iter().try_fold(1_usize, |count, extent| count.checked_mul(*extent))?;
    // No layer has more weights: little is allocated by what a file only says.
    if count > most || indices.len() != values.len() || indices.len() > count {
        return None;
    }
    let dense = scatter(indices, values, count)?;
    Some(Tensor { name: name.to_owned(), shape, data: TensorData::F32(dense) })
}

/// The arrays of a file that have not been taken, and what was wrong with those that have.
struct File {
    left: BTreeMap<String, Tensor>,
    misfits: Misfits,
}

impl File {
    /// Takes an array of floating point numbers; nothing, with a misfit, if it is not there or does not fit.
    fn floats(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        match self.left.remove(name) {
            None => self.misfits.missing.push(name.to_owned()),
            Some(Tensor { shape: found, data: TensorData::F32(numbers), .. }) if found == shape => {
                return numbers;
            }
            Some(Tensor { shape: found, .. }) => {
                self.misfits.shapes.push(format!("{name} (is {found:?}, expected {shape:?})"));
            }
        }
        Vec::new()
    }

    /// Takes the indices of a checkpoint, of so many weights.
    fn indices(&mut self, name: &str, weights: usize) -> Vec<u32> {
        match self.left.remove(name).map(|array| array.data) {
            None => self.misfits.missing.push(name.to_owned()),
            Some(TensorData::U32(indices))
                if indices.is_sorted_by(|a, b| a < b)
                    && indices.last().is_none_or(|last| (*last as usize) < weights) =>
            {
                return indices;
            }
            Some(_) => self.misfits.shapes.push(format!("{name} (expected ascending below {weights})")),
        }
        Vec::new()
    }

    /// Takes the numbers of the weights that exist, as those of all.
    fn scattered(&mut self, name: &str, indices: &[u32], weights: usize) -> Vec<f32> {
        let values = self.floats(name, &[indices.len()]);
        scatter(indices, &values, weights).expect("indices were checked")
    }

    /// The number of classes of the file's classifier, if it is another one for the same inputs.
    fn other_classes(&self, names: &Names<'_>, outputs: usize, inputs: usize) -> Option<usize> {
        let classes = match names {
            Names::Own(name) => self.left.get(&own(name, "bias"))?.shape.first().copied()?,
            Names::PyTorch(module) => match self.left.get(&format!("{}.weight", module.layer))?.shape[..] {
                [classes, found] if found == inputs => classes,
                _ => return None,
            },
        };
        (classes != outputs).then_some(classes)
    }

    /// Leaves out all arrays of a layer.
    fn forget(&mut self, names: &Names<'_>) {
        let prefix = names.prefix();
        self.left.retain(|name, _| !name.starts_with(&prefix));
    }
}

#[cfg(test)]
mod tests;
