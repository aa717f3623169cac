//! `spfde list`: what there is to choose from.

use clap::Args;
use spfde_data::parameter::{Parameter, Value};

use crate::app::App;
use crate::configuration::{bench, core};
use crate::terminal::say;

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
                say(format!("  {:<16} {}", member.name, member.summary));
                member.parameters.iter().for_each(parameter);
            }
            say("");
        }
        if wanted("data") {
            say("data (data.path = …)");
            for entry in &registry.data {
                say(format!("  {:<16} {}", entry.name, entry.summary));
                if !entry.licence.is_empty() {
                    say(format!("  {:<16} {}", "", entry.licence));
                }
            }
            let by_hand = "train.parquet and test.parquet, from `spfde import` or written by hand, varied as";
            say(format!("  {:<16} {by_hand}", "a directory"));
            say(format!("  {:<16} {}", "", "`spfde import --augment` said, or not at all"));
        }
    }
}

fn parameter(parameter: &Parameter) {
    let Parameter { key, default, range, help, .. } = parameter;
    say(format!("    {key:<26} {default:<14} {help} ({range})", default = default.to_string()));
}
