//! The page of `spfde report`: one file, small, and every number in it that of the trace, recomputed here
//! with plain loops.

use std::collections::BTreeMap;

use spfde::Registry;
use spfde::page::page;
use spfde_data::rows::*;
use spfde_policy::count;

use crate::support::{Bench, Recorded};
use crate::verification::forge;

const WORDS: [&str; 8] = [
    "model.name=lenet5",
    "mask.sparsity=0.5",
    "mask.interval=1",
    "sieve.fraction=0.3",
    "freeze.flops_reduction=0.1",
    "train.epochs=6",
    "trace.predictions=true",
    "trace.observe=full",
];

/// The tables of a page by the title of their figure and their own: heads, then rows.
fn tables(page: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let between = |text: &str, from: &str, to: &str| -> Vec<String> {
        let parts = text.split(from).skip(1).map(|part| part.split(to).next().unwrap());
        parts
            .map(|part| part.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">"))
            .map(|part| part.replace("&amp;", "&"))
            .collect()
    };
    let mut tables = BTreeMap::new();
    for figure in page.split("<figure>").skip(1) {
        let title = &between(figure, "<h3>", "</h3>")[0];
        for details in figure.split("<details>").skip(1) {
            let summary = &between(details, "<summary>", "</summary>")[0];
            let own = summary.split_once(": ").map_or("", |(_, own)| own);
            let rows = details.split("<tr>").skip(1);
            let rows =
                rows.map(|row| [between(row, "<th>", "</th>"), between(row, "<td>", "</td>")].concat());
            assert!(details.contains("<pre><code>") && details.contains("FROM"), "{title}: no query");
            assert_eq!(tables.insert(format!("{title}|{own}"), rows.collect()), None, "{title}|{own}");
        }
    }
    tables
}

