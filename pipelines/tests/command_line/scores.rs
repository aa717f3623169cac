//! Bare score files, judged by one policy or a grid of them.

mod epochs;
mod recorder;
mod verified;

use std::path::Path;

use spfde_data::files::table_file::{self, Columns, Values};
use spfde_data::random::{Purpose, draw};

use crate::place::Place;

const SAMPLES: i64 = 200;
const EPOCHS: i64 = 5;

/// Whether a sample is right in an epoch.
fn right(sample: i64, epoch: i64) -> bool {
    draw(3, Purpose::User, epoch as u64, sample as u64) % 100
        < draw(3, Purpose::User, 99, sample as u64) % 100
}

/// Scores of some samples in an epoch, as the files number it, which is epoch `of` of [`right`].
fn scores(samples: std::ops::Range<i64>, epoch: i64, of: i64, step: i64) -> Columns {
    let column = |value: &dyn Fn(i64) -> i64| {
        Values::Integer(samples.clone().map(|sample| Some(value(sample))).collect())
    };
    vec![
        ("sample".to_owned(), column(&|sample| sample)),
        ("epoch".to_owned(), column(&|_| epoch)),
        ("step".to_owned(), column(&|sample| step + sample / 32)),
        ("correct".to_owned(), column(&|sample| i64::from(right(sample, of)))),
    ]
}

/// One file for each epoch.
fn write(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for epoch in 0..EPOCHS {
        let columns = scores(0..SAMPLES, epoch, epoch, 0);
        table_file::write(&directory.join(format!("{epoch}.parquet")), columns).unwrap();
    }
}

/// Which samples `kept.parquet` in a directory of results says that a member keeps: their names as texts.
fn kept(place: &Place, out: &str, member: i64) -> Vec<String> {
    let mut found = Vec::new();
    table_file::read(
        &place.path(out).join("kept.parquet"),
        &["member", "sample", "kept", "key"],
        |columns| {
            let [Values::Integer(members), samples, Values::Boolean(kept), Values::Integer(_)] = &columns[..]
            else {
                panic!("{columns:?}");
            };
            for row in
                (0..members.len()).filter(|row| members[*row] == Some(member) && kept[*row] == Some(true))
            {
                found.push(match samples {
                    Values::Integer(samples) => samples[row].unwrap().to_string(),
                    Values::Text(samples) => samples[row].clone().unwrap(),
                    other => panic!("{other:?}"),
                });
            }
        },
    )
    .unwrap();
    found
}

fn place() -> Place {
    let place = Place::new();
    write(&place.path("scores"));
    place
}

#[test]
fn one_policy_is_judged_and_its_decisions_are_written() {
    let place = place();
    let words =
        ["replay", "--scores", "scores", "sieve.policy=forgetting", "sieve.interval=1", "sieve.fraction=0.3"];
    let json = place.run(&[&words[..], &["--out", "out", "--json"]].concat()).done();
    assert_eq!((json.out.lines().count(), json.err.as_str()), (1, ""));
    let mut forgotten = [0u32; 10];
    for sample in 0..SAMPLES {
        let events = (1..EPOCHS).filter(|epoch| right(sample, epoch - 1) && !right(sample, *epoch)).count();
        forgotten[events] += 1;
    }
    let counts = forgotten.iter().enumerate().filter(|(_, samples)| **samples > 0);
    let counts: Vec<String> = counts.map(|(events, samples)| format!("[{events},{samples}]")).collect();
    assert!(json.out.contains(&format!("\"counts\":[{}]", counts.join(","))), "{}", json.out);
    assert!(json.out.contains("\"active_samples\":140,\"censored_samples\":0"), "{}", json.out);
    assert!(place.path("out/grid.parquet").is_file());
    for epoch in 0..=EPOCHS {
        assert!(place.path(&format!("out/trace/sieves/e{epoch:05}-w00.parquet")).is_file());
    }
    // Without a directory nothing is written.
    let table = place.run(&words).done();
    assert!(table.out.starts_with("decisions are exact; "), "{}", table.out);
    assert!(table.out.contains("1000 rows of 200 samples over 5 epochs"), "{}", table.out);
    assert_eq!(place.names(), ["out", "scores"]);
    // The samples that were forgotten least often leave; of those with as many events a draw decides.
    let events =
        |sample: i64| (1..EPOCHS).filter(|epoch| right(sample, epoch - 1) && !right(sample, *epoch)).count();
    let never = |sample: i64| (0..EPOCHS).all(|epoch| !right(sample, epoch));
    let kept = kept(&place, "out", 0);
    assert_eq!(kept.len(), 140);
    let rank = |sample: i64| if never(sample) { usize::MAX } else { events(sample) };
    let stays = |sample: &i64| kept.contains(&sample.to_string());
    let (stay, go): (Vec<i64>, Vec<i64>) = (0..SAMPLES).partition(stays);
    let (least, most) = (stay.into_iter().map(rank).min(), go.into_iter().map(rank).max());
    assert!(least >= most, "{least:?} {most:?}");
    let sound = place.run(&["verify", "out"]).done();
    assert!(sound.out.starts_with("out: sound: 1 member, 6 epochs, "), "{}", sound.out);
}

