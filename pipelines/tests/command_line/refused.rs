//! What is wrong is refused in one line, before any work, and nothing is overwritten.

use crate::place::{Outcome, Place, idx, write_idx};

#[test]
fn settings_that_nothing_knows_or_that_are_out_of_range_are_refused_before_any_work() {
    let place = Place::new();
    std::fs::write(place.path("bad.toml"), "seed = 1\n[train]\nepochs = = 3\n").unwrap();
    std::fs::write(place.path("list.toml"), "[train]\nepochs = [1, 2]\n").unwrap();
    std::fs::write(place.path("large.toml"), "seed = 99999999999999999999\n").unwrap();
    std::fs::write(place.path("truth.toml"), "[train]\nepochs = true\n").unwrap();
    let train = |word: &str| place.run(&["train", word, "--run-dir", "run"]);
    let cases = [
        ("train.epoch=3", "unknown key `train.epoch`; did you mean `train.epochs`?", ""),
        ("mask.sparcity=0.5", "unknown key `mask.sparcity`; did you mean `mask.sparsity`?", ""),
        ("nonsense=1", "unknown key `nonsense`; `spfde list keys` names all of them", ""),
        ("train.epochs=0", "`train.epochs` = 0 is out of range: 1 to 10000", ""),
        ("mask.sparsity=1", "`mask.sparsity` = 1 is out of range: 0 to below 1", ""),
        ("mask.sparsity=nan", "`mask.sparsity` = NaN is out of range", ""),
        ("train.epochs=many", "`train.epochs` = \"many\" is not a whole number from 1 to 10000", ""),
        ("train.epochs=1.5", "`train.epochs` = 1.5 is not a whole number from 1 to 10000", ""),
        ("train.epochs=true", "`train.epochs` = \"true\" is not a whole number from 1 to 10000", ""),
        ("seed=-1", "`seed` = -1 is out of range: 0 to 4294967295", ""),
        ("seed=5000000000", "`seed` = 5000000000 is out of range: 0 to 4294967295", ""),
        ("seed=99999999999999999999", "`seed` = 99999999999999999999 is out of range: 0 to 4294967295", ""),
        ("train.learning_rate=1e300", "`train.learning_rate` = 1e300 is out of range: 0 to 1000", ""),
        ("mask.policy=3", "`mask.policy` = 3 is not one of dense, static, ", ""),
        ("data.path=5", "`data.path` = 5 is not a text; write it in quotes: \"5\"", ""),
        ("large.toml", "`seed` = 99999999999999999999 is out of range: 0 to 4294967295", ""),
        (
            "truth.toml",
            "truth.toml: `train.epochs` = true is a truth value; it takes a whole number from 1 to 10000",
            "",
        ),
        ("sieve.interval=1", "`sieve.interval` = 1 is out of range: 2 to 4294967295", ""),
        ("mask.policy=mest-emss", "`mask.policy` = \"mest-emss\" is not one of", "did you mean `mest-ems`?"),
        ("model.name=resnet21", "`model.name` = \"resnet21\" is not one of", "did you mean `resnet20`?"),
        ("epochs", "`epochs` is neither key=value nor, as the first word, a file ending in .toml", ""),
        ("bad.toml", "bad.toml, line 3: ", ""),
        ("list.toml", "list.toml: `train.epochs` is a list; it takes a whole number from 1 to 10000", ""),
        ("missing.toml", "missing.toml: cannot read the configuration: ", ""),
    ];
    for (word, start, end) in cases {
        train(word).refused(2, start, end);
    }
    assert_eq!(place.names(), ["bad.toml", "large.toml", "list.toml", "truth.toml"]);
}

#[test]
fn contradictions_name_the_key_and_what_would_hold() {
    let place = Place::with_data();
    let train = |words: &[&str]| {
        place.run(&[&["train", "data.path=data", "model.name=lenet5", "--run-dir", "run"], words].concat())
    };
    let unreachable = train(&["mask.sparsity=0.5", "train.epochs=4", "freeze.flops_reduction=0.9"]);
    unreachable.refused(
        2,
        "`freeze.flops_reduction`: 0.9 cannot be reached, the greatest that can is 0.",
        "",
    );
    train(&["mask.sparsity=0.9999"]).refused(2, "`mask.sparsity`: 0.9999 leaves none of the ", "");
    train(&["mask.sparsity=0.5", "sieve.fraction=0.999"]).refused(2, "`sieve.fraction`: ", "");
    let yes = "`sieve.stratify` = \"yes\" is not one of false, true";
    train(&["sieve.stratify=yes"]).refused(2, yes, "");
    assert_eq!(place.names(), ["data", "idx"]);
}

