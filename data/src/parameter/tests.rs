use super::*;

#[test]
fn values_out_of_range_are_refused_with_key_value_and_range() {
    let soft = Parameter::of("mask.soft", 0.5, 0.0..=1.0, "soft part");
    assert_eq!(soft.check(Value::Integer(1)), Ok(Value::Number(1.0)));
    for bad in [Value::Number(-0.1), Value::Number(1.1), Value::Number(f64::NAN), Value::Integer(2)] {
        let error = soft.check(bad.clone()).unwrap_err().to_string();
        assert_eq!(error, format!("`mask.soft` = {bad} is out of range: 0 to 1"));
    }
    let fraction = Parameter::of("sieve.fraction", 0.15, 0.0..1.0, "share out");
    assert_eq!(
        fraction.check(Value::Integer(1)).unwrap_err().to_string(),
        "`sieve.fraction` = 1 is out of range: 0 to below 1"
    );
}

#[test]
fn values_of_another_kind_are_refused_with_key_value_and_what_would_fit() {
    let refused = |parameter: &Parameter, value| parameter.check(value).unwrap_err().to_string();
    let text = |text: &str| Value::Text(text.into());
    let epochs = Parameter::of("train.epochs", 16, 1..=10_000, "epochs");
    for (value, written) in [(Value::Number(1.5), "1.5"), (Value::Number(3.0), "3.0"), (text("3"), "\"3\"")] {
        let expected = format!("`train.epochs` = {written} is not a whole number from 1 to 10000");
        assert_eq!(refused(&epochs, value), expected);
    }
    let soft = Parameter::of("mask.soft", 0.5, 0.0..=1.0, "soft part");
    assert_eq!(refused(&soft, text("x")), "`mask.soft` = \"x\" is not a number from 0 to 1");
    let policy = Parameter::choice("mask.policy", "dense", vec!["dense", "static"], "rule");
    assert_eq!(refused(&policy, Value::Integer(3)), "`mask.policy` = 3 is not one of dense, static");
    let path = Parameter::of("data.path", "fashion-mnist".to_owned(), .., "data");
    assert_eq!(refused(&path, Value::Integer(5)), "`data.path` = 5 is not a text; write it in quotes: \"5\"");
}

#[test]
fn numbers_that_no_value_holds_are_out_of_range() {
    let refused = |parameter: &Parameter, value: &str| {
        parameter.check(Value::Text(value.into())).unwrap_err().to_string()
    };
    let seed = Parameter::of("seed", 0, 0.., "seed");
    let rate = Parameter::of("train.learning_rate", 0.3, 0.0..=1000.0, "rate");
    for number in ["99999999999999999999", "-9_999_999_999_999_999_999_999", "1e400"] {
        let expected = format!("`seed` = {number} is out of range: 0 to 4294967295");
        assert_eq!(refused(&seed, number), expected);
        let expected = format!("`train.learning_rate` = {number} is out of range: 0 to 1000");
        assert_eq!(refused(&rate, number), expected);
    }
    assert_eq!(refused(&seed, "inf"), "`seed` = \"inf\" is not a whole number from 0 to 4294967295");
}

#[test]
fn a_misspelt_name_or_key_is_answered_with_the_nearest() {
    let policy = Parameter::choice("mask.policy", "dense", vec!["dense", "static", "mest-ems"], "rule");
    let error = policy.check(Value::Text("mest-em2".into())).unwrap_err().to_string();
    assert!(error.ends_with("did you mean `mest-ems`?"), "{error}");
    let known = [policy];
    let unknown = Parameters::defaults(&known).with(&known, "mask.polciy", Value::Text("dense".into()));
    assert_eq!(unknown.unwrap_err().to_string(), "unknown key `mask.polciy`; did you mean `mask.policy`?");
    assert_eq!(nearest("zzzzzz", ["mask.policy"]), None);
}