#[test]
fn a_grid_has_a_line_for_each_member_best_first() {
    let place = place();
    let words = [
        "--grid",
        "sieve.policy=forgetting,random",
        "--grid",
        "sieve.fraction=0.1,0.5",
        "--sort",
        "active_samples",
    ];
    let outcome = place.run(&[&["replay", "--scores", "scores", "--out", "out"], &words[..]].concat()).done();
    let lines: Vec<&str> = outcome.out.lines().skip_while(|line| !line.starts_with("member")).collect();
    let starts: Vec<String> = lines[1..5]
        .iter()
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        starts,
        ["1 0.5 forgetting", "3 0.5 random", "0 0.1 forgetting", "2 0.1 random"],
        "{}",
        outcome.out
    );
    assert!(!place.path("out/trace").exists(), "only if they are asked for");
    let again = place
        .run(&[&["replay", "--scores", "scores", "--out", "two", "--decisions"], &words[..]].concat())
        .done();
    assert!(place.path("two/trace/sieves/e00002-w00.parquet").is_file(), "{again:?}");
}

#[test]
fn shares_of_the_epochs_are_of_those_that_have_scores() {
    let place = place();
    let active = |words: &[&str]| -> Vec<i64> {
        place.run(&[&["replay", "--scores", "scores", "--out", "out"], words].concat()).done();
        let mut found = Vec::new();
        table_file::read(&place.path("out/grid.parquet"), &["active_samples"], |columns| {
            let Values::Integer(active) = &columns[0] else { panic!("{columns:?}") };
            found.extend(active.iter().flatten());
        })
        .unwrap();
        std::fs::remove_dir_all(place.path("out")).unwrap();
        found
    };
    // 1.25 of five epochs; 4.75 of them are all: what is removed follows from the whole record.
    let one_shot = ["sieve.policy=one-shot", "sieve.fraction=0.5"];
    assert_eq!(active(&[&one_shot[..], &["sieve.at=0.25"]].concat()), [200, 100, 100, 100, 100, 100]);
    assert_eq!(active(&[&one_shot[..], &["sieve.at=0.95"]].concat()), [200, 200, 200, 200, 200, 100]);
    // The first epoch that is more than 2.5 is 3.
    let words = ["sieve.policy=random", "sieve.fraction=0.5", "sieve.interval=1", "sieve.until=0.5"];
    assert_eq!(active(&words), [100, 100, 100, 200, 200, 200]);
}

