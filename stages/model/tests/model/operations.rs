//! Each operation in a small network: gradients by all kernels, dense and masked, with and without frozen
//! blocks, in both storages.

use spfde_model::{Description, InputShape, Kernel, Logits, Network, NetworkBuilder, Storage};

use crate::families::{Norms, Overrides, model};
use crate::gradients::{check_differences, compare};
use crate::support::{relative_error, samples, sets_of, shake, sparsify, train};

pub(crate) const SHAPE: InputShape = InputShape { channels: 4, height: 9, width: 7 };
pub(crate) const CLASSES: usize = 5;

pub(crate) type Define = fn(&NetworkBuilder) -> Logits;

/// Networks by what they are about.
pub(crate) const NETWORKS: [(&str, Define); 7] = [
    ("groups", groups),
    ("wide max pooling", wide_max_pooling),
    ("bottlenecks", bottlenecks),
    ("concatenation", concatenation),
    ("gelu", gelu),
    ("dropout", dropout),
    ("transformer", transformer),
];

fn groups(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(8, 3).groups(2).batch_norm().relu();
    let x = net.block().convolution(8, 3).depthwise().stride(2).batch_norm().relu().after(x);
    let x = net.convolution(6, 1).batch_norm().relu().after(x);
    let x = net.block().convolution(6, 5).depthwise().relu().after(x);
    let x = net.convolution(9, 3).groups(3).padding(0).after(x);
    net.classifier(net.average_pool(x))
}

fn wide_max_pooling(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(5, 3).batch_norm().relu();
    let x = net.wide_max_pool(x);
    let x = net.block().convolution(6, 3).after(x);
    let x = net.wide_max_pool(x);
    let x = net.block().linear(7).relu().after(x);
    net.classifier(x)
}

fn bottlenecks(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(6, 7).stride(2).batch_norm().relu();
    let x = net.wide_max_pool(x);
    let y = net.block().convolution(3, 1).batch_norm().relu().after(x);
    let y = net.convolution(3, 3).batch_norm().relu().after(y);
    let y = net.convolution(8, 1).batch_norm().after(y);
    let z = net.convolution(8, 1).batch_norm().after(x);
    let x = net.add(y, z);
    let y = net.block().convolution(8, 3).batch_norm().after(x);
    net.classifier(net.average_pool(net.add(y, x)))
}

fn concatenation(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(3, 3).batch_norm().relu();
    let y = net.block().convolution(4, 3).batch_norm().after(x);
    let z = net.convolution(2, 1).after(x);
    // The images, too; a value that others read, and one that is read here alone.
    let x = net.concatenate(&[y, x, net.input(), z]);
    let y = net.block().convolution(5, 3).batch_norm().relu().after(x);
    let x = net.concatenate(&[x, y]);
    net.classifier(net.average_pool(x))
}

fn gelu(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(5, 3).batch_norm();
    let x = net.gelu(x);
    let y = net.block().convolution(5, 3).after(x);
    let y = net.convolution(5, 1).batch_norm().after(net.gelu(y));
    let x = net.add(y, x);
    let x = net.block().linear(9).after(x);
    net.classifier(net.gelu(x))
}

fn dropout(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(5, 3).batch_norm().relu();
    let x = net.dropout(x, 0.3);
    let y = net.block().convolution(5, 3).batch_norm().after(x);
    let x = net.add(y, x);
    let x = net.block().linear(9).relu().after(x);
    net.classifier(net.dropout(x, 0.5))
}

fn transformer(net: &NetworkBuilder) -> Logits {
    let x = net.convolution(6, 1).after(net.patches(net.input(), 2));
    let x = net.sum(x, net.convolution(6, 3).depthwise().after(x));
    let y = net.block().convolution(36, 1).after(net.layer_norm(x));
    let y = net.convolution(6, 1).after(net.attention(y, 3));
    let x = net.sum(y, x);
    let y = net.block().convolution(12, 1).after(net.layer_norm(x));
    let y = net.convolution(6, 1).after(net.gelu(y));
    // Patches in the middle of a network; a column is in none.
    let x = net.patches(net.sum(y, x), 2);
    let x = net.attention(net.layer_norm(x), 2);
    net.classifier(x)
}

pub(crate) fn network(define: Define, kernel: Kernel, density: f64) -> Network {
    let description = Description::build(SHAPE, CLASSES, define).unwrap();
    let mut network = Network::from_description(description, 11, kernel);
    if density < 1.0 {
        sparsify(&mut network, density, None, None);
    }
    shake(&mut network);
    network
}

#[test]
fn their_references_have_the_gradients_of_finite_differences() {
    for (name, define) in NETWORKS {
        let (mut network, samples) = (network(define, Kernel::PORTABLE, 0.7), samples(3, SHAPE, CLASSES));
        network.freeze(1);
        let norms = Norms::Batch;
        let base = model(name, &network, &samples, 4, norms, &Overrides::new());
        let gradients = base.reference.gradients(base.loss);
        for (stream, (parameter, id)) in base.parameters.iter().enumerate() {
            check_differences(name, &network, &samples, norms, &base, parameter, &gradients[*id], stream);
        }
    }
}

#[test]
fn they_have_the_gradients_of_their_references() {
    for (name, define) in NETWORKS {
        for (density, count) in [(1.0, 5), (0.4, 11), (0.7, 17)] {
            let mut network = network(define, Kernel::PORTABLE, density);
            for frozen in sets_of(network.architecture().blocks.len()) {
                network.freeze(frozen);
                compare(name, &network, &samples(count, SHAPE, CLASSES), 40);
            }
        }
    }
}

#[test]
fn their_gradients_differ_in_bf16_by_the_rounding_of_what_is_kept() {
    for (name, define) in NETWORKS {
        for kernel in Kernel::all() {
            let mut network = network(define, kernel, 0.5);
            let samples = samples(19, SHAPE, CLASSES);
            let exact: Vec<f64> = train(&network, &samples, 19).0.into_iter().map(f64::from).collect();
            network.set_storage(Storage::Bf16);
            let error = relative_error(&train(&network, &samples, 19).0, &exact);
            let bound = 4.0 * network.architecture().layers.len() as f64 / 256.0;
            assert!(error > 0.0 && error < bound, "{name} on {}: {error:.1e}", kernel.name());
        }
    }
}
