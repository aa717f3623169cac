//! The model `layers`: a network that a configuration describes, a list of tables under `model.layers`.

use std::sync::Arc;

use spfde_data::{Parameter, ParameterError, Parameters};
use spfde_model::models::{LEARNING_RATE, ModelEntry};
use spfde_model::{Description, InputShape};

mod assembly;

use assembly::Assembly;

/// The key that holds the list.
pub(crate) const KEY: &str = "model.layers";

/// The model's name.
pub(crate) const NAME: &str = "layers";

/// Tables of a list, at most.
const MOST: usize = 4096;

/// The model.
pub(crate) fn entry() -> ModelEntry {
    let parameters = || {
        let help =
            "the network, a table for each operation: [{ convolution = 32, kernel = 3 }, …, { linear = 10 }]";
        vec![Parameter::of(KEY, String::new(), .., help)]
    };
    ModelEntry {
        name: NAME,
        summary: "the network that model.layers describes; the page `networks` of the guide has its grammar",
        parameters,
        learning_rate: LEARNING_RATE,
        build: Arc::new(build),
    }
}

/// The list that a text holds, as it is kept: in one line.
///
/// # Errors
/// If it holds none.
pub(crate) fn canonical(text: &str) -> Result<String, ParameterError> {
    Ok(toml::Value::Array(tables(text)?.into_iter().map(toml::Value::Table).collect()).to_string())
}

/// The list, a line for each table; `None` if the text holds none.
pub(crate) fn in_lines(text: &str) -> Option<String> {
    let lines = tables(text).ok().filter(|tables| !tables.is_empty())?;
    let lines = lines.into_iter().map(|table| format!("    {},\n", toml::Value::Table(table)));
    Some(format!("[\n{}]", lines.collect::<String>()))
}

/// Reads the list.
fn tables(text: &str) -> Result<Vec<toml::Table>, ParameterError> {
    if text.is_empty() {
        return Ok(vec![]);
    }
    let read = format!("list = {text}").parse::<toml::Table>();
    let list = read.map_err(|error| refused(format!("it is no list of tables: {}", error.message())))?;
    let Some(toml::Value::Array(list)) = list.get("list").filter(|_| list.len() == 1) else {
        return Err(refused("it is no list of tables, such as [{ convolution = 32, kernel = 3 }]"));
    };
    if list.len() > MOST {
        return Err(refused(format!("it has {} tables; {MOST} at most", list.len())));
    }
    let table = |(number, value): (usize, &toml::Value)| match value {
        toml::Value::Table(table) => Ok(table.clone()),
        value => {
            Err(refused(format!("layer {}, {value}, is no table, such as {{ relu = true }}", number + 1)))
        }
    };
    list.iter().enumerate().map(table).collect()
}

/// The network for images of a shape.
fn build(parameters: &Parameters, input: InputShape, classes: usize) -> Result<Description, ParameterError> {
    let tables = tables(parameters.text(KEY))?;
    // The table of each operation, and the first mistake.
    let (mut origins, mut wrong) = (vec![], None);
    let built = Description::build(input, classes, |network| {
        let mut assembly = Assembly::new(network);
        let logits = assembly.read(&tables);
        origins = std::mem::take(&mut assembly.origins);
        logits.unwrap_or_else(|mistake| {
            wrong = Some(mistake);
            network.classifier(network.input())
        })
    });
    let at = |table: usize, problem: &str| {
        let written = tables.get(table).map(|table| toml::Value::Table(table.clone()).to_string());
        refused(format!("layer {} {}: {problem}", table + 1, written.unwrap_or_default()))
    };
    match (wrong, built) {
        (Some((Some(table), problem)), _) => Err(at(table, &problem)),
        (Some((None, problem)), _) => Err(refused(problem)),
        (None, Ok(description)) => Ok(description),
        (None, Err(error)) => Err(match error.operation.and_then(|operation| origins.get(operation)) {
            Some(table) => at(*table, &error.problem),
            None => refused(error.to_string()),
        }),
    }
}

fn refused(reason: impl Into<String>) -> ParameterError {
    ParameterError::contradiction(KEY, reason.into())
}

#[cfg(test)]
mod tests;