#[test]
fn what_cannot_be_judged_is_refused_and_leaves_nothing() {
    let place = place();
    let judge =
        |words: &[&str]| place.run(&[&["replay", "--scores", "scores", "--out", "out"], words].concat());
    judge(&["freeze.policy=none"]).refused(2, "`freeze.policy`: bare scores tell of samples only", "");
    judge(&["runs"]).refused(2, "`runs` is neither key=value nor a file or directory of scores", "");
    judge(&["runs/a"]).refused(1, "runs/a: cannot open", "");
    judge(&["runs/epoch=*/a"]).refused(1, "runs/epoch=*/a: is a pattern that no file fits", "");
    judge(&["frobnicate=*.parquet"]).refused(2, "unknown key `frobnicate`", "");
    // A table that could be the user's own is no ground to remove a directory.
    std::fs::create_dir(place.path("out")).unwrap();
    for name in ["kept.parquet", "sample-names.parquet", "samples.parquet"] {
        std::fs::write(place.path("out").join(name), "mine").unwrap();
        judge(&[]).refused(1, "out: is not empty; nothing was overwritten", "");
    }
    // Beside decisions it is a grid's.
    std::fs::remove_file(place.path("out/samples.parquet")).unwrap();
    std::fs::create_dir_all(place.path("out/trace/sieves")).unwrap();
    judge(&[]).refused(1, "out: holds nothing but what a grid writes before its table grid.parquet", "");
    std::fs::remove_dir_all(place.path("out")).unwrap();
    judge(&["--grid", "sieve.fraction=0.1,2"]).refused(
        2,
        "`sieve.fraction` = 2 is out of range",
        " (the member of the grid with sieve.fraction=2)",
    );
    judge(&["sieve.fraction=0.999"]).refused(2, "`sieve.fraction`: 0.999 of 200 samples leaves none", "");
    place.run(&["replay", "--scores", "nowhere"]).refused(1, "nowhere: cannot open", "");
    judge(&["sieve.stratify=true"]).refused(
        2,
        "`sieve.stratify`: reads the class of every sample from the scores, column label: \
         scores/0.parquet: has no column label; expected one of type Int64",
        "",
    );
    judge(&["--sort", "flops"]).refused(2, "--sort flops: bare scores have no costs", "");
    // Damage that shows only when the rows are read.
    let column = |values: Vec<i64>| Values::Integer(values.into_iter().map(Some).collect());
    let columns = vec![
        ("sample".to_owned(), column(vec![1, 2])),
        ("epoch".to_owned(), column(vec![3, 3])),
        ("step".to_owned(), column(vec![0, -1])),
        ("correct".to_owned(), column(vec![0, 1])),
    ];
    table_file::write(&place.path("scores/late.parquet"), columns).unwrap();
    judge(&["sieve.policy=forgetting", "--workers", "2"]).refused(
        1,
        "scores/late.parquet: row 1: step is -1; ",
        "nothing is kept of this replay",
    );
    // A loss that is no number.
    std::fs::remove_file(place.path("scores/late.parquet")).unwrap();
    std::fs::create_dir(place.path("nan")).unwrap();
    let with_losses = |epoch| {
        let mut columns = scores(0..2, epoch, epoch, 0);
        columns.push((
            "loss".to_owned(),
            Values::Number(vec![Some(0.5), Some(if epoch == 1 { f64::NAN } else { 0.5 })]),
        ));
        columns
    };
    let columns = with_losses(1);
    for (name, columns) in [("late", columns), ("other", with_losses(0))] {
        table_file::write(&place.path(&format!("nan/{name}.parquet")), columns).unwrap();
    }
    let judge = |policy| place.run(&["replay", "--scores", "nan", policy, "--workers", "2"]);
    judge("sieve.policy=infobatch").refused(
        1,
        "nan/late.parquet: row 1: loss is NaN; expected a finite number; the training has diverged: ",
        "nothing is kept of this replay",
    );
    judge("sieve.policy=forgetting").done();
    assert_eq!(place.names(), ["nan", "scores"]);
}

