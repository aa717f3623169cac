//! The builder of networks and their JSON: what is built, what is refused and with which message.

use proptest::prelude::*;
use spfde_data::parameter::{Parameters, Value};
use spfde_model::{BuildError, Description, InputShape, Kernel, Logits, Network, NetworkBuilder, models};

use crate::support::{bits, describe, network, parameters, samples, sgd, train};

const SHAPE: InputShape = InputShape { channels: 3, height: 12, width: 11 };

fn build(define: impl FnOnce(&NetworkBuilder) -> Logits) -> Result<Description, BuildError> {
    Description::build(SHAPE, 4, define)
}

fn message(define: impl FnOnce(&NetworkBuilder) -> Logits) -> String {
    build(define).unwrap_err().to_string()
}

#[test]
fn a_short_definition_makes_the_layers_and_blocks_that_it_says() {
    let description = build(|net| {
        let x = net.convolution(8, 3).batch_norm().relu();
        let x = net.block().convolution(6, 5).stride(2).padding(1).relu().after(x);
        let head = net.block_named("head").linear(7).relu().named("hidden");
        net.classifier(head.after(net.max_pool(x)))
    })
    .unwrap();
    let architecture = description.architecture();
    assert_eq!(architecture.blocks, ["block0", "block1", "head"]);
    let layers: Vec<(&str, [usize; 4], u64)> = architecture
        .layers
        .iter()
        .map(|l| (l.name.as_str(), [l.outputs, l.inputs, l.kernel.0, l.block], l.positions))
        .collect();
    // Extents: 12x11 is kept; (12 + 2 - 5) / 2 + 1 = 5 rows, (11 + 2 - 5) / 2 + 1 = 5 columns; pooled to 2x2.
    assert_eq!(
        layers,
        [
            ("block0.convolution1", [8, 3, 3, 0], 132),
            ("block1.convolution1", [6, 8, 5, 1], 25),
            ("hidden", [7, 24, 1, 2], 1),
            ("classifier", [4, 7, 1, 3], 1),
        ]
    );
    let weights = 8 * 27 + 6 * 8 * 25 + 7 * 24 + 4 * 7;
    assert_eq!(parameters(&description), weights + 2 * 8 + 6 + 7 + 4);
    let network = Network::from_description(description, 1, Kernel::PORTABLE);
    let (part, scores) = train(&network, &samples(3, SHAPE, 4), 3);
    assert_eq!((network.check(&part), scores.len()), (Ok(()), 3));
}

#[test]
fn networks_survive_their_json_and_those_of_names_are_those_of_their_json() {
    for entry in models::registry() {
        let description = describe(entry.name, 1, SHAPE, 4);
        let Ok(description) = description else { continue };
        let read = Description::from_json(&description.to_json()).unwrap();
        assert_eq!(read, description);
        assert_eq!(read.architecture(), description.architecture());
        if !["mlp", "lenet5", "resnet20"].contains(&entry.name) {
            continue;
        }
        let mut read = Network::from_description(read, 11, Kernel::PORTABLE);
        let mut named = network(entry.name, SHAPE, 4, Kernel::PORTABLE);
        if entry.name == "mlp" || entry.name == "resnet20" {
            for network in [&mut read, &mut named] {
                let (part, _) = train(network, &samples(3, SHAPE, 4), 3);
                network.update(&part, &vec![0.1; network.architecture().blocks.len() + 1], &sgd(0.9, 0.0));
            }
        }
        assert!(bits(&read) == bits(&named), "{}", entry.name);
    }
}

#[test]
fn a_registered_model_builds_like_those_that_are_built_in() {
    let small = models::ModelEntry::new("small", "a small one", Vec::new, |_, net| {
        let x = net.convolution(4, 7).padding(0).relu();
        net.classifier(net.average_pool(x))
    });
    let rate = |entry: &models::ModelEntry| {
        let keys = entry.keys();
        keys.into_iter().find(|key| key.key == "train.learning_rate").expect("every model has it").default
    };
    assert_eq!(rate(&small), Value::Number(models::LEARNING_RATE));
    assert_eq!(rate(&small.clone().with_learning_rate(0.2)), Value::Number(0.2));
    let parameters = Parameters::defaults(&(small.parameters)());
    assert_eq!((small.build)(&parameters, SHAPE, 4).unwrap().architecture().layers.len(), 2);
    let tiny = InputShape { height: 6, ..SHAPE };
    assert_eq!(
        (small.build)(&parameters, tiny, 4).unwrap_err().to_string(),
        "`model.name`: `small` cannot be built for images of 3x6x11: convolution `block0.convolution1`: an \
         input of 3x6x11 has no room for a window of 7x7 pixels"
    );
}

