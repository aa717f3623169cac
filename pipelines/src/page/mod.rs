//! What happened in runs, as one page of HTML that needs nothing else: `spfde report`.
//!
//! A page is made of the recorded tables alone, so it can be made while a run goes on, after it, and of a run
//! that was interrupted; what a run did not record, the page says. Pictures and the confusion matrix need the
//! data set, too. Every figure has a caption, its numbers in a table, and the DuckDB query that makes them.
//!
//! A page stays small: lines and bars show at most 160 epochs, evenly spaced ones of a longer run; maps at
//! most 64 layers; pictures are at most 48 pixels wide and high. A run takes less than 2 MB so.

mod accuracy;
mod bars;
mod chart;
mod confusion;
mod cost;
mod epochs;
mod figure;
mod freezing;
mod gallery;
mod heat;
mod judging;
mod layers;
mod lines;
mod samples;
mod sets;
mod stages;
mod subject;

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use maud::{PreEscaped, html};
use spfde_data::files::RunDirectory;

use crate::report::share_of_dense;
use crate::report::table::{or_dash, percent, precise};
use crate::{Registry, Result};
use figure::{Figure, digits};
use samples::Samples;
use subject::Subject;

/// What a page begins with, by which one is known.
pub const MARK: &str = "<!DOCTYPE html><!-- spfde report -->";

/// What readers of a page have to know.
const INTRODUCTION: &str = "Epochs and steps count from 1 here, layers and samples from 0. Below each figure \
                            are its numbers and the query by which DuckDB makes them, from the directory in \
                            which this page was made.";

/// How often a run is read that is written meanwhile.
const TRIES: usize = 5;

/// The page about the runs in these directories; models that come with no program are known by the
/// `registry`.
///
/// ```no_run
/// let page = spfde::page::page(&spfde::Registry::standard(), &["runs/resnet20-0-1"])?;
/// std::fs::write("report.html", page).expect("the directory can be written to");
/// # Ok::<(), spfde::Error>(())
/// ```
///
/// # Errors
/// If one of them is no run, or its files are not what its manifest says.
pub fn page(registry: &Arc<Registry>, directories: &[impl AsRef<Path>]) -> Result<String> {
    // Files of a run that is written go away, or are replaced, only after its manifest has changed.
    let manifests = || -> Vec<Option<String>> {
        let opened = directories.iter().map(|directory| RunDirectory::open(directory.as_ref()).ok());
        opened.map(|run| Some(run?.manifest_blake3().to_owned())).collect()
    };
    for _ in 1..TRIES {
        let seen = manifests();
        match page_now(registry, directories) {
            Err(_) if manifests() != seen => {}
            made => return made,
        }
    }
    page_now(registry, directories)
}

/// The page about the runs as they are now.
fn page_now(registry: &Arc<Registry>, directories: &[impl AsRef<Path>]) -> Result<String> {
    let sets = Rc::default();
    let subjects = directories.iter().map(|directory| Subject::open(registry, directory.as_ref(), &sets));
    let subjects: Vec<Subject> = subjects.collect::<Result<_>>()?;
    let mut overview = accuracy::figures(&subjects);
    overview.push(cost::overview(&subjects)?);
    let sections = subjects.iter().map(|subject| Ok((subject, section(registry, subject)?)));
    let sections: Vec<(&Subject, Vec<Figure>)> = sections.collect::<Result<_>>()?;
    let title = subjects.iter().map(|subject| subject.name.as_str()).collect::<Vec<_>>().join(", ");
    let body = html! {
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "spfde: " (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                h1 { (title) }
                div.table { table.facts {
                    @for subject in subjects.iter().take(1) {
                        tr { @for (head, _) in facts(subject) { th { (head) } } }
                    }
                    @for subject in &subjects { tr { @for (_, cell) in facts(subject) { td { (cell) } } } }
                } }
                p { (INTRODUCTION) }
                @for figure in &overview { (figure.html()) }
                @for (subject, figures) in &sections {
                    section {
                        h2 { (subject.name) }
                        @if let Err(why) = &subject.settings {
                            p { "The configuration cannot be used, so the page has less: " (why) }
                        }
                        @for figure in figures { (figure.html()) }
                    }
                }
            }
        }
    };
    Ok(format!("{MARK}\n{}\n", body.into_string()))
}

/// What a run is and reached, each with what it is called.
fn facts(subject: &Subject) -> [(&'static str, String); 11] {
    let accuracy = subject.costs.last().and_then(|row| row.test_accuracy);
    let seconds = subject.elapsed().last().copied().flatten();
    [
        ("run", subject.name.clone()),
        ("network", subject.setting("model.name")),
        ("data set", subject.manifest().data_set.name.clone()),
        ("mask", subject.setting("mask.policy")),
        ("freezing", subject.setting("freeze.policy")),
        ("sieve", subject.setting("sieve.policy")),
        ("seed", subject.setting("seed")),
        ("epochs", state(subject)),
        ("test accuracy", or_dash(accuracy, precise)),
        ("FLOPs of dense", percent(share_of_dense(&subject.costs))),
        ("seconds", digits(seconds, 0)),
    ]
}

/// How far a run came.
fn state(subject: &Subject) -> String {
    let manifest = subject.manifest();
    let reached = format!("{} of {}", manifest.epochs_reached, manifest.epochs);
    match (&manifest.ended_early, &manifest.stopped, manifest.finished) {
        (Some(reason), _, _) => format!("{reached}; ended early: {reason}"),
        (_, Some(reason), _) => format!("{reached}; stopped: {reason}"),
        (_, _, true) if subject.is_replay() => format!("{reached}, a replay"),
        (_, _, true) => reached,
        _ if subject.is_held => format!("{reached}, in training when this page was made"),
        _ => format!("{reached}, interrupted"),
    }
}

/// The figures about one run.
fn section(registry: &Arc<Registry>, subject: &Subject) -> Result<Vec<Figure>> {
    if subject.costs.is_empty() {
        return Ok(vec![Figure::absent("Nothing yet", "No epoch is committed.")]);
    }
    let samples = Samples::read(subject)?;
    let mut figures = vec![
        cost::saved(subject),
        layers::density(subject),
        layers::churn(subject)?,
        freezing::figure(subject)?,
    ];
    figures.extend(judging::figures(subject)?);
    figures.extend([
        samples.flow(subject),
        samples.forgetting(subject),
        gallery::figure(registry, subject, &samples)?,
        confusion::figure(subject)?,
        stages::figure(subject)?,
    ]);
    Ok(figures)
}
