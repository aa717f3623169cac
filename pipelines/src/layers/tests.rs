use std::sync::Arc;

use spfde_data::Value;

use super::*;
use crate::{Configuration, Registry, Source};

const SHAPE: InputShape = InputShape { channels: 1, height: 28, width: 28 };

/// The network that a file describes, for images of [`SHAPE`] in 10 classes.
fn built(text: &str) -> Result<Description, String> {
    let source = Source::parse_file("a.toml", text).map_err(|error| error.to_string())?;
    let configuration = Configuration::resolve(source.entries()).map_err(|error| error.to_string())?;
    configuration.registry().describe(configuration.values(), SHAPE, 10).map_err(|error| error.to_string())
}

fn refusal(layers: &str) -> String {
    built(&format!("[model]\nlayers = [{layers}]")).unwrap_err()
}

/// The example in Rust.
fn own(net: &spfde_model::NetworkBuilder) -> spfde_model::Logits {
    let mut x = net.convolution(16, 3).batch_norm().relu();
    for (channels, number) in [(32, 1), (64, 2)] {
        net.block();
        let main = net.convolution(channels / 2, 3).depthwise().stride(2).batch_norm().relu().after(x);
        let main = net.convolution(channels, 1).batch_norm().after(main).named(format!("main{number}"));
        let shortcut = net.convolution(channels, 1).stride(2).batch_norm().after(x);
        x = net.add(shortcut, main);
    }
    net.classifier(net.average_pool(x))
}

#[test]
fn the_example_is_the_network_of_the_builder() {
    let described = built(include_str!("../../examples/network.toml")).unwrap();
    assert_eq!(described, Description::build(SHAPE, 10, own).unwrap());
}

/// The list of the next test.
fn all_words(net: &spfde_model::NetworkBuilder) -> spfde_model::Logits {
    let x = net.convolution(4, 5).stride(2).padding(0).relu().named("a");
    let pooled = net.wide_max_pool(x);
    net.block_named("second");
    let x = net.convolution(8, 3).groups(2).batch_norm().after(pooled).named("grouped");
    let y = net.convolution(4, 3).depthwise().after(pooled);
    let y = net.convolution(8, 1).named("wide").after(y);
    let x = net.add(y, x);
    let x = net.max_pool(x);
    net.block_named("third");
    let y = net.convolution(12, 1).named("all").after(net.layer_norm(net.patches(x, 2)));
    let x = net.sum(net.attention(y, 2), net.convolution(4, 1).named("side").after(y));
    let x = net.linear(7).relu().named("flat").after(x);
    let y = net.convolution(3, 1).named("raw").after(net.input());
    let y = net.dropout(net.average_pool(net.concatenate(&[y, net.gelu(y)])), 0.25);
    let y = net.linear(7).after(y);
    net.classifier(net.add(y, x))
}

#[test]
fn every_word_and_option_of_the_guide_builds_the_operation_that_it_names() {
    let described = built(
        r#"[model]
layers = [
    { convolution = 4, kernel = 5, stride = 2, padding = 0, name = "a" }, { relu = true },
    { wide_max_pool = true, name = "pooled" },
    { block = "second" },
    { convolution = 8, kernel = 3, groups = 2, name = "grouped" }, { batch_norm = true },
    { convolution = 4, kernel = 3, depthwise = true, after = "pooled" },
    { convolution = 8, kernel = 1, name = "wide" },
    { add = "grouped" },
    { max_pool = true },
    { block = "third" },
    { patches = 2 },
    { layer_norm = true },
    { convolution = 12, kernel = 1, name = "all" },
    { attention = 2, name = "attended" },
    { convolution = 4, kernel = 1, after = "all", name = "side" },
    { sum = "side", after = "attended" },
    { linear = 7, name = "flat" }, { relu = true },
    { convolution = 3, kernel = 1, after = "input", name = "raw" },
    { gelu = true, name = "smooth" },
    { concatenate = ["raw", "smooth"] },
    { average_pool = true },
    { dropout = 0.25 },
    { linear = 7 },
    { add = "flat" },
    { linear = 10 },
]"#,
    );
    let expected = Description::build(SHAPE, 10, all_words).unwrap();
    assert_eq!(described.unwrap(), expected);
}

#[test]
fn a_list_comes_back_from_the_configuration_that_records_it() {
    let file = include_str!("../../examples/network.toml");
    let source = Source::parse_file("a.toml", file).unwrap();
    let first = Configuration::resolve(source.entries()).unwrap();
    assert_eq!(first.values().text("model.name"), NAME);
    let written = first.to_toml();
    assert!(written.contains("\nlayers = [\n    { "), "{written}");
    let read = Source::parse_file("config.toml", &written).unwrap();
    let again = Configuration::resolve(read.entries()).unwrap();
    assert_eq!((again.values(), again.to_toml()), (first.values(), written));
    // As a word of the command line.
    let text = first.values().text(KEY).to_owned();
    let words = Source::from_words(&[format!("model.layers={text}")]).unwrap();
    let word = Configuration::resolve(words.entries()).unwrap();
    assert_eq!(word.values().get(KEY), Some(&Value::Text(text)));
    assert_eq!(word.values().text("model.name"), NAME);
}