#[test]
fn wrong_usage_ends_with_exit_code_2() {
    let place = Place::new();
    let cases = [
        (&["trian"][..], "unrecognized subcommand 'trian'"),
        (&[], "Usage: spfde"),
        (&["train", "--workers", "0"], "invalid value '0' for '--workers <N>'"),
        (&["train", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["verify"], "<RUN>"),
    ];
    for (words, message) in cases {
        let outcome = place.run(words);
        assert_eq!((outcome.code, outcome.out.as_str()), (Some(2), ""), "{words:?}: {outcome:?}");
        assert!(outcome.err.contains(message), "{outcome:?}");
    }
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn data_that_is_missing_or_damaged_is_refused_before_training() {
    let place = Place::with_data();
    let train = || place.run(&["train", "data.path=data", "model.name=mlp", "--run-dir", "run"]);
    let nowhere = place.run(&["train", "data.path=nowhere", "--run-dir", "run"]);
    let message = "data.path is \"nowhere\": no data set of the program has this name (`spfde list data`), \
                   and there is nothing";
    nowhere.refused(2, message, "`spfde import` makes a data set of other files");
    let close = place.run(&["train", "data.path=fashion_mnist", "--run-dir", "run"]);
    assert!(close.code == Some(2) && close.err.contains("; did you mean `fashion-mnist`?"), "{close:?}");
    let one = place.run(&["train", "data.path=data/test.parquet", "--run-dir", "run"]);
    let name = "is a file; name a directory with train.parquet and test.parquet";
    one.refused(1, &format!("data/test.parquet: {name}"), name);
    let file = place.path("data/train.parquet");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        train().refused(1, "data/train.parquet: ", "");
    }
    let mut changed = whole.clone();
    changed[whole.len() / 3] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    // A pixel: which of the two files it is in cannot be told.
    train().refused(1, "data: fingerprint of the content of train.parquet and test.parquet is ", "");
    std::fs::remove_file(&file).unwrap();
    train().refused(1, "data/train.parquet: ", "");
    assert_eq!(place.names(), ["data", "idx"]);
}

#[test]
fn a_file_is_told_from_the_directory_of_a_run() {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    std::fs::write(place.path("run/manifest.json"), "{}").unwrap();
    for words in [&["verify"][..], &["resume"], &["replay"], &["replay", "--follow"]] {
        place.run(&[words, &["run/manifest.json"]].concat()).refused(
            1,
            "run/manifest.json: missing field `version`",
            "",
        );
    }
    // One that lies in no run.
    std::fs::write(place.path("notes"), "").unwrap();
    for words in [&["verify"][..], &["resume"], &["replay"], &["replay", "--follow"]] {
        let refused = place.run(&[words, &["notes"]].concat());
        refused.refused(1, "notes: is a file, not the directory of a run; ", "; name the directory");
    }
}

#[test]
fn keys_of_other_programs_lead_to_those_that_there_are() {
    let place = Place::new();
    for (words, message) in [
        (&["epochs=3"][..], "unknown key `epochs`; did you mean `train.epochs`?"),
        (&["lr=0.1"], "unknown key `lr`; did you mean `train.learning_rate`?"),
        (&["model=mlp"], "unknown key `model`; did you mean `model.name`?"),
        (&["train.lr=0.1"], "unknown key `train.lr`; did you mean `train.learning_rate`?"),
        (&["batch=32"], "unknown key `batch`; did you mean `data.batch_size`?"),
        (&["train.batch_size=32"], "unknown key `train.batch_size`; did you mean `data.batch_size`?"),
        (&["freeze.sparsity=0.5"], "unknown key `freeze.sparsity`; did you mean `mask.sparsity`?"),
        (&["sieve.epochs=3"], "unknown key `sieve.epochs`; did you mean `train.epochs`?"),
        (&["sieve.frac=0.2"], "unknown key `sieve.frac`; did you mean `sieve.fraction`?"),
        (&["sieve.removed=0.2"], "unknown key `sieve.removed`; `spfde list keys` names all of them"),
        (&["mask.velocity=0.2"], "unknown key `mask.velocity`; `spfde list keys` names all of them"),
        (&["freeze.network=2"], "unknown key `freeze.network`; `spfde list keys` names all of them"),
        (&["mask.density=0.2"], "`mask.density`: is no key; mask.sparsity says the share of the weights "),
        (&["num_epochs=3"], "unknown key `num_epochs`; did you mean `train.epochs`?"),
        (&["mask=set"], "unknown key `mask`; did you mean `mask.policy`?"),
        (
            &["train.optimizer=adam"],
            "`train.optimizer` = \"adam\" is not one of momentum, nesterov, adamw; did you mean `adamw`?",
        ),
        (&["out=run"], "`out`: is no key; where to write is an option: --run-dir DIR of `train`, "),
        (&["fraction=0.2"], "unknown key `fraction`; did you mean `freeze.fraction` or `sieve.fraction`?"),
        (&["optimizer=adam"], "unknown key `optimizer`; did you mean `train.optimizer`?"),
        (&["train.scheduler=step"], "unknown key `train.scheduler`; did you mean `train.schedule`?"),
        (&["workers=2"], "`workers`: is no key; the number of threads is an option: --workers N"),
        (&["nonsense=1"], "unknown key `nonsense`; `spfde list keys` names all of them"),
        (
            &["mask.policy=zebra"],
            "`mask.policy` = \"zebra\" is not one of dense, static, mest-em, mest-ems, set, rigl, snfs, gse, \
             deep-r, dsr, gmp, magnitude, lottery, granet, snip, grasp, synflow, top-kast; \
             `spfde list` ",
        ),
        (
            &["mask.policy=mest"],
            "`mask.policy` = \"mest\" is not one of dense, static, mest-em, mest-ems, set, rigl, snfs, gse, \
             deep-r, dsr, gmp, magnitude, lottery, granet, snip, grasp, synflow, top-kast; \
             did you mean `mest-em` or `mest-ems`?",
        ),
    ] {
        place.run(&[&["train"], words].concat()).refused(2, message, "");
    }
    for (words, tip) in [
        (&["--epochs", "3"][..], "a setting is a word without dashes: train.epochs=3"),
        (&["--learning-rate=0.1"], "a setting is a word without dashes: train.learning_rate=0.1"),
        (
            &["--fraction", "0.2"],
            "a setting is a word without dashes: freeze.fraction=0.2 or sieve.fraction=0.2",
        ),
        (&["--optimizer", "adamw"], "a setting is a word without dashes: train.optimizer=adamw"),
    ] {
        for command in ["train", "replay", "bench"] {
            let outcome = place.run(&[&[command], words].concat());
            assert!(outcome.code == Some(2) && outcome.err.contains(&format!("  tip: {tip}")), "{outcome:?}");
        }
        let outcome = place.run(&[&["verify"], words].concat());
        assert!(outcome.code == Some(2) && !outcome.err.contains(tip), "{outcome:?}");
    }
    let listed = place.run(&["list", "keys"]).done();
    assert!(listed.out.contains("on any number of workers (0 to 4294967295)\n"), "{}", listed.out);
    assert!(place.names().is_empty());
}

#[test]
fn a_tip_names_an_option_that_the_command_has_and_the_usage_all_that_it_takes() {
    let place = Place::new();
    for (words, tip, usage) in [
        ("replay --scores X --run-dir o", "the option is --out <DIR> here", "replay [OPTIONS] [RUN | key"),
        ("train --workers 2 --out o", "the option is --run-dir <DIR> here", "train [OPTIONS] [FILE.toml | "),
        ("bench --threads=2", "the option is --workers <N> here", "bench [OPTIONS] [FILE.toml | "),
        ("import idx x --output o", "the option is --out <DIR> here", "import idx [OPTIONS] --out <DIR> "),
        ("bench --run-dir o", "to pass '--run-dir' as a value", "bench [OPTIONS] [FILE.toml | "),
        ("resume run --out o", "to pass '--out' as a value", "resume [OPTIONS] <RUN>"),
    ] {
        let Outcome { code, err, .. } = place.run(&words.split(' ').collect::<Vec<_>>());
        let parts = [format!("  tip: {tip}"), format!("\nUsage: spfde {usage}")];
        assert!(code == Some(2) && parts.iter().all(|part| err.contains(part)), "{err}");
    }
}

#[test]
fn idx_files_that_lie_are_refused_and_nothing_is_written() {
    let place = Place::new();
    write_idx(&place.path("idx"));
    let (images, labels) = ("idx/train-images-idx3-ubyte", "idx/train-labels-idx1-ubyte");
    let (sound_images, sound_labels) =
        (std::fs::read(place.path(images)).unwrap(), std::fs::read(place.path(labels)).unwrap());
    let import = |name: &str, bytes: &[u8]| {
        std::fs::write(place.path(name), bytes).unwrap();
        let outcome = place.run(&["import", "idx", "idx", "--out", "data"]);
        std::fs::write(place.path(images), &sound_images).unwrap();
        std::fs::write(place.path(labels), &sound_labels).unwrap();
        outcome
    };
    let nameless = place.run(&["import", "idx", "idx", "--out", "data", "--name", ""]);
    assert_eq!(nameless.code, Some(2), "{nameless:?}");
    assert!(nameless.err.contains("a value is required for '--name <NAME>'"), "{nameless:?}");
    let pixels = &sound_images[16..];
    let declares = |count: u32, rows: u32, columns: u32| idx(&[count, rows, columns], pixels);
    import(images, &declares(121, 12, 12)).refused(1, images, "fetch it again");
    import(images, &declares(119, 12, 12)).refused(1, images, "fetch it again");
    import(images, &declares(u32::MAX, 16384, 16384)).refused(1, images, "");
    import(images, &declares(120, 0, 12)).refused(1, images, "");
    import(images, &sound_images[..17]).refused(1, images, "fetch it again");
    import(images, &sound_images[..9]).refused(1, images, "");
    import(images, &[1, 2, 3, 4]).refused(1, images, "");
    import(images, &sound_labels).refused(1, images, "are these labels, or images that were flattened?");
    import(labels, &idx(&[119], &sound_labels[8..127])).refused(1, labels, "");
    assert_eq!(place.names(), ["idx"]);
    place.run(&["import", "idx", "idx", "--out", "data"]).done();
    let again = place.run(&["import", "idx", "idx", "--out", "data"]);
    again.refused(1, "data/train.parquet: exists already and was left as it is", "");
}

#[test]
fn a_run_directory_with_anything_in_it_is_left_as_it_is() {
    let place = Place::with_data();
    std::fs::create_dir(place.path("taken")).unwrap();
    std::fs::write(place.path("taken/thesis.txt"), "years of work").unwrap();
    std::fs::write(place.path("file"), "no directory").unwrap();
    let words = [
        "train",
        "data.path=data",
        "model.name=mlp",
        "mask.policy=static",
        "sieve.policy=none",
        "train.epochs=2",
    ];
    let train =
        |directory: &str| place.run(&[&words[..], &["freeze.policy=none", "--run-dir", directory]].concat());
    train("taken").refused(1, "taken: is not empty; nothing was overwritten", "");
    assert_eq!(std::fs::read_to_string(place.path("taken/thesis.txt")).unwrap(), "years of work");
    assert_eq!(place.path("taken").read_dir().unwrap().count(), 1);
    train("file").refused(1, "file: ", "");
    assert_eq!(std::fs::read_to_string(place.path("file")).unwrap(), "no directory");

    // The second run into the directory of the first.
    train("run").done();
    let manifest = std::fs::read(place.path("run/manifest.json")).unwrap();
    let there = "run: is the directory of a run, which is finished (2 epochs); nothing was overwritten; ";
    train("run").refused(1, there, "; choose another run directory");
    assert_eq!(std::fs::read(place.path("run/manifest.json")).unwrap(), manifest);
    place.run(&["verify", "run"]).done();
}
