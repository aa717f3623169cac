//! Which epoch and which row counts.

use super::*;

#[test]
fn epochs_that_do_not_begin_at_0_or_have_no_rows_are_told() {
    let (one, two) = (place(), Place::new());
    std::fs::create_dir(two.path("scores")).unwrap();
    for epoch in (0..EPOCHS).filter(|epoch| *epoch != 2) {
        let columns = scores(0..SAMPLES, epoch + 3, epoch, 0);
        table_file::write(&two.path(&format!("scores/{epoch}.parquet")), columns).unwrap();
    }
    let words = ["replay", "--scores", "scores", "sieve.policy=forgetting", "sieve.interval=2", "--json"];
    let refused = |first: &str| two.run(&[&words[..], &["--first-epoch", first]].concat());
    two.run(&words).refused(2, "no rows of epoch 0, the first is epoch 3; add --first-epoch 3", "");
    refused("4").refused(2, "--first-epoch 4: the first is epoch 3; add --first-epoch 3", "");
    let shifted = refused("3").done();
    assert!(shifted.out.contains("\"epochs\":5,\"files\":4,"), "{}", shifted.out);
    assert!(shifted.out.contains("\"missing_epochs\":[5]"), "{}", shifted.out);
    let note = "note: no rows of 1 epoch between the first and the last, as the files number them: 5\n";
    assert_eq!(shifted.err, note);
    // The same as if the files counted from 0.
    std::fs::remove_file(one.path("scores/2.parquet")).unwrap();
    let counts =
        |json: &str| json[json.find("\"members\"").unwrap()..json.find("\"missing").unwrap()].to_owned();
    assert_eq!(counts(&one.run(&words).done().out), counts(&shifted.out));
}

#[test]
fn repeated_rows_are_counted_refused_or_chosen_by_their_step_whatever_the_files_are_called() {
    let words = ["replay", "--scores", "scores", "sieve.policy=forgetting", "sieve.interval=2", "--json"];
    let mut found = Vec::new();
    for names in [["a", "b", "c"], ["z", "y", "x"]] {
        let place = place();
        let [later, earlier, copy] = names.map(|name| place.path(&format!("scores/{name}.parquet")));
        // A trainer that was resumed within epoch 3, and scores with other results that came before epoch
        // 1's.
        table_file::write(&later, scores(0..20, 3, 7, 100)).unwrap();
        std::fs::copy(place.path("scores/2.parquet"), copy).unwrap();
        let steps = |columns: Columns, step| {
            let columns = columns.into_iter().map(|(name, values)| match name.as_str() {
                "step" => (name, Values::Integer(vec![Some(step); 5])),
                _ => (name, values),
            });
            columns.collect::<Columns>()
        };
        table_file::write(&earlier, steps(scores(50..55, 1, 8, 0), 0)).unwrap();
        place.run(&words).refused(
            2,
            "225 repeated rows in 3 epochs, the first in epoch 1: a sample has more than one row ",
            "add --repeats last (or first) to take one by its step",
        );
        for workers in ["1", "3"] {
            let of = |which: &str| {
                let more = ["--repeats", which, "--workers", workers];
                let json = place.run(&[&words[..], &more].concat()).done().out;
                assert!(json.contains("\"repeated_rows\":225,\"rows\":1225,"), "{json}");
                json[json.find("\"members\"").unwrap()..json.find("\"missing").unwrap()].to_owned()
            };
            found.push((of("first"), of("last")));
        }
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
    assert_ne!(found[0].0, found[0].1);
    // What is expected of the last: the resumed results of epoch 3.
    let expected = Place::new();
    std::fs::create_dir(expected.path("scores")).unwrap();
    for epoch in 0..EPOCHS {
        let path = |part: &str| expected.path(&format!("scores/{epoch}{part}.parquet"));
        let from = if epoch == 3 { 20 } else { 0 };
        table_file::write(&path(""), scores(from..SAMPLES, epoch, epoch, 0)).unwrap();
        if epoch == 3 {
            table_file::write(&path("later"), scores(0..20, 3, 7, 100)).unwrap();
        }
    }
    let json = expected.run(&words).done().out;
    let last = &json[json.find("\"members\"").unwrap()..json.find("\"missing").unwrap()];
    assert_eq!(found[0].1, last);
}
