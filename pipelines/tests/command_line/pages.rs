//! `spfde report`: where the page goes, what it replaces, and runs of all kinds.

use std::path::Path;

use crate::place::Place;

#[test]
fn a_page_goes_into_the_run_and_replaces_nothing_but_a_page() {
    let place = Place::with_runs(&[("run", "seed=1"), ("other", "seed=2")]);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(place.run(&["report", "run"]).done().out, "run/report.html\n");
    let page = read("run/report.html");
    assert!(
        page.contains("<h1>run</h1>") && page.contains("FROM 'run/trace/"),
        "it names the run as it was typed"
    );
    // Made again of what has not changed it is the same, and verify does not mind it.
    assert_eq!(place.run(&["report", "run/trace"]).done().out, "run/report.html\n");
    assert_eq!(read("run/report.html"), page);
    place.run(&["verify", "run"]).done();

    let several = "several runs: name the page with --out FILE.html";
    place.run(&["report", "run", "other"]).refused(2, several, "");
    place.run(&["report", "run", "other", "--out", "both.html"]).done();
    let both = read("both.html");
    assert!(both.contains("<h2>run</h2>") && both.contains("<h2>other</h2>"), "{}", both.len());

    std::fs::write(place.path("mine.html"), "<!DOCTYPE html>\n<p>mine").unwrap();
    place.run(&["report", "run", "--out", "mine.html"]).refused(1, "mine.html: ", "");
    assert_eq!(read("mine.html"), "<!DOCTYPE html>\n<p>mine");
    place.run(&["report", "nothing"]).refused(1, "nothing: ", "");
}

#[test]
fn replays_and_runs_of_early_versions_have_pages() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    place.run(&["replay", "run", "sieve.fraction=0.3", "--out", "replay"]).done();
    place.run(&["report", "replay"]).done();
    let page = std::fs::read_to_string(place.path("replay/report.html")).unwrap();
    assert!(page.contains("5 of 5, a replay") && page.contains("a replay trains no network"));
    // What it takes of layers are their costs.
    assert!(page.contains("<h3>Density by layer</h3>") && page.contains("replay/trace/costs/"));
    let early = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v2");
    for (run, state) in
        [("circular", "8 of 8<"), ("unfinished", "5 of 200; stopped: interrupted at epoch 5, step 21<")]
    {
        let run = early.join(run).display().to_string();
        place.run(&["report", &run, "--out", "early.html"]).done();
        let page = std::fs::read_to_string(place.path("early.html")).unwrap();
        assert!(page.contains(state) && page.contains("There are no pictures: "), "{run}");
        assert!(
            !page.contains("AS elapsed, ") && page.contains("NULL AS elapsed"),
            "{run}: it has no seconds"
        );
    }
}
