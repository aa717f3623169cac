use super::*;

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

#[test]
fn defaults_resolve_and_read_back() {
    let defaults = Configuration::resolve(&[]).unwrap();
    let source = Source::parse_file("config.toml", &defaults.to_toml()).unwrap();
    let again = Configuration::resolve(source.entries()).unwrap();
    assert_eq!(again.values(), defaults.values());
    assert!(again.is_given("seed") && !defaults.is_given("seed"));
}

#[test]
fn unknown_keys_and_values_out_of_range_are_refused_by_name() {
    let error =
        |key: &str, value| Configuration::resolve(&[(key.to_owned(), value)]).unwrap_err().to_string();
    assert_eq!(
        error("train.epoch", Value::Integer(3)),
        "unknown key `train.epoch`; did you mean `train.epochs`?"
    );
    assert!(error("train.epochs", Value::Integer(0)).starts_with("`train.epochs` = 0 is out of range: 1"));
    assert!(error("mask.policy", text("mest-emss")).ends_with("did you mean `mest-ems`?"));
    assert!(error("mask.sparsity", Value::Number(1.0)).contains("to below 1"));
}

#[test]
fn a_key_of_another_policy_is_noted_but_still_checked() {
    let given = [("mask.policy".to_owned(), text("dense")), ("mask.soft".to_owned(), Value::Number(0.3))];
    let configuration = Configuration::resolve(&given).unwrap();
    assert_eq!(configuration.notes(), ["`mask.soft` has no effect: mask.policy = \"dense\" does not use it"]);
    let given = [("mask.policy".to_owned(), text("dense")), ("mask.soft".to_owned(), Value::Number(30.0))];
    assert!(Configuration::resolve(&given).is_err());
}

#[test]
fn a_key_of_another_command_is_noted_but_still_checked() {
    let given = |shape: &str| [("data.shape".to_owned(), text(shape))];
    let train = Configuration::resolve(&given("3x32x32")).unwrap();
    assert_eq!(train.notes(), ["`data.shape` has no effect: only `spfde bench` reads it"]);
    assert_eq!(train.values().get("data.shape"), None);
    assert!(Configuration::resolve(&given("3x32")).is_err());
    let bench = Configuration::resolve_bench(&Registry::standard(), &given("3x32x31")).unwrap();
    assert_eq!(bench.shape(), InputShape { channels: 3, height: 32, width: 31 });
    assert_eq!(bench.notes(), [""; 0]);
}

#[test]
fn a_truth_value_is_read_as_toml_and_as_a_word_and_written_as_toml() {
    for truth in [false, true] {
        let file = Source::parse_file("a.toml", &format!("[sieve]\nstratify = {truth}")).unwrap();
        let word = Source::from_words(&[format!("sieve.stratify={truth}")]).unwrap();
        assert_eq!(file, word);
        let configuration = Configuration::resolve(file.entries()).unwrap();
        assert_eq!(spfde_policy::sieve::stratifies(configuration.values()), truth);
        let written = configuration.to_toml();
        assert!(written.contains(&format!("\nstratify = {truth}\n")), "{written}");
        let again = Source::parse_file("config.toml", &written).unwrap();
        assert_eq!(Configuration::resolve(again.entries()).unwrap().values(), configuration.values());
        let without = [("sieve.policy".to_owned(), text("none")), file.entries()[0].clone()];
        let notes = Configuration::resolve(&without).unwrap().notes().to_vec();
        assert_eq!(notes, ["`sieve.stratify` has no effect: sieve.policy = \"none\" does not use it"]);
    }
}

