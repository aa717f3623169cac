//! Files that fit, files that nearly do, and what is said of those that do not.

use spfde_model::{InputShape, Kernel, Network};

use super::*;

/// A residual network of two blocks, the second with a shortcut.
fn network(classes: usize) -> Description {
    let input = InputShape { channels: 1, height: 4, width: 4 };
    Description::build(input, classes, |net| {
        let stem = net.convolution(2, 3).batch_norm().relu().named("stem");
        let x = net.convolution(2, 3).batch_norm().after(stem).named("block0.convolution1");
        let x = net.add(x, stem);
        net.block();
        let main = net.convolution(3, 3).stride(2).batch_norm().after(x).named("block1.convolution1");
        let shortcut = net.convolution(3, 1).stride(2).batch_norm().after(x).named("block1.shortcut");
        net.classifier(net.average_pool(net.add(main, shortcut)))
    })
    .unwrap()
}

fn array(name: &str, shape: &[usize], first: f32) -> Tensor {
    let numbers = (0..shape.iter().product()).map(|place: usize| first + place as f32).collect();
    Tensor { name: name.to_owned(), shape: shape.to_vec(), data: TensorData::F32(numbers) }
}

/// What PyTorch would save of the network of two classes.
fn state_dict() -> Vec<Tensor> {
    let layers: [(&str, &str, &[usize]); 4] = [
        ("conv1", "bn1", &[2, 1, 3, 3]),
        ("layer1.0.conv1", "layer1.0.bn1", &[2, 2, 3, 3]),
        ("layer2.0.conv1", "layer2.0.bn1", &[3, 2, 3, 3]),
        ("layer2.0.downsample.0", "layer2.0.downsample.1", &[3, 2, 1, 1]),
    ];
    let mut arrays = vec![array("fc.weight", &[2, 3], 0.5), array("fc.bias", &[2], 0.25)];
    for (layer, norm, shape) in layers {
        arrays.push(array(&format!("{layer}.weight"), shape, 1.0));
        let lists = [("weight", 2.0), ("bias", 3.0), ("running_mean", 4.0), ("running_var", 5.0)];
        arrays.extend(lists.map(|(list, first)| array(&format!("{norm}.{list}"), &shape[..1], first)));
    }
    arrays
}

/// The first number of what a layer begins with.
fn firsts(start: &LayerStart) -> (f32, Vec<(&str, f32)>) {
    (start.values[0], start.lists.iter().map(|(word, list)| (&**word, list[0])).collect())
}

#[test]
fn every_array_of_a_state_dict_finds_its_layer() {
    let (starts, notes) = fit(&state_dict(), &network(2), false).unwrap();
    assert_eq!((starts.len(), notes.len()), (5, 0));
    let norm = vec![("gain", 2.0), ("offset", 3.0), ("running_mean", 4.0), ("running_variance", 5.0)];
    assert!(starts[..4].iter().all(|start| firsts(start) == (1.0, norm.clone())));
    assert_eq!(firsts(&starts[4]), (0.5, vec![("bias", 0.25)]));
    assert!(starts.iter().all(|start| start.mask.is_none() && start.momenta.is_empty()));
    // All of it gets into a network.
    let mut taken = Network::from_description(network(2), 0, Kernel::resolve("portable").unwrap());
    starts.iter().enumerate().for_each(|(layer, start)| taken.begin(layer, start));
    assert_eq!(taken.values(1), (0..36).map(|place| 1.0 + place as f32).collect::<Vec<_>>());
}

#[test]
fn other_spellings_are_known() {
    let expected = fit(&state_dict(), &network(2), false).unwrap();
    let rename = |change: &dyn Fn(&str) -> String| -> Vec<Tensor> {
        state_dict().into_iter().map(|array| Tensor { name: change(&array.name), ..array }).collect()
    };
    let spellings: [&dyn Fn(&str) -> String; 3] =
        [&|name| format!("module.{name}"), &|name| name.replace("downsample", "shortcut"), &|name| {
            name.replace("fc.", "linear.")
        }];
    for spelling in spellings {
        assert_eq!(fit(&rename(spelling), &network(2), false).unwrap(), expected);
    }
    // Sparse arrays stand for dense ones.
    let mut sparse = state_dict();
    let place = sparse.iter().position(|array| array.name == "layer1.0.conv1.weight").unwrap();
    let dense = sparse.remove(place);
    let part = |what: &str, data| Tensor { name: format!("{}.{what}", dense.name), shape: vec![2], data };
    sparse.push(part("indices", TensorData::U32(vec![3, 35])));
    sparse.push(part("values", TensorData::F32(vec![7.0, 9.0])));
    sparse.push(part("shape", TensorData::U32(vec![2, 2, 3, 3])));
    let (starts, _) = fit(&sparse, &network(2), false).unwrap();
    let nonzero: Vec<(usize, f32)> =
        starts[1].values.iter().copied().enumerate().filter(|(_, value)| *value != 0.0).collect();
    assert_eq!(nonzero, [(3, 7.0), (35, 9.0)]);
}

