//! Accuracy and loss, over epochs and over seconds.

use spfde_data::EpochRow;

use super::chart::EPOCH;
use super::figure::{Figure, Table, digits};
use super::lines::{COLOURS, Curve, left_out, lines};
use super::subject::Subject;

/// What a figure shows of the training set, the test set and the validation set.
struct Measure {
    title: &'static str,
    axis: &'static str,
    /// How the names of its columns end.
    column: &'static str,
    factor: f64,
    digits: usize,
    of: [fn(&EpochRow) -> Option<f64>; 3],
}

const MEASURES: [Measure; 2] = [
    Measure {
        title: "Accuracy",
        axis: "accuracy, percent",
        column: "accuracy",
        factor: 100.0,
        digits: 2,
        of: [|row| row.train_accuracy, |row| row.test_accuracy, |row| row.validation_accuracy],
    },
    Measure {
        title: "Loss",
        axis: "loss, nats",
        column: "loss",
        factor: 1.0,
        digits: 4,
        of: [|row| row.train_loss, |row| row.test_loss, |row| row.validation_loss],
    },
];

/// The names of the sets in the trace, and the classes of their lines.
const SETS: [(&str, &str); 3] = [("train", "dash"), ("test", ""), ("validation", "dot")];

/// The figures of accuracy and loss of some runs.
pub(super) fn figures(subjects: &[Subject]) -> Vec<Figure> {
    MEASURES.iter().map(|measure| measure.figure(subjects)).collect()
}

impl Measure {
    fn figure(&self, subjects: &[Subject]) -> Figure {
        let mut figure = Figure { title: self.title, ..Figure::default() };
        let [mut over_epochs, mut over_seconds] = [Vec::new(), Vec::new()];
        for (number, subject) in subjects.iter().enumerate() {
            let elapsed = subject.elapsed();
            // A set of which nothing is recorded has no column: files of early versions lack it.
            let is_recorded = |set: &usize| subject.costs.iter().any(|row| self.of[*set](row).is_some());
            let sets: Vec<usize> = (0..SETS.len()).filter(is_recorded).collect();
            let drawn = if number < COLOURS { &sets[..] } else { &[] };
            for (name, class, of) in drawn.iter().map(|set| (SETS[*set].0, SETS[*set].1, self.of[*set])) {
                let points = |across: &dyn Fn(u32) -> Option<f64>| Curve {
                    class: format!("l{number} {class}"),
                    told: format!("{}, {name}", subject.name),
                    points: subject
                        .shown()
                        .filter_map(|row| Some((across(row.epoch)?, self.factor * of(row)?)))
                        .collect(),
                };
                over_epochs.push(points(&|epoch| Some(f64::from(epoch) + 1.0)));
                over_seconds.push(points(&|epoch| elapsed[epoch as usize]));
            }
            if !sets.is_empty() {
                let legend = drawn.first().map(|_| (format!("f{number}"), subject.name.clone()));
                figure.legend.extend(legend);
                figure.tables.push(self.table(subject, &sets, &elapsed));
            }
        }
        let drawn = [(over_epochs, EPOCH), (over_seconds, "seconds since the start")];
        let drawn = drawn.iter().filter_map(|(curves, title)| lines(curves, title, self.axis, false));
        figure.drawings = drawn.collect();
        figure.caption = match figure.tables.is_empty() {
            true => {
                "Nothing is recorded: no epoch is committed yet, or a replay trains no network.".to_owned()
            }
            false => format!(
                "{} over epochs, and over seconds where these are recorded. Solid: the test set at the end \
                 of each epoch; dashed: the training samples as they were presented; dotted: the validation \
                 set, if there is one.{}",
                self.title,
                left_out(subjects.len())
            ),
        };
        figure
    }

    fn table(&self, subject: &Subject, sets: &[usize], elapsed: &[Option<f64>]) -> Table {
        let Self { factor, digits: precision, column, .. } = self;
        let sets = || sets.iter().map(|set| (SETS[*set].0, self.of[*set]));
        let columns =
            sets().map(|(set, _)| format!("round({factor} * {set}_{column}, {precision}) AS {set}"));
        let columns: Vec<String> = columns.chain(["round(elapsed, 1) AS elapsed".to_owned()]).collect();
        let is_timed = elapsed.iter().any(Option::is_some);
        let seconds = if is_timed { "sum(seconds) OVER (ORDER BY epoch)" } else { "NULL" };
        let more = [("columns", &*columns.join(", ")), ("elapsed", seconds)];
        let rows = subject.shown().map(|row| {
            let values = sets().map(|(_, of)| digits(of(row).map(|of| factor * of), *precision));
            let elapsed = digits(elapsed[row.epoch as usize], 1);
            [(row.epoch + 1).to_string()].into_iter().chain(values).chain([elapsed]).collect()
        });
        let heads = ["epoch"].into_iter().chain(sets().map(|(set, _)| set)).chain(["elapsed"]);
        let query = subject.query(include_str!("query/accuracy.sql"), &more);
        Table::new(&subject.name, &heads.collect::<Vec<_>>(), rows.collect(), query)
    }
}