#[test]
fn a_truth_value_of_a_key_that_only_its_own_program_knows_comes_back() {
    let (flag, policy) = ("sieve.flag".to_owned(), ("sieve.policy".to_owned(), text("own")));
    let mut registry = Registry::default();
    let none = spfde_policy::sieve::entry::<spfde_policy::sieve::All>();
    let parameters = || vec![Parameter::of("sieve.flag", false, .., "a flag")];
    registry.policies.sieve.entries.push(spfde_policy::Entry { name: "own", parameters, ..none });
    let resolve = |given: &[Entry]| Configuration::resolve_over(&Arc::new(registry.clone()), &[], given);
    let configuration = resolve(&[policy, (flag.clone(), text("true"))]).unwrap();
    let written = configuration.to_toml();
    assert!(written.contains("\nflag = true\n"), "{written}");
    let source = Source::parse_file("config.toml", &written).unwrap();
    assert!(source.entries().contains(&(flag, text("true"))));
    assert_eq!(resolve(source.entries()).unwrap().values(), configuration.values());
}

#[test]
fn later_entries_win() {
    let given = [("seed".to_owned(), Value::Integer(1)), ("seed".to_owned(), Value::Integer(2))];
    assert_eq!(Configuration::resolve(&given).unwrap().values().integer("seed"), 2);
}

#[test]
fn the_learning_rate_is_that_of_the_model_unless_something_else_is_said() {
    let rate = |given: &[(&str, Value)]| {
        let given: Vec<_> = given.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let configuration = Configuration::resolve(&given).unwrap();
        let written = Source::parse_file("config.toml", &configuration.to_toml()).unwrap();
        let rate = configuration.values().number("train.learning_rate");
        assert!(written.entries().contains(&("train.learning_rate".to_owned(), Value::Number(rate))));
        rate
    };
    for entry in &Registry::standard().models {
        assert_eq!(rate(&[("model.name", text(entry.name))]), entry.learning_rate, "{}", entry.name);
    }
    assert_eq!(rate(&[]), 0.3);
    // An optimiser may have another one, with any model.
    let adamw = ("train.optimizer", text("adamw"));
    assert_eq!(rate(std::slice::from_ref(&adamw)), 0.001);
    assert_eq!(rate(&[("train.learning_rate", Value::Number(0.02)), adamw]), 0.02);
    // In any order.
    let asked = ("train.learning_rate", Value::Number(0.2));
    assert_eq!(rate(&[asked.clone(), ("model.name", text("lenet5"))]), 0.2);
    assert_eq!(rate(&[("model.name", text("lenet5")), asked]), 0.2);
}

#[test]
fn a_key_is_read_under_its_former_name_where_that_was_its_name() {
    let entries = |entries: &[(&str, Value)]| -> Vec<(String, Value)> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    };
    let [em, ems] = ["mest-em", "mest-ems"].map(|name| ("mask.policy", text(name)));
    let soft = ("mask.soft", Value::Number(0.4));
    let old = entries(&[em.clone(), soft.clone()]);
    let read = Configuration::resolve(&old).unwrap();
    assert_eq!(read.values().get("mask.exchange"), Some(&Value::Number(0.4)));
    assert_eq!((read.values().get("mask.soft"), read.notes()), (None, &[][..]));
    assert!(read.is_given("mask.exchange"));
    let wrong = entries(&[em.clone(), ("mask.soft", Value::Number(3.0))]);
    let wrong = Configuration::resolve(&wrong).unwrap_err().to_string();
    assert_eq!(wrong, "`mask.exchange` = 3.0 is out of range: 0 to 1");
    // What one policy calls so says nothing of the other.
    let over = |inherited: &[(String, Value)], given: &[(&str, Value)]| {
        let registry = Registry::standard();
        let resolved = Configuration::resolve_over(&registry, inherited, &entries(given)).unwrap();
        ["mask.soft", "mask.exchange"].map(|key| resolved.values().get(key).cloned())
    };
    let recorded = entries(&[ems.clone(), soft.clone()]);
    assert_eq!(over(&old, &[]), [None, Some(Value::Number(0.4))]);
    assert_eq!(over(&old, &[("mask.soft", Value::Number(0.1))]), [None, Some(Value::Number(0.1))]);
    assert_eq!(over(&old, &[ems]), [Some(Value::Number(0.5)), None]);
    assert_eq!(over(&recorded, std::slice::from_ref(&em)), [None, Some(Value::Number(0.2))]);
    assert_eq!(over(&recorded, &[em, soft]), [None, Some(Value::Number(0.4))]);
}