#[test]
fn layers_of_a_users_own_names_keep_them() {
    let input = InputShape { channels: 1, height: 4, width: 4 };
    let network = Description::build(input, 2, |net| {
        let first = net.convolution(2, 3).named("first.shortcut.own");
        net.block();
        net.classifier(net.linear(3).relu().named("linear").after(first))
    });
    let arrays = [
        array("first.shortcut.own.weight", &[2, 1, 3, 3], 1.0),
        array("first.shortcut.own.bias", &[2], 2.0),
        array("linear.weight", &[3, 32], 3.0),
        array("linear.bias", &[3], 4.0),
        array("classifier.weight", &[2, 3], 5.0),
        array("classifier.bias", &[2], 6.0),
    ];
    let (starts, notes) = fit(&arrays, &network.unwrap(), false).unwrap();
    assert_eq!(starts.iter().map(|start| start.values[0]).collect::<Vec<_>>(), [1.0, 3.0, 5.0]);
    assert!(notes.is_empty());
}

#[test]
fn a_bias_in_front_of_a_batch_norm_moves_its_mean() {
    let with_bias = [state_dict(), vec![array("conv1.bias", &[2], 10.0)]].concat();
    let (starts, _) = fit(&with_bias, &network(2), false).unwrap();
    assert_eq!(starts[0].lists["running_mean"], [4.0 - 10.0, 5.0 - 11.0]);
}

#[test]
fn a_classifier_of_other_classes_is_left_as_it_was_drawn() {
    let (starts, notes) = fit(&state_dict(), &network(7), false).unwrap();
    assert_eq!(starts[4], LayerStart::default());
    assert_eq!(notes, ["the classifier begins with drawn weights: it has 7 classes, that of the file has 2"]);
    let own = Network::from_description(network(2), 0, Kernel::resolve("portable").unwrap()).tensors();
    let (starts, notes) = fit(&own, &network(7), true).unwrap();
    assert_eq!((&starts[4], notes.len()), (&LayerStart::default(), 1));
}

#[test]
fn a_checkpoint_gives_masks_and_momenta_where_they_are_wanted() {
    let mut own = Network::from_description(network(2), 0, Kernel::resolve("portable").unwrap());
    own.mask(1, 0.1);
    own.apply_mask(1, &[], &[4, 30], spfde_model::Growth::Initial);
    let (starts, _) = fit(&own.tensors(), &network(2), true).unwrap();
    assert_eq!(starts[1].mask.as_deref(), Some(&[4, 30][..]));
    assert_eq!([starts[1].values[4], starts[1].values[30]], own.values(1));
    assert_eq!((starts[1].momenta.len(), starts[1].lists.contains_key("gain_momenta")), (36, true));
    let (starts, _) = fit(&own.tensors(), &network(2), false).unwrap();
    assert!(starts[1].mask.is_none() && starts[1].momenta.is_empty());
    assert!(!starts[1].lists.contains_key("gain_momenta"));
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let mut arrays = state_dict();
    arrays.retain(|array| array.name != "bn1.bias" && array.name != "conv1.weight");
    arrays.push(array("head.weight", &[1], 0.0));
    arrays.iter_mut().filter(|array| array.name == "layer2.0.conv1.weight").for_each(|array| {
        array.shape = vec![3, 2, 9];
    });
    assert_eq!(
        fit(&arrays, &network(2), false).unwrap_err().to_string(),
        "2 missing: conv1.weight, bn1.bias; 1 unexpected: head.weight; 1 of another shape: \
         layer2.0.conv1.weight (is [3, 2, 9], expected [3, 2, 3, 3])"
    );
    let none = fit(&[], &network(2), false).unwrap_err().to_string();
    assert!(none.starts_with("22 missing: conv1.weight, ") && none.ends_with(" and 2 more"), "{none}");
    // Indices of a checkpoint that lead out of a layer.
    let mut own = Network::from_description(network(2), 0, Kernel::resolve("portable").unwrap()).tensors();
    own[0].data = TensorData::U32((1..19).collect());
    assert_eq!(
        fit(&own, &network(2), true).unwrap_err().to_string(),
        "3 of another shape: stem.indices (expected ascending below 18), stem.values (is [18], expected \
         [0]), stem.momenta (is [18], expected [0])"
    );
}
