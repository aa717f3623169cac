//! `spfde list`: what there is to choose from.

use clap::Args;
use spfde_data::{Parameter, Value};

use crate::App;
use crate::configuration::{bench, core};
use crate::terminal::{say, say_entry};

/// List models, policies, data sets and keys, with their defaults and ranges.
#[derive(Args, Debug)]
pub(super) struct List {
    /// One family only
    #[arg(value_parser = ["model", "mask", "freeze", "sieve", "data", "keys"])]
    family: Option<String>,
}

impl List {
    /// Prints the list.
    pub(super) fn run(self, app: &App) {
        let registry = &app.registry;
        let wanted = |name: &str| self.family.as_deref().is_none_or(|family| family == name);
        if wanted("keys") {
            say("keys of every run");
            core(registry).iter().for_each(parameter);
            // Each model has a default of its own.
            if let Some(rate) = registry.models.first().and_then(|entry| entry.keys().pop()) {
                parameter(&Parameter { default: Value::Text("the model's".to_owned()), ..rate });
            }
            say("");
            say("keys of `spfde bench` alone");
            bench().iter().for_each(parameter);
            say("");
        }
        for family in registry.families().into_iter().filter(|family| wanted(family.name)) {
            say(format!("{} ({} = …)", family.name, family.choice.key));
            for member in family.members {
                entry(&member.name, &member.summary);
                member.parameters.iter().for_each(parameter);
            }
            say("");
        }
        if wanted("data") {
            say("data (data.path = …)");
            for data in &registry.data {
                entry(&data.name, &data.summary);
                if !data.licence.is_empty() {
                    entry("", &data.licence);
                }
            }
            let by_hand = "train.parquet and test.parquet, from `spfde import` or written by hand, varied as \
                           `spfde import --augment` said, or not at all";
            entry("a directory", by_hand);
        }
    }
}

fn entry(name: &str, summary: &str) {
    say_entry(&format!("  {name:<16} "), summary);
}

fn parameter(parameter: &Parameter) {
    let Parameter { key, default, range, help, .. } = parameter;
    let head = format!("    {key:<26} {default:<14} ", default = default.to_string());
    say_entry(&head, format_args!("{help} ({range})"));
}
