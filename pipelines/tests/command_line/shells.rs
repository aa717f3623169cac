//! What shells and `man` know of the program.

use crate::place::Place;

#[test]
fn shells_complete_commands_and_options() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).done().out;
        for word in ["predict", "evaluate", "export", "compare", "sweep", "watch", "analyse", "run-dir"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let wrong = place.run(&["completions", "csh"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("[possible values: bash, elvish, fish"), "{wrong:?}");
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let place = Place::new();
    place.run(&["man", "--out", "pages/man1"]).done();
    let page = |name: &str| std::fs::read_to_string(place.path("pages/man1").join(name)).unwrap();
    let whole = page("spfde.1");
    let commands = [
        "train", "resume", "replay", "bench", "verify", "predict", "evaluate", "export", "list", "compare",
        "sweep", "watch", "analyse", "report",
    ];
    for command in commands {
        assert!(whole.contains(&format!("spfde\\-{command}")), "{command}");
        assert!(page(&format!("spfde-{command}.1")).contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(page("spfde-train.1").contains("\\-\\-run\\-dir"));
    // Again, over what is there.
    place.run(&["man", "--out", "pages/man1"]).done();
}