/// Asserts that a table has these rows, behind its heads: numbers to the last digit that it shows.
fn assert_table(tables: &mut BTreeMap<String, Vec<Vec<String>>>, name: &str, expected: &[Vec<Cell>]) {
    let found = tables.remove(name).unwrap_or_else(|| panic!("no {name}, but {:?}", tables.keys()));
    assert_eq!(found.len(), expected.len() + 1, "{name}: rows");
    for (row, expected) in found[1..].iter().zip(expected) {
        assert_eq!((row.len(), found[0].len()), (expected.len(), expected.len()), "{name}: {row:?}");
        for (cell, expected) in row.iter().zip(expected) {
            match expected {
                Cell::Text(text) => assert_eq!(cell, text, "{name}: {row:?}"),
                Cell::Nothing => assert_eq!(cell, "–", "{name}: {row:?}"),
                Cell::Number(number) => {
                    let digits = cell.split_once('.').map_or(0, |(_, digits)| digits.len());
                    let off = (cell.parse::<f64>().unwrap() - number).abs();
                    let most = 0.500_001 * 10f64.powi(-(digits as i32));
                    assert!(off <= most, "{name}: {row:?}: {cell}, expected {number}");
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Cell {
    Number(f64),
    Text(String),
    Nothing,
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(Cell::from($cell)),*] };
}

#[test]
fn every_number_of_a_page_is_that_of_the_trace() {
    let bench = Bench::new(160);
    let experiment = bench.experiment(&[&WORDS[..], &[&*bench.data_word()]].concat());
    let run = bench.record("run", &experiment, 2);
    let page = page(&Registry::standard(), &[&run.path]).unwrap();
    let mut tables = tables(&page);
    let own = |figure: &str| format!("{figure}|{}", run.path.display());

    let epochs = run.rows::<EpochRow>();
    let timings = run.rows::<TimingRow>();
    let number = |epoch: u32| f64::from(epoch) + 1.0;
    let mut elapsed = 0.0;
    let [mut accuracy, mut loss, mut seconds] = [const { Vec::new() }; 3];
    for row in &epochs {
        elapsed += row.seconds.unwrap();
        let percent = |share: Option<f64>| Some(100.0 * share?);
        let epoch = number(row.epoch);
        accuracy.push(cells![epoch, percent(row.train_accuracy), percent(row.test_accuracy), elapsed]);
        loss.push(cells![epoch, row.train_loss, row.test_loss, elapsed]);
        let trains = ["load", "gradients", "reduce", "update", "mask", "sieve"];
        let of_epoch = timings.iter().filter(|timing| timing.epoch == row.epoch);
        let training = of_epoch.filter(|timing| trains.contains(&&*timing.stage));
        let share = 100.0 * (row.forward_flops + row.backward_flops) as f64 / row.dense_flops as f64;
        let training: f64 = training.map(|timing| timing.seconds).sum();
        seconds.push(cells![epoch, share, row.seconds, training]);
    }
    assert_table(&mut tables, &own("Accuracy"), &accuracy);
    assert_table(&mut tables, &own("Loss"), &loss);
    assert_table(&mut tables, &own("Cost of each epoch, counted and measured"), &seconds);
    costs(&mut tables, &run, &epochs, experiment.settings().network.architecture());
    layers(&mut tables, &run, &epochs);
    similar(&mut tables, &run, experiment.settings().network.architecture());
    samples(&mut tables, &run, &epochs, bench.samples());

    let mut confused: BTreeMap<(u16, u16), f64> = BTreeMap::new();
    for row in run.epoch::<PredictionRow>(5).iter().filter(|row| row.set == "test") {
        *confused.entry((bench.data().test.labels[row.sample as usize], row.class)).or_default() += 1.0;
    }
    let mut confused: Vec<_> = confused.into_iter().collect();
    confused.sort_by_key(|(pair, count)| (-*count as i64, *pair));
    let confused =
        confused.iter().map(|((label, class), count)| cells![f64::from(*label), f64::from(*class), *count]);
    assert_table(&mut tables, "Confusion matrix|", &confused.collect::<Vec<_>>());
    let mut stages: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for row in &timings {
        let stage = stages.entry(&row.stage).or_default();
        (stage.0, stage.1) = (stage.0 + row.seconds, stage.1 + row.calls as f64);
    }
    let sum: f64 = stages.values().map(|stage| stage.0).sum();
    let mut stages: Vec<_> = stages.into_iter().collect();
    stages.sort_by(|left, right| right.1.0.total_cmp(&left.1.0));
    let stages = stages.iter().map(|(name, (seconds, calls))| {
        cells![Cell::Text((*name).to_owned()), *seconds, *calls, 100.0 * seconds / sum]
    });
    assert_table(&mut tables, "Time of each stage|", &stages.collect::<Vec<_>>());
    assert_eq!(tables.keys().collect::<Vec<_>>(), [""; 0], "a table that nothing is compared with");

    // Predictions of the trace stand below the pictures; all three groups have some.
    assert_eq!(page.matches("<img ").count(), 36);
    let label = bench.data().train.labels[0];
    let last = run.epoch::<PredictionRow>(5);
    let first = last.iter().find(|row| row.set == "train" && row.sample == 0).unwrap();
    let told = format!("sample 0, is {label}, taken for {}\"", first.class);
    assert!(!page.contains("alt=\"sample 0,") || page.contains(&told), "{told}");
}

/// The counted costs: the savings taken from costs of other weights, samples and frozen blocks.
fn costs(
    tables: &mut BTreeMap<String, Vec<Vec<String>>>,
    run: &Recorded,
    epochs: &[EpochRow],
    network: &spfde_data::Architecture,
) {
    let dense: Vec<u32> = network.layers.iter().map(|layer| layer.weights() as u32).collect();
    let rows = epochs.iter().map(|row| {
        let nonzero: Vec<u32> = run.epoch::<LayerRow>(row.epoch).iter().map(|row| row.nonzero).collect();
        let all = row.dense_flops as f64;
        let of = |weights: &[u32]| count(network, weights, 0, row.active_samples).total() as f64;
        let (sieved, masked) = (of(&dense), of(&nonzero));
        let computed = (row.forward_flops + row.backward_flops) as f64;
        let shares = [computed, masked - computed, sieved - masked, all - sieved];
        let extra = (row.observed_flops + row.extra_flops) as f64;
        let shares = shares.into_iter().chain([extra]).map(|flops| Cell::Number(100.0 * flops / all));
        cells![f64::from(row.epoch) + 1.0, all / 1e9].into_iter().chain(shares).collect()
    });
    assert_table(tables, "What each axis saved|", &rows.collect::<Vec<_>>());
}

fn layers(tables: &mut BTreeMap<String, Vec<Vec<String>>>, run: &Recorded, epochs: &[EpochRow]) {
    let (mut densities, mut exchanged, mut norms) = (Vec::new(), Vec::new(), Vec::new());
    for epoch in epochs {
        let number = f64::from(epoch.epoch) + 1.0;
        let layers = run.epoch::<LayerRow>(epoch.epoch);
        let density = |row: &LayerRow| Cell::Number(100.0 * f64::from(row.nonzero) / f64::from(row.weights));
        densities.push(cells![number].into_iter().chain(layers.iter().map(density)).collect());
        let masks = run.epoch::<MaskRow>(epoch.epoch);
        let count = |diff| masks.iter().filter(|row| row.diff == diff).count() as f64;
        if epoch.epoch > 0 && !masks.is_empty() {
            exchanged.push(cells![number, count(-1), count(1), 100.0 * count(1) / epoch.nonzero as f64]);
        }
        let gradients = run.epoch::<GradientRow>(epoch.epoch);
        let norm = |layer: u16| {
            let squares =
                gradients.iter().filter(|row| row.layer == layer).map(|row| f64::from(row.l2).powi(2));
            let squares: Vec<f64> = squares.collect();
            Cell::Number((squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
        };
        norms.push(cells![number].into_iter().chain((0..layers.len() as u16).map(norm)).collect());
    }
    assert!(exchanged.len() > 2, "masks change");
    assert_table(tables, "Density by layer|", &densities);
    assert_table(tables, "Weights that masks exchange|", &exchanged);
    assert_table(tables, "Freezing and gradient norms|gradient norms", &norms);
    let mut freezes: BTreeMap<(u32, String), Vec<u16>> = BTreeMap::new();
    for row in run.rows::<FreezeRow>() {
        assert_eq!((row.step, row.diff), (0, 1));
        freezes.entry((row.epoch, row.reason)).or_default().push(row.layer);
    }
    let freezes = freezes.into_iter().map(|((epoch, reason), layers)| {
        let [change, layers, reason] = ["freeze".to_owned(), format!("{layers:?}"), reason].map(Cell::Text);
        vec![Cell::from(f64::from(epoch) + 1.0), Cell::from(1.0), layers, change, reason]
    });
    let freezes: Vec<Vec<Cell>> = freezes.collect();
    assert!(!freezes.is_empty(), "layers freeze");
    assert_table(tables, "Freezing and gradient norms|freezes", &freezes);
}

/// The least CKA of a block's layers.
fn similar(
    tables: &mut BTreeMap<String, Vec<Vec<String>>>,
    run: &Recorded,
    network: &spfde_data::Architecture,
) {
    let mut rows = Vec::new();
    for epoch in 0..run.manifest.epochs {
        let found = run.epoch::<SimilarityRow>(epoch);
        let least = |block: usize| {
            let of_block = found.iter().filter(|row| network.layers[usize::from(row.layer)].block == block);
            of_block.map(|row| row.measure).reduce(f64::min)
        };
        if !found.is_empty() {
            let blocks = (0..=network.blocks.len()).map(|block| Cell::from(least(block)));
            rows.push(cells![f64::from(epoch) + 1.0].into_iter().chain(blocks).collect());
        }
    }
    assert!(rows.len() > 3, "layers are compared");
    assert_table(tables, "How alike blocks stay|", &rows);
}

#[test]
fn a_page_shows_by_what_freezing_was_judged() {
    let bench = Bench::new(80);
    let words = ["model.name=lenet5", "train.epochs=6", "mask.sparsity=0.5", "mask.interval=1"];
    let policy = ["freeze.policy=cka", "freeze.similarity=0.9"];
    let data = bench.data_word();
    let words = [&words[..], &policy, &[&*data]].concat();
    let run = bench.record("run", &bench.experiment(&words), 1);
    let made = page(&Registry::standard(), &[&run.path]).unwrap();
    assert_alone(&made);
    let mut tables = tables(&made);
    let rows = run.rows::<FreezeEvidenceRow>().into_iter().map(|row| {
        let [epoch, window] = [row.epoch, row.window].map(|number| f64::from(number) + 1.0);
        cells![epoch, window, f64::from(row.block), row.measure, row.threshold]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    assert!(rows.len() >= 8, "blocks are judged");
    assert_table(&mut tables, "By what freezing was judged|", &rows);
    assert!(made.contains("What the policy `cka` measured") && tables.contains_key("How alike blocks stay|"));
    // A schedule judges nothing, and nothing is compared for it.
    let words = ["model.name=lenet5", "train.epochs=2", "freeze.policy=none", &*data];
    let run = bench.record("none", &bench.experiment(&words), 1);
    let made = page(&Registry::standard(), &[&run.path]).unwrap();
    assert!(!made.contains("How alike blocks stay") && !made.contains("By what freezing was judged"));
}

fn samples(
    tables: &mut BTreeMap<String, Vec<Vec<String>>>,
    run: &Recorded,
    epochs: &[EpochRow],
    samples: usize,
) {
    let (scores, sieves) = (run.rows::<ScoreRow>(), run.rows::<SieveRow>());
    let moves = |epoch: Option<u32>, sample: Option<u32>, diff: i8| {
        let is_of = |row: &&SieveRow| {
            row.epoch > 0
                && epoch.is_none_or(|epoch| row.epoch == epoch)
                && sample.is_none_or(|sample| row.sample == sample)
                && row.diff == diff
        };
        sieves.iter().filter(is_of).count() as f64
    };
    let flow = epochs.iter().map(|row| {
        let of = |diff| moves(Some(row.epoch), None, diff);
        cells![f64::from(row.epoch) + 1.0, of(1), of(-1), f64::from(row.active_samples)]
    });
    assert_table(tables, "Samples that enter and leave training|", &flow.collect::<Vec<_>>());

    let mut forgotten: BTreeMap<Option<u32>, f64> = BTreeMap::new();
    let (mut scored, mut exchanged) = (Vec::new(), Vec::new());
    for sample in 0..samples as u32 {
        let own: Vec<&ScoreRow> = scores.iter().filter(|row| row.sample == sample).collect();
        let events = own.windows(2).filter(|pair| pair[0].correct && !pair[1].correct).count() as u32;
        let times = own.iter().any(|row| row.correct).then_some(events);
        *forgotten.entry(times).or_default() += 1.0;
        let wrong = own.iter().filter(|row| !row.correct).count();
        let loss = own.iter().map(|row| f64::from(row.loss)).sum::<f64>() / own.len() as f64;
        scored.push((sample, own.len(), wrong, loss));
        exchanged.push((sample, moves(None, Some(sample), 1), moves(None, Some(sample), -1)));
    }
    let never = forgotten.remove(&None);
    let forgotten = forgotten.into_iter().map(|(times, count)| cells![f64::from(times.unwrap()), count]);
    let forgotten: Vec<_> = forgotten.chain(never.map(|count| cells![None, count])).collect();
    assert_table(tables, "How often samples were forgotten|", &forgotten);
    let rows = |of: &[(u32, usize, usize, f64)]| -> Vec<Vec<Cell>> {
        let row = |(sample, scored, wrong, loss): &(u32, usize, usize, f64)| {
            cells![f64::from(*sample), *scored as f64, *wrong as f64, *loss]
        };
        of[..12].iter().map(row).collect()
    };
    scored.sort_by(|left, right| left.3.total_cmp(&right.3).then(left.0.cmp(&right.0)));
    assert_table(tables, "Samples that stand out|easiest", &rows(&scored));
    scored.sort_by(|left, right| right.2.cmp(&left.2).then(right.3.total_cmp(&left.3)));
    assert_table(tables, "Samples that stand out|hardest", &rows(&scored));
    exchanged.sort_by_key(|(sample, entering, leaving)| (-(entering + leaving) as i64, *sample));
    let exchanged = exchanged[..12].iter().map(|row| cells![f64::from(row.0), row.1, row.2]);
    assert_table(tables, "Samples that stand out|most often exchanged", &exchanged.collect::<Vec<_>>());
}

/// Asserts that a page needs no other file, and no network.
fn assert_alone(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    for word in ["<script", "<link", "<iframe", "<object", "href=", "url(", "@import", "srcset", "<base"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.split("src=\"").skip(1).all(|source| source.starts_with("data:image/png;base64,")));
    let outside: Vec<&str> = page.split("://").collect();
    assert!(outside.windows(2).all(|pair| pair[1].starts_with("www.w3.org/2000/svg\"")));
}

#[test]
fn a_page_of_many_epochs_stands_alone_and_stays_small() {
    let bench = Bench::new(40);
    let words = ["model.name=lenet5", "mask.sparsity=0.5", "train.epochs=161", "trace.observe=full"];
    let run = bench.record("run", &bench.experiment(&[&words[..], &[&*bench.data_word()]].concat()), 1);
    let page = page(&Registry::standard(), &[&run.path]).unwrap();
    assert_alone(&page);
    assert!(page.len() < 1 << 19, "{} bytes", page.len());
    // Two epochs are shown as one.
    let mut tables = tables(&page);
    let shown = run.rows::<EpochRow>();
    let accuracy = tables.remove(&format!("Accuracy|{}", run.path.display())).unwrap();
    let numbers: Vec<&str> = accuracy[1..].iter().map(|row| &*row[0]).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[79], numbers[80]), (81, "2", "160", "161"));
    let last = 100.0 * shown[160].test_accuracy.unwrap();
    assert_eq!(accuracy[81][2], format!("{last:.2}"));
    let masks = run.rows::<MaskRow>();
    let exchanged = tables.remove("Weights that masks exchange|").unwrap();
    let sum = |column: usize| -> usize {
        exchanged[1..].iter().map(|row| row[column].parse::<usize>().unwrap()).sum()
    };
    let count = |diff| masks.iter().filter(|row| row.epoch > 0 && row.diff == diff).count();
    assert_eq!([sum(1), sum(2)], [count(-1), count(1)]);
    let flow = tables.remove("Samples that enter and leave training|").unwrap();
    let entering: usize = flow[1..].iter().map(|row| row[1].parse::<usize>().unwrap()).sum();
    let moved = run.rows::<SieveRow>().iter().filter(|row| row.epoch > 0 && row.diff == 1).count();
    assert_eq!(entering, moved);
}

#[test]
fn a_page_says_what_a_run_did_not_record() {
    let bench = Bench::new(80);
    let words = ["model.name=lenet5", "train.epochs=3", "sieve.fraction=0.3", "mask.sparsity=0.5"];
    let run =
        bench.record("<i>&'run[1]", &bench.experiment(&[&words[..], &[&*bench.data_word()]].concat()), 1);
    let made = page(&Registry::standard(), &[&run.path]).unwrap();
    assert_alone(&made);
    assert!(made.contains("trace.predictions=true has it"));
    // Nothing of a name is taken for HTML.
    assert!(made.contains("&lt;i&gt;&amp;'run") && !made.contains("<i>"));
    assert!(made.contains("&amp;''run[[]1]/trace/"), "a name in a query is quoted");
    // Weights of the run predict the classes.
    assert!(made.contains("by the weights that the run committed last") && made.contains("taken for "));

    std::fs::rename(bench.path("data"), bench.path("elsewhere")).unwrap();
    let made = page(&Registry::standard(), &[&run.path]).unwrap();
    assert_eq!(made.matches("<img ").count(), 0);
    assert!(made.contains("There are no pictures: "), "the note");
    assert_eq!(tables(&made).len(), 14);

    let damaged = run.segment("scores", 1, 0).path.clone();
    std::fs::write(run.path.join(&damaged), b"other").unwrap();
    let error = page(&Registry::standard(), &[&run.path]).unwrap_err().to_string();
    assert!(error.contains(&damaged), "{error}");
}

#[test]
fn a_page_tells_of_predictions_of_no_class_and_of_runs_beyond_its_colours() {
    let bench = Bench::new(40);
    let words = ["model.name=lenet5", "train.epochs=1", "trace.predictions=true", "trace.observe=full"];
    let run = bench.record("run", &bench.experiment(&[&words[..], &[&*bench.data_word()]].concat()), 1);
    forge::<PredictionRow>(&run, 0, |rows| {
        rows.iter_mut().for_each(|row| row.class = PredictionRow::NONE);
    });
    let made = page(&Registry::standard(), &[&run.path; 17]).unwrap();
    assert!(made.contains("taken for no class") && !made.contains("taken for 65535"));
    assert!(made.contains("not finite the table has no class, but 65535."), "the confusion matrix");
    assert!(made.contains("Of 17 runs the first 16 are drawn; all have a table."));
    assert!(made.contains("class=\"f15\"") && !made.contains("class=\"f16\""));
}
