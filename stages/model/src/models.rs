//! The models by name.

use spfde_data::parameter::{Near, Parameter, ParameterError, Parameters, Range, Value, nearest};

use crate::description::{Description, InputShape};

mod lenet5;
mod mlp;
mod resnet;

/// A model that can be built by name.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// The parameters that it reads.
    pub parameters: fn() -> Vec<Parameter>,
    /// Builds it for inputs of a shape and a number of classes.
    ///
    /// # Errors
    /// If the inputs are too small for it.
    pub build: fn(&Parameters, InputShape, usize) -> Result<Description, ParameterError>,
}

/// Every model.
pub fn registry() -> &'static [ModelEntry] {
    &[mlp::ENTRY, lenet5::ENTRY, resnet::RESNET20, resnet::RESNET32, resnet::RESNET56]
}

/// The model called `name`.
///
/// # Errors
/// If there is none; the error names the nearest.
pub fn find(name: &str) -> Result<&'static ModelEntry, ParameterError> {
    let names = || registry().iter().map(|entry| entry.name);
    registry().iter().find(|entry| entry.name == name).ok_or_else(|| ParameterError::Range {
        key: "model.name".into(),
        value: Value::Text(name.into()),
        range: Range::Choice(names().collect()).to_string(),
        near: Near(nearest(name, names())),
    })
}

/// The parameters of all models, each key once.
pub fn parameters() -> Vec<Parameter> {
    let mut all: Vec<Parameter> = vec![];
    for parameter in registry().iter().flat_map(|entry| (entry.parameters)()) {
        if all.iter().all(|known| known.key != parameter.key) {
            all.push(parameter);
        }
    }
    all
}

/// The parameter that every model has.
fn width() -> Vec<Parameter> {
    vec![Parameter::integer(
        "model.width",
        1,
        1,
        16,
        "multiplies the channels or hidden features of every layer",
    )]
}

/// Refuses inputs with fewer than `pixels` rows or columns.
fn at_least(model: &str, input: InputShape, pixels: usize) -> Result<(), ParameterError> {
    if input.channels == 0 || input.height < pixels || input.width < pixels {
        let InputShape { channels, height, width } = input;
        let reason = format!(
            "`{model}` needs images of at least {pixels}x{pixels} pixels, the data has {channels}x{height}x{width}"
        );
        return Err(ParameterError::contradiction("model.name", reason));
    }
    Ok(())
}
