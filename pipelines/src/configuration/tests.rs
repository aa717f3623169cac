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
    let given = [("mask.policy".to_owned(), text("dense")), ("mask.soft".to_owned(), Value::Number(3.0))];
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
fn later_entries_win() {
    let given = [("seed".to_owned(), Value::Integer(1)), ("seed".to_owned(), Value::Integer(2))];
    assert_eq!(Configuration::resolve(&given).unwrap().values().integer("seed"), 2);
}