#[test]
fn every_misuse_is_refused_and_says_where_and_why() {
    let end = |net: &NetworkBuilder| {
        let x = net.convolution(4, 3);
        net.classifier(x)
    };
    let of =
        |shape: InputShape, classes: usize| Description::build(shape, classes, end).unwrap_err().to_string();
    assert_eq!(of(InputShape { width: 0, ..SHAPE }, 4), "the network: columns is 0, expected 1 to 65536");
    assert_eq!(of(SHAPE, 0), "the network: classes is 0, expected 1 to 65536");
    let wide = InputShape { channels: 65536, height: 65536, width: 65536 };
    assert!(of(wide, 4).starts_with("the network: numbers of a sample is 281474976710656, expected 1 to"));

    let first = "convolution `block0.convolution1`";
    assert_eq!(
        message(|net| {
            let x = net.convolution(4, 3);
            let y = net.convolution(5, 3).after(net.input());
            net.classifier(net.add(x, y))
        }),
        "addition (operation 2): its terms have the shapes 4x12x11 and 5x12x11, expected the same"
    );
    let vanishing = message(|net| {
        let mut x = net.convolution(4, 3);
        for _ in 0..4 {
            x = net.max_pool(x);
        }
        net.classifier(x)
    });
    assert_eq!(
        vanishing,
        "max pooling (operation 4): an input of 4x1x1 has no room for a window of 2x2 pixels"
    );
    let kernel = message(|net| net.classifier(net.convolution(4, 4)));
    assert_eq!(kernel, format!("{first}: kernel is 4, expected 1, 3, 5 or 7"));
    let stride = message(|net| net.classifier(net.convolution(4, 3).stride(3)));
    assert_eq!(stride, format!("{first}: stride is 3, expected 1 to 2"));
    let padding = message(|net| net.classifier(net.convolution(4, 3).padding(2)));
    assert_eq!(padding, format!("{first}: padding is 2, expected 0 to 1"));
    let groups = message(|net| net.classifier(net.convolution(4, 3).groups(2)));
    let reason = "groups is 2, which does not divide 3 input and 4 output channels";
    assert_eq!(groups, format!("{first}: {reason}"));
    let none = message(|net| net.classifier(net.convolution(0, 3)));
    assert_eq!(none, format!("{first}: channels is 0, expected 1 to 65536"));
    assert_eq!(
        message(|net| net.classifier(net.input())),
        "the network: a network has at least one block of layers before its classifier"
    );
    let later = message(|net| {
        let x = net.convolution(4, 3);
        let y = net.convolution(4, 3);
        x.after(y);
        net.classifier(y)
    });
    let second = "convolution `block0.convolution2`";
    assert_eq!(later, format!("{second}: it reads value 2, which is not among the 1 values made before it"));
    let many = message(|net| {
        for _ in 0..70_000 {
            net.block().linear(1);
        }
        net.classifier(net.linear(1))
    });
    assert_eq!(many, "the network: operations is 70002, expected 1 to 4096");
    let large = message(|net| {
        net.convolution(65536, 1);
        net.classifier(net.linear(65536))
    });
    let weights = 65536_u64 * 65536 * 132;
    assert_eq!(large, format!("linear `block0.linear1`: weights is {weights}, expected 1 to 4294967295"));
}

#[test]
fn what_the_kernels_cannot_compute_is_refused() {
    let unsupported = |reason: &str, define: &dyn Fn(&NetworkBuilder) -> Logits| {
        let found = message(define);
        assert!(found.ends_with(reason), "{found}");
    };
    unsupported("max pooling (operation 1): ReLU follows layers and additions only", &|net| {
        net.classifier(net.max_pool(net.convolution(4, 3)).relu())
    });
    unsupported("the input: ReLU follows layers and additions only", &|net| {
        net.classifier(net.convolution(4, 3).after(net.input().relu()))
    });
    unsupported("only a convolution has batch norm", &|net| net.classifier(net.linear(4).batch_norm()));
    unsupported("it joins a value with itself", &|net| {
        let x = net.convolution(4, 3);
        net.classifier(net.concatenate(&[x, x]))
    });
    unsupported("it joins 3x12x11, 4x6x5, expected the same rows and columns", &|net| {
        let x = net.convolution(4, 3).relu();
        net.classifier(net.concatenate(&[net.input(), net.max_pool(x)]))
    });
    for share in [1.0, -0.1, f64::NAN] {
        unsupported("the share that it drops is not from 0 to below 1", &|net| {
            let x = net.convolution(4, 3);
            net.classifier(net.dropout(x, share))
        });
    }
    unsupported("only a convolution has groups", &|net| net.classifier(net.linear(4).depthwise()));
    unsupported("only a convolution has a stride", &|net| net.classifier(net.linear(4).stride(1)));
    unsupported("nothing else may read what a pooling reads", &|net| {
        let x = net.convolution(4, 3);
        net.average_pool(x);
        let y = net.convolution(4, 1);
        let z = net.convolution(4, 1).after(x);
        net.classifier(net.add(y, net.average_pool(z)))
    });
    unsupported("nothing reads its output", &|net| {
        let x = net.convolution(4, 3);
        net.convolution(4, 3).after(x);
        net.classifier(x)
    });
    unsupported("its first term must be a layer without ReLU", &|net| {
        let x = net.convolution(4, 3).relu();
        net.classifier(net.add(x, net.convolution(4, 3)))
    });
    unsupported("a term without ReLU must have no other reader", &|net| {
        let x = net.convolution(4, 3);
        net.classifier(net.add(x, net.convolution(4, 3).after(x)))
    });
    unsupported("a term without ReLU must have no other reader", &|net| {
        let x = net.convolution(4, 3);
        net.classifier(net.add(x, x))
    });
    unsupported("every block has a layer", &|net| {
        let x = net.convolution(4, 3);
        net.block();
        net.classifier(net.max_pool(x))
    });
    unsupported("every layer has a name of its own", &|net| {
        net.convolution(4, 3).named("a");
        net.classifier(net.linear(4).named("a"))
    });
    unsupported("a network ends with its only classifier", &|net| {
        let x = net.convolution(4, 3);
        let _ = net.classifier(x);
        net.classifier(x)
    });
}

