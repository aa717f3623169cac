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
            let shared = shared(family.members.iter().map(|member| &member.parameters[..]));
            if self.family.is_some() {
                let table = format!("{}.", family.name);
                let of_run = core(registry).into_iter();
                let of_run = of_run.filter(|own| own.key.starts_with(&table) && own.key != family.choice.key);
                let of_run: Vec<Parameter> = of_run.collect();
                if !of_run.is_empty() {
                    entry("of every run", "keys that do not depend on the choice");
                    of_run.iter().for_each(parameter);
                }
            }
            if !shared.is_empty() {
                entry("of several", "keys that these share; below only by their names");
                for own in &shared {
                    // With another default it is another entry.
                    let is_one = shared.iter().filter(|other| other.key == own.key).count() == 1;
                    let having =
                        family.members.iter().filter(|member| !is_one && member.parameters.contains(own));
                    let having: Vec<&str> = having.map(|member| &*member.name).collect();
                    parameter_of(own, &having);
                }
            }
            for member in &family.members {
                entry(&member.name, &member.summary);
                let (also, own): (Vec<_>, Vec<_>) =
                    member.parameters.iter().partition(|own| shared.contains(own));
                own.into_iter().for_each(parameter);
                if !also.is_empty() {
                    let names: Vec<&str> = also.iter().map(|parameter| parameter.key).collect();
                    say_entry("    also: ", names.join(", "));
                }
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

/// The parameters that three members at least declare alike, in the order in which they first come.
fn shared<'a>(members: impl Iterator<Item = &'a [Parameter]> + Clone) -> Vec<&'a Parameter> {
    let mut shared: Vec<&Parameter> = Vec::new();
    for parameter in members.clone().flatten() {
        let uses = members.clone().filter(|member| member.contains(parameter)).count();
        if uses >= 3 && !shared.contains(&parameter) {
            shared.push(parameter);
        }
    }
    shared
}

fn entry(name: &str, summary: &str) {
    say_entry(&format!("  {name:<16} "), summary);
}

fn parameter(parameter: &Parameter) {
    parameter_of(parameter, &[]);
}

/// A key that only these members have so, if any are named.
fn parameter_of(parameter: &Parameter, members: &[&str]) {
    let Parameter { key, default, range, help, .. } = parameter;
    let head = format!("    {key:<26} {default:<14} ", default = default.to_string());
    let names = if members.is_empty() { String::new() } else { format!("; of {}", members.join(", ")) };
    say_entry(&head, format_args!("{help} ({range}){names}"));
}
