//! What can be read without training: the schedule, notes, the list.

use spfde::configuration::{Configuration, Source, bench, core, families};
use spfde_data::files::data_set;

use crate::place::Place;

#[test]
fn a_dry_run_prints_configuration_and_schedule_and_creates_nothing() {
    let place = Place::with_data();
    let words = ["data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "train.epochs=6", "seed=7"];
    let dry = place.run(&[&["train", "--dry-run"], &words[..]].concat()).done();
    assert_eq!(dry.err, "");
    assert_eq!(place.names(), ["data", "idx"]);
    let (config, schedule) = dry.out.split_at(dry.out.find("\nlayer ").unwrap());
    let parsed = Source::parse_file("config.toml", config).unwrap();
    let given = Source::from_words(&words.map(str::to_owned)).unwrap();
    let [parsed, given] =
        [parsed, given].map(|source| Configuration::resolve(source.entries()).unwrap().values().clone());
    for (key, value) in given.iter().filter(|(key, _)| *key != "train.kernel") {
        assert_eq!(parsed.get(key), Some(value), "{key}");
    }
    for part in ["convolution1", "linear2", "forward FLOPs", "activation bytes", "freezing saves"] {
        assert!(schedule.contains(part), "{part} in {schedule}");
    }
    // The printed configuration is a configuration file.
    std::fs::write(place.path("printed.toml"), config).unwrap();
    let again = place.run(&["train", "--dry-run", "printed.toml"]).done();
    assert_eq!(again.out, dry.out);
}

#[test]
fn a_key_that_the_chosen_policy_does_not_use_is_noted() {
    let place = Place::with_data();
    let words =
        ["train", "--dry-run", "data.path=data", "model.name=mlp", "mask.policy=dense", "mask.soft=0.5"];
    let outcome = place.run(&words).done();
    let note = "note: `mask.soft` has no effect: mask.policy = \"dense\" does not use it\n";
    assert!(outcome.err.contains(note), "{}", outcome.err);
}

#[test]
fn the_list_names_everything_that_can_be_chosen() {
    let place = Place::new();
    let all = place.run(&["list"]).done().out;
    for parameter in core().into_iter().chain(bench()) {
        assert!(all.contains(parameter.key), "{}", parameter.key);
    }
    for family in families() {
        let one = place.run(&["list", family.name]).done().out;
        for member in &family.members {
            for text in [&all, &one] {
                assert!(text.contains(member.name) && text.contains(member.summary), "{}", member.name);
                assert!(member.parameters.iter().all(|parameter| text.contains(parameter.key)));
            }
        }
        assert!(!one.contains("data.batch_size"), "only what was asked for");
    }
    for entry in data_set::registry() {
        assert!(all.contains(entry.name) && all.contains(entry.licence), "{}", entry.name);
    }
    assert_eq!(place.run(&["list", "nonsense"]).code, Some(2));
}