#[test]
fn hostile_json_is_refused() {
    let json = build(|net| {
        let x = net.convolution(4, 3).relu();
        let y = net.convolution(4, 3).batch_norm();
        net.classifier(net.average_pool(net.add(y, x)))
    })
    .unwrap()
    .to_json();
    let with = |from: &str, to: &str| {
        assert!(json.contains(from), "{json}");
        Description::from_json(&json.replacen(from, to, 1)).unwrap_err().to_string()
    };
    assert!(with("\"classes\": 4", "\"classes\": 18446744073709551615").contains("classes is 1844"));
    assert!(with("\"classes\": 4", "\"classes\": -4").contains("cannot be read: invalid value"));
    assert!(with("\"height\": 12", "\"height\": 18446744073709551615").contains("rows is 1844"));
    assert!(with("\"channels\": 4", "\"channels\": 18446744073709551615").contains("channels is 1844"));
    assert!(with("\"kernel\": 3", "\"kernel\": 18446744073709551615").contains("kernel is 1844"));
    assert!(with("\"padding\": 1", "\"padding\": 18446744073709551615").contains("padding is 1844"));
    assert!(with("\"block\": 0", "\"block\": 18446744073709551615").contains("belongs to a block"));
    assert!(with("\"block\": 0", "\"block\": 1").contains("belongs to a block"));
    assert!(with("\"classes\": 4", "\"classes\": 4, \"more\": 1").contains("unknown field `more`"));
    let reads = json.replace(char::is_whitespace, "").replacen("\"reads\":[1]", "\"reads\":[184467]", 1);
    assert!(Description::from_json(&reads).unwrap_err().to_string().contains("it reads value 184467"));
    let reads = json.replace(char::is_whitespace, "").replacen("\"reads\":[1]", "\"reads\":[]", 1);
    assert!(Description::from_json(&reads).unwrap_err().to_string().contains("reads two values"));
    for text in ["", "{}", "[]", "null", &json[..json.len() / 2], &"[".repeat(100_000)] {
        let error = Description::from_json(text).unwrap_err().to_string();
        assert!(error.starts_with("the description of the network: it cannot be read: "), "{error}");
    }
}

proptest! {
    /// Whatever the numbers in it, JSON is read or refused; what is read trains.
    #[test]
    fn networks_of_random_operations_are_refused_or_have_finite_gradients(
        steps in proptest::collection::vec(
            (0..12_usize, 0..6_usize, 0..6_usize, 0..3_usize, any::<bool>()), 1..7,
        ),
    ) {
        let description = build(|net| {
            let mut nodes = vec![net.input()];
            for (kind, a, b, size, flag) in &steps {
                let (first, second) = (nodes[a % nodes.len()], nodes[b % nodes.len()]);
                let node = match kind {
                    0 => net.convolution(3, 2 * size + 1).stride(1 + usize::from(*flag)).after(first).relu(),
                    1 => net.convolution(3, 2 * size + 1).batch_norm().after(first),
                    2 => net.add(first, second),
                    3 if *flag => net.max_pool(first),
                    3 => net.average_pool(first),
                    4 if *flag => net.wide_max_pool(first),
                    4 => net.convolution(3, 2 * size + 1).depthwise().batch_norm().relu().after(first),
                    6 if *flag => net.gelu(first),
                    6 => net.dropout(first, 0.25 * *size as f64),
                    7 => net.concatenate(&[first, second]),
                    8 if *flag => net.layer_norm(first),
                    8 => net.sum(first, second),
                    9 => net.patches(first, 1 + size),
                    10 => net.attention(first, 1),
                    5 => net.convolution(6, 3).groups(3).stride(2).after(first),
                    _ => net.block().linear(3).relu().after(first),
                };
                nodes.push(node);
            }
            net.classifier(*nodes.last().unwrap())
        });
        if let Ok(description) = description {
            let mut network = Network::from_description(description, 3, Kernel::PORTABLE);
            for frozen in 0..=network.architecture().blocks.len() {
                network.freeze(frozen);
                let (part, _) = train(&network, &samples(9, SHAPE, 4), 9);
                prop_assert_eq!(network.check(&part), Ok(()));
            }
        }
    }
}