#[test]
fn labels_are_the_classes_that_are_cut_one_by_one() {
    let place = Place::new();
    std::fs::create_dir(place.path("scores")).unwrap();
    let label = |sample: i64| sample % 3 * 5;
    for epoch in 0..EPOCHS {
        let mut columns = scores(0..SAMPLES, epoch, epoch, 0);
        columns.push(("label".to_owned(), Values::Integer((0..SAMPLES).map(|s| Some(label(s))).collect())));
        table_file::write(&place.path(&format!("scores/{epoch}.parquet")), columns).unwrap();
    }
    let grid = ["--grid", "sieve.policy=circular,forgetting,random", "--grid", "sieve.stratify=true,false"];
    let words = ["replay", "--scores", "scores", "sieve.fraction=0.3", "--out", "out", "--decisions"];
    let run = |workers: &str| place.run(&[&words[..], &grid, &["--workers", workers]].concat()).done();
    run("2");
    place.run(&["verify", "out"]).done();
    // 60 of 200: of classes of 67, 67 and 66 samples.
    for member in [0, 2, 4] {
        let kept: Vec<i64> = kept(&place, "out", member).iter().map(|name| name.parse().unwrap()).collect();
        let of = |class: i64| kept.iter().filter(|sample| label(**sample) == class).count();
        assert_eq!([0, 5, 10].map(of), [47, 47, 46], "member {member}");
    }
    assert_ne!(kept(&place, "out", 2), kept(&place, "out", 3));
    let two = place.path("scores/late.parquet");
    let mut columns = scores(0..1, EPOCHS, 0, 0);
    columns.push(("label".to_owned(), Values::Integer(vec![Some(1)])));
    table_file::write(&two, columns).unwrap();
    place.run(&["replay", "--scores", "scores", "sieve.stratify=true"]).refused(
        2,
        "`sieve.stratify`: reads the class of every sample from the scores, column label: \
         scores/late.parquet: row 0: label is 1; expected 0, as in another row of the sample",
        "",
    );
}

#[test]
fn partitions_patterns_and_texts_are_read_and_results_have_the_names_of_the_user() {
    let place = place();
    let name = |sample: i64| format!("img/{:03}.png", (sample * 7) % SAMPLES);
    for epoch in 0..EPOCHS {
        let directory = place.path(&format!("texts/epoch={epoch}"));
        std::fs::create_dir_all(&directory).unwrap();
        let mut columns = scores(0..SAMPLES, epoch, epoch, 0);
        columns[0].1 = Values::Text((0..SAMPLES).map(|sample| Some(name(sample))).collect());
        columns.remove(1);
        table_file::write(&directory.join("part-0.parquet"), columns).unwrap();
    }
    std::fs::write(place.path("texts/_SUCCESS"), "").unwrap();
    let settings = ["sieve.policy=forgetting", "sieve.interval=2", "sieve.fraction=0.3"];
    let judge = |out: &str, scores: &[&str]| {
        let words = [&["replay", "--scores"], scores, &settings, &["--out", out]].concat();
        let printed = place.run(&words).done();
        let line = format!("samples kept by the last decision: {out}/kept.parquet\n");
        assert!(printed.out.contains(&line), "{}", printed.out);
        kept(&place, out, 0)
    };
    let whole = judge("a", &["texts"]);
    assert!(whole.len() == 140 && whole.is_sorted(), "{whole:?}");
    assert_eq!(judge("b", &["texts/*/part-?.parquet"]), whole);
    // Patterns that no shell has seen.
    assert_eq!(judge("d", &["texts/epoch=[01]/*.parquet", "texts/epoch=[2-9]/*", "te?ts/epoch=*/*"]), whole);
    // A shell has made words of the pattern.
    let words: Vec<String> = (0..EPOCHS).map(|epoch| format!("texts/epoch={epoch}/part-0.parquet")).collect();
    assert_eq!(judge("c", &words.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    let mut names = Vec::new();
    table_file::read(&place.path("a/sample-names.parquet"), &["sample", "name"], |columns| {
        names.push(columns)
    })
    .unwrap();
    let mut sorted: Vec<String> = (0..SAMPLES).map(name).collect();
    sorted.sort();
    let numbers = (0..SAMPLES).map(Some).collect();
    assert_eq!(names, [[Values::Integer(numbers), Values::Text(sorted.into_iter().map(Some).collect())]]);
    let sound = place.run(&["verify", "a", "b"]).done();
    assert_eq!(sound.out.lines().count(), 2, "{}", sound.out);
}
