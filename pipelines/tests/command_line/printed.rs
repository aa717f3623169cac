//! What can be read without training: the schedule, notes, the list.

use spfde::configuration::{Configuration, Source, bench, core};
use spfde::registry::Registry;

use crate::place::{Outcome, Place};

#[test]
fn a_dry_run_prints_configuration_and_schedule_and_creates_nothing() {
    let place = Place::with_data();
    let words = ["data.path=data", "model.name=lenet5", "mask.sparsity=0.5", "train.epochs=6", "seed=7"];
    let dry = place.run(&[&["train", "--dry-run"], &words[..]].concat()).done();
    assert_eq!(dry.err, "");
    assert_eq!(place.names(), ["data", "idx"]);
    let (schedule, config) = dry.out.split_at(dry.out.find("\n# ").unwrap());
    let parsed = Source::parse_file("config.toml", config).unwrap();
    let given = Source::from_words(&words.map(str::to_owned)).unwrap();
    let [parsed, given] =
        [parsed, given].map(|source| Configuration::resolve(source.entries()).unwrap().values().clone());
    // What depends on the processor and on the data set is settled.
    let settled = |key: &&str| ["train.kernel", "data.augment", "data.order"].contains(key);
    for (key, value) in given.iter().filter(|(key, _)| !settled(key)) {
        assert_eq!(parsed.get(key), Some(value), "{key}");
    }
    assert_eq!((parsed.text("data.augment"), parsed.text("data.order")), ("none", "full"));
    for part in ["convolution1", "linear2", "forward FLOPs", "activation bytes", "freezing saves"] {
        assert!(schedule.contains(part), "{part} in {schedule}");
    }
    // The printed configuration is a configuration file.
    std::fs::write(place.path("printed.toml"), config).unwrap();
    let again = place.run(&["train", "--dry-run", "printed.toml"]).done();
    assert_eq!(again.out, dry.out);
}