#[test]
fn a_named_model_wins_and_says_that_the_list_has_no_effect() {
    let words = ["model.name=mlp", "model.layers=[{ linear = 10 }]"].map(str::to_owned);
    let source = Source::from_words(&words).unwrap();
    let configuration = Configuration::resolve(source.entries()).unwrap();
    let note = "`model.layers` has no effect: model.name = \"mlp\" does not use it";
    assert_eq!(configuration.notes(), [note]);
    let none = Configuration::resolve_over(
        &Arc::new(Registry::default()),
        &[],
        &[("model.name".to_owned(), Value::Text(NAME.to_owned()))],
    );
    let none = none.unwrap();
    let error = none.registry().describe(none.values(), SHAPE, 10).unwrap_err().to_string();
    assert!(error.starts_with("`model.layers`: it is empty; it takes a list of tables"), "{error}");
}

#[test]
fn every_mistake_names_the_layer_and_what_would_be_right() {
    let convolution = "{ convolution = 8, kernel = 3 }";
    let cases = [
        (
            "{ convolution = 8 }, { linear = 10 }",
            "layer 1 { convolution = 8 }: it lacks a kernel, such as kernel = 3",
        ),
        (
            "{ convolution = 8, kernal = 3 }, { linear = 10 }",
            "kernal is no option of convolution; did you mean kernel?",
        ),
        (
            "{ convolution = -1, kernel = 3 }, { linear = 10 }",
            "convolution = -1 is no whole number from 0 on",
        ),
        ("{ convolution = 8, kernel = 4 }, { linear = 10 }", "kernel is 4, expected 1, 3, 5 or 7"),
        (
            "{ convolution = 8, kernel = 3, groups = 8, depthwise = true }, { linear = 10 }",
            "depthwise says how many groups there are",
        ),
        (
            "{ conv = 8 }, { linear = 10 }",
            "layer 1 { conv = 8 }: it says none of convolution, linear, batch_norm, relu, ",
        ),
        ("{ linear = 8, relu = true }, { linear = 10 }", "it says both linear and relu: write two tables"),
        (
            "{ linear = 8 }, { batch_norm = true }, { linear = 10 }",
            "layer 2 { batch_norm = true }: it follows a table with convolution",
        ),
        (
            "{ linear = 8 }, { relu = false }, { linear = 10 }",
            "relu = false; write relu = true, or leave it out",
        ),
        (
            "{ linear = 8 }, { add = \"b7\" }, { linear = 10 }",
            "layer 2 { add = \"b7\" }: nothing before it is called \"b7\"; there are input",
        ),
        (
            "{ linear = 8, name = \"a\" }, { linear = 8, name = \"a\" }, { linear = 10 }",
            "something before it is called \"a\", too",
        ),
        (
            "{ linear = 8 }, { block = \"block0\" }, { linear = 10 }",
            "something before it is called \"block0\", too",
        ),
        (
            "{ linear = 8 }, { linear = 9 }",
            "layer 2 { linear = 9 }: the last layer has 9 outputs, the data 10 classes",
        ),
        (
            "{ linear = 8 }, { relu = true }",
            "layer 2 { relu = true }: the last layer is the classifier, linear = 10",
        ),
        (
            "{ linear = 8, name = \"a\" }, { concatenate = [\"a\"] }, { linear = 10 }",
            "layer 2 { concatenate = [\"a\"] }: values that it joins is 1, expected 2 to 64",
        ),
        ("{ linear = 8 }, { concatenate = [7] }, { linear = 10 }", "7 is no name"),
        (
            "{ linear = 8 }, { dropout = 1.5 }, { linear = 10 }",
            "the share that it drops is not from 0 to below 1",
        ),
        ("{ linear = 8 }, { dropout = true }, { linear = 10 }", "dropout is a share such as 0.1"),
        ("{ linear = 8 }, 7", "layer 2, 7, is no table, such as { relu = true }"),
        ("{ linear = 10 }", "a network has at least one block of layers before its classifier"),
    ];
    for (layers, expected) in cases {
        let error = refusal(layers);
        assert!(error.starts_with("`model.layers`: ") && error.contains(expected), "{layers}: {error}");
    }
    let shapes = format!(
        "{convolution}, {{ convolution = 16, kernel = 3, stride = 2 }}, {{ block = \"b\" }}, \
                          {{ convolution = 8, kernel = 3 }}, {{ add = \"block0\" }}, {{ linear = 10 }}"
    );
    assert_eq!(
        refusal(&shapes),
        "`model.layers`: layer 5 { add = \"block0\" }: its terms have the shapes 8x14x14 and 16x14x14, \
         expected the same"
    );
    let word = Source::from_words(&["model.layers=[{ linear = 8 }".to_owned()]).unwrap();
    let error = Configuration::resolve(word.entries()).unwrap_err().to_string();
    assert!(error.starts_with("`model.layers`: it is no list of tables: "), "{error}");
}