#[test]
fn a_dry_run_states_the_memory_of_as_many_workers_as_there_will_be() {
    let place = Place::with_data();
    let peak = |more: &[&str]| -> [String; 2] {
        let words = ["train", "--dry-run", "data.path=data", "model.name=mlp", "mask.sparsity=0.5"];
        let out = place.run(&[&words[..], more].concat()).done().out;
        ["memory at the peak: ", "of each worker: "].map(|start| {
            let line = out.lines().find(|line| line.starts_with(start));
            line.unwrap_or_else(|| panic!("{out}")).to_owned()
        })
    };
    let ([one, of_one], [four, of_four]) = (peak(&["--workers", "1"]), peak(&["--workers", "4"]));
    assert!(
        one.contains(" bytes with 1 worker,") && four.contains(" bytes with 4 workers,"),
        "{one}; {four}"
    );
    let bytes = |line: &str| line.split(' ').nth(4).unwrap().to_owned();
    assert_ne!(bytes(&one), bytes(&four));
    // Each has the same network.
    assert_eq!(of_one, of_four);
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
fn policies_that_cannot_act_are_noted() {
    let place = Place::with_data();
    let notes = |words: &[&str]| {
        let words = [&["train", "--dry-run", "data.path=data", "model.name=mlp"], words].concat();
        place.run(&words).done().err
    };
    let freezing = |policy: &str, epochs: &str| notes(&[policy, epochs]);
    let note =
        "note: no block freezes: under `cka` none can before 6 epochs have passed; the run has 6 epochs\n";
    let shown = freezing("freeze.policy=cka", "train.epochs=6");
    assert!(shown.contains(note), "{shown}");
    let shown = freezing("freeze.policy=egeria", "train.epochs=10");
    assert!(shown.contains("under `egeria` none can before 10 epochs have passed"), "{shown}");
    for (policy, epochs) in [("cka", "7"), ("egeria", "11"), ("gradient-norm", "2")] {
        let shown = freezing(&format!("freeze.policy={policy}"), &format!("train.epochs={epochs}"));
        assert!(!shown.contains("no block freezes"), "{shown}");
    }
    let note = "note: no mask changes: mask.samples = 0 draws nothing that may grow\n";
    let shown = notes(&["mask.policy=gse", "mask.samples=0"]);
    assert!(shown.contains(note), "{shown}");
    // Of a layer that is half dense all absent weights may grow.
    for words in [["mask.samples=0", "mask.sparsity=0.4"], ["mask.samples=0.01", "mask.sparsity=0.9"]] {
        let shown = notes(&[&["mask.policy=gse"], &words[..]].concat());
        assert!(!shown.contains("no mask changes"), "{shown}");
    }
}

#[test]
fn the_list_names_everything_that_can_be_chosen() {
    let place = Place::new();
    let all = place.run(&["list"]).done().out;
    for parameter in core(&Registry::standard()).into_iter().chain(bench()) {
        assert!(all.contains(parameter.key), "{}", parameter.key);
    }
    for family in Registry::standard().families() {
        let one = place.run(&["list", family.name]).done().out;
        for member in &family.members {
            for text in [&all, &one] {
                assert!(text.contains(&member.name) && text.contains(&member.summary), "{}", member.name);
                assert!(member.parameters.iter().all(|parameter| text.contains(parameter.key)));
            }
        }
        assert!(!one.contains("data.batch_size"), "only what was asked for");
    }
    for entry in &Registry::standard().data {
        assert!(all.contains(&entry.name) && all.contains(&entry.licence), "{}", entry.name);
    }
    assert_eq!(place.run(&["list", "nonsense"]).code, Some(2));
}

#[test]
fn the_list_of_a_family_says_for_whom_a_default_is_and_has_the_keys_of_every_run() {
    let place = Place::new();
    let list = |family: &str| place.run(&["list", family]).done().out;
    let of = |listed: &str, key: &str| -> Vec<String> {
        let start = format!("    {key} ");
        listed.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
    };
    let intervals = of(&list("mask"), "mask.interval");
    let [often, seldom] = &intervals[..] else { panic!("{intervals:?}") };
    let (often, seldom) = if often.ends_with(", granet") { (often, seldom) } else { (seldom, often) };
    assert!(often.contains(" 1 ") && often.ends_with("; of deep-r, gmp, granet"), "{often}");
    assert!(seldom.contains(" 2 ") && seldom.contains("; of mest-em, mest-ems, set, "), "{seldom}");
    let rates = of(&list("model"), "train.learning_rate");
    assert!(rates.iter().filter(|rate| rate.contains("; of ")).count() >= 2, "{rates:?}");
    let freezing = list("freeze");
    for key in ["freeze.probe", "freeze.cache", "freeze.cache_bytes", "freeze.cache_variants"] {
        assert_eq!(of(&freezing, key).len(), 1, "{key} in {freezing}");
    }
}

/// A name that clears the screen, and one whose second line looks like a message.
const NAMES: [(&str, &str); 2] =
    [("run\u{1b}[2J\u{9b}31m", "run\\u001b[2J\\u009b31m"), ("run\nspfde: done", "run\\nspfde: done")];

/// Asserts that nothing printed does more on a terminal than begin a line.
fn assert_visible(outcome: &Outcome) {
    let printed = outcome.out.chars().chain(outcome.err.chars());
    assert!(printed.into_iter().all(|letter| letter == '\n' || !letter.is_control()), "{outcome:?}");
}

#[test]
fn control_characters_of_paths_keys_and_values_are_escaped() {
    let place = Place::new();
    for (name, escaped) in NAMES {
        let missing = place.run(&["verify", name]);
        missing.refused(1, &format!("{escaped}: there is nothing of that name"), "");
        let key = place.run(&["train", &format!("{name}=1")]);
        key.refused(2, &format!("unknown key `{escaped}`"), "");
        let value = place.run(&["train", &format!("mask.policy={name}")]);
        value.refused(2, &format!("`mask.policy` = \"{escaped}\" is not one of dense, static, "), "");
        // What is no command takes several lines.
        let usage = place.run(&["list", name]);
        assert_eq!(usage.code, Some(2));
        assert!(usage.err.contains(&format!("invalid value '{escaped}'")), "{usage:?}");
        for outcome in [missing, key, value, usage] {
            assert_visible(&outcome);
        }
    }
}

#[test]
#[cfg(unix)]
fn a_run_in_a_directory_of_any_name_prints_that_name_escaped() {
    let [(first, shown), (second, _)] = NAMES;
    let place = Place::with_runs(&[(first, "seed=1")]);
    std::fs::create_dir(place.path(second)).unwrap();
    let sound = place.run(&["verify", first]).done();
    assert!(sound.out.starts_with(&format!("{shown}: sound: ")), "{sound:?}");
    let replayed = place.run(&["replay", first, "--out", &format!("{second}/out")]).done();
    let grid = ["replay", first, "--grid", "sieve.fraction=0.1,0.2", "--out", &format!("{second}/grid")];
    let grid = place.run(&grid).done();
    let json = place.run(&["replay", first, "--grid", "sieve.fraction=0.1,0.2", "--json"]).done();
    let object: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(object["runs"].to_string().contains(r"\u001b[2J"), "{object}");
    for (outcome, lines) in [(&sound, 1), (&json, 1)] {
        assert_eq!(outcome.out.lines().count(), lines, "{outcome:?}");
    }
    for outcome in [&sound, &replayed, &grid, &json] {
        assert_visible(outcome);
        assert!(outcome.out.lines().all(|line| !line.starts_with("spfde: done")), "{outcome:?}");
    }
}
