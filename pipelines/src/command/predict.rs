//! `spfde predict`: what a trained network sees in pictures.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};
use spfde_data::files::picture::{self, Fit, Picture};
use spfde_data::files::table_file::{self, Columns, Values};
use spfde_data::files::{DataError, atomic};
use spfde_data::{Images, Normalization, Setting, Value, counted};

use super::of_run::OfRun;
use super::tell;
use crate::report::table::{precise, table};
use crate::terminal::{Style, remark, say_all, say_file, say_json, set_style};
use crate::trained::{Prediction, TrainedNetwork, on_all_cores};
use crate::{App, Error, Result};

/// Pictures that are in memory at once.
const GROUP: usize = 512;

/// Predict the classes of pictures with the network of a run.
///
/// The weights are those that the run has committed last, or the best ones with --best. Pictures are PNG,
/// JPEG, WebP or BMP files; of a directory all in it and below it, by name. Their channels are converted to
/// those of the run's images. A picture of another size is scaled until it covers the image, then cropped
/// around its middle: a note says of how many that is true.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  spfde predict runs/resnet20-0-1 shoe.png photos  a file, and all pictures in a directory
  spfde predict runs/resnet20-0-1 photos --fit pad --csv > photos.csv
                                                   nothing is cropped; comma-separated values
  spfde predict runs/resnet20-0-1 --data fashion-mnist --parquet predictions.parquet
                                                   the test images of a data set")]
pub(super) struct Predict {
    #[command(flatten)]
    of: OfRun,
    /// Pictures, or directories that hold them
    #[arg(required_unless_present = "data", conflicts_with = "data")]
    images: Vec<PathBuf>,
    /// Predict the test images of this data set, by its name or directory; `image` is then their number
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// What becomes of a picture of another size
    #[arg(long, value_name = "HOW", default_value = "crop", value_parser = Fit::NAMES.to_vec())]
    fit: String,
    /// Print comma-separated values: image, class, label, and the probability of each class
    #[arg(long, group = "format")]
    csv: bool,
    /// Print an object of JSON a line: image, class, label, probabilities
    #[arg(long, group = "format")]
    json: bool,
    /// Write the same columns as --csv prints to a Parquet file; nothing is overwritten
    #[arg(long, group = "format", value_name = "FILE")]
    parquet: Option<PathBuf>,
}

/// An image by its file or its number, and what the network says of it.
type Row = (Json, Prediction);

impl Predict {
    /// Predicts and prints.
    ///
    /// # Errors
    /// If the run has no weights, or the data cannot be read. Of pictures those that can be read are
    /// predicted; the others are told one by one.
    pub(super) fn run(self, app: &App) -> Result<()> {
        if self.json {
            set_style(Style::Json);
        }
        if let Some(path) = &self.parquet {
            atomic::refuse_existing(path)?;
        }
        let trained = self.of.open(app)?;
        let mut out = Out { form: &self, labels: trained.labels(), rows: Vec::new(), began: false };
        let ended = match &self.data {
            Some(data) => {
                let set = trained.data_at(data)?;
                let logits = trained.logits(&set.test, &trained.normalization()?)?;
                let named =
                    logits.iter().enumerate().map(|(row, logits)| (json!(row), Prediction::of(logits)));
                out.add(named.collect())
            }
            None => self.pictures(&trained, &mut out),
        };
        out.finish()?;
        ended
    }

    /// Predicts the pictures, group by group.
    fn pictures(&self, trained: &TrainedNetwork, out: &mut Out<'_>) -> Result<()> {
        let found: Vec<Vec<PathBuf>> =
            self.images.iter().map(|place| picture::find(place)).collect::<Result<_, _>>()?;
        let (found, normalization) = (found.concat(), trained.normalization()?);
        if trained.is_table()? {
            let what = "the run was trained on the rows of a table, which pictures are not; use --data";
            return Err(Error::usage(format!("{}: {what}", self.of.run.display())));
        }
        let fit = Fit::from_value(&Value::Text(self.fit.clone())).expect("the names were checked");
        let (mut resized, mut bad) = (0, 0);
        for paths in found.chunks(GROUP) {
            let read = |path: &PathBuf| picture::read(path, trained.shape(), fit);
            let pictures = on_all_cores(paths.len(), |part| paths[part].iter().map(read).collect());
            let mut good = Vec::new();
            for (path, picture) in paths.iter().zip(pictures) {
                match picture {
                    Ok(picture) => {
                        resized += usize::from(picture.resized);
                        good.push((path, picture));
                    }
                    Err(error) => {
                        bad += 1;
                        tell(&Error::from(error));
                    }
                }
            }
            out.add(predict(trained, &normalization, good)?)?;
        }
        let all = counted(found.len(), "picture");
        if resized > 0 {
            let [_, rows, columns] = trained.shape();
            let how = match fit {
                Fit::Crop => "scaled, and cropped around their middle; --fit pad keeps all of them",
                Fit::Pad | Fit::Refuse => "scaled, and padded with black",
            };
            remark(format_args!("{resized} of {all} had another size than {rows} × {columns}: {how}"));
        }
        match bad {
            0 => Ok(()),
            _ => Err(Error::failed(format!("{bad} of {all} could not be read; the others are predicted"))),
        }
    }
}

/// The predictions of pictures that were read.
fn predict(
    trained: &TrainedNetwork,
    normalization: &Normalization,
    pictures: Vec<(&PathBuf, Picture)>,
) -> Result<Vec<Row>> {
    let [channels, height, width] = trained.shape();
    let (paths, pictures): (Vec<&PathBuf>, Vec<Picture>) = pictures.into_iter().unzip();
    let labels = vec![0; pictures.len()];
    let pixels = pictures.into_iter().flat_map(|picture| picture.pixels).collect();
    let images = Images { channels, height, width, pixels, labels };
    let named = paths.into_iter().zip(trained.logits(&images, normalization)?);
    Ok(named.map(|(path, logits)| (json!(path.display().to_string()), Prediction::of(&logits))).collect())
}

/// Where predictions go.
struct Out<'a> {
    form: &'a Predict,
    /// The name of each class.
    labels: Vec<String>,
    /// Those that are still to be written.
    rows: Vec<Row>,
    /// Whether the heads have been printed.
    began: bool,
}

impl Out<'_> {
    /// Prints some predictions, or keeps them for the end.
    fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        if let Some((image, _)) = rows.iter().find(|(_, prediction)| !prediction.is_finite()) {
            let what = "the network's numbers for it are not finite: its weights are of no use";
            return Err(Error::failed(format!("{}: {what}", text(image))));
        }
        self.rows.extend(rows);
        if self.form.json {
            for (image, Prediction { class, probabilities }) in self.rows.drain(..) {
                let label = &self.labels[class];
                let shares = probabilities;
                say_json(|| json!({"image": image, "class": class, "label": label, "probabilities": shares}));
            }
        } else if self.form.csv && !self.rows.is_empty() {
            let lines = csv(self.began, std::mem::take(&mut self.rows), &self.labels);
            self.began = true;
            say_file(lines.trim_end_matches('\n'));
        }
        Ok(())
    }

    /// Writes what has been kept.
    fn finish(self) -> Result<(), DataError> {
        let Self { form, labels, rows, .. } = self;
        if rows.is_empty() {
            return Ok(());
        }
        if let Some(path) = &form.parquet {
            return table_file::write(path, columns(&rows, &labels));
        }
        let cells = |(image, Prediction { class, probabilities }): &Row| {
            vec![text(image), class.to_string(), labels[*class].clone(), precise(probabilities[*class])]
        };
        say_all(table(
            [("image", 0), ("class", 1), ("label", 0), ("probability", 0)],
            rows.iter().map(cells),
        ));
        Ok(())
    }
}

/// An image's file or number.
fn text(image: &Json) -> String {
    image.as_str().map_or_else(|| image.to_string(), str::to_owned)
}

/// The names of the columns of probabilities.
fn heads(classes: usize) -> impl Iterator<Item = String> {
    (0..classes).map(|class| format!("probability_{class}"))
}

/// Rows as comma-separated values, behind a line of heads unless they `go_on`.
fn csv(go_on: bool, rows: Vec<Row>, labels: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |record: Vec<String>| writer.write_record(record).expect("memory takes any record");
    if !go_on {
        let first = ["image", "class", "label"].map(str::to_owned);
        write(first.into_iter().chain(heads(labels.len())).collect());
    }
    for (image, Prediction { class, probabilities }) in rows {
        let first = [text(&image), class.to_string(), labels[class].clone()];
        write(first.into_iter().chain(probabilities.iter().map(f64::to_string)).collect());
    }
    let bytes = writer.into_inner().expect("memory can be written to");
    String::from_utf8(bytes).expect("all of it was text")
}

/// Rows as the columns of a table.
fn columns(rows: &[Row], labels: &[String]) -> Columns {
    let images = match rows.iter().all(|(image, _)| image.is_number()) {
        true => Values::Integer(rows.iter().map(|(image, _)| image.as_i64()).collect()),
        false => Values::Text(rows.iter().map(|(image, _)| Some(text(image))).collect()),
    };
    let classes = rows.iter().map(|(_, prediction)| prediction.class);
    let mut columns = vec![
        ("image".to_owned(), images),
        ("class".to_owned(), Values::Integer(classes.clone().map(|class| Some(class as i64)).collect())),
        ("label".to_owned(), Values::Text(classes.map(|class| Some(labels[class].clone())).collect())),
    ];
    for (class, head) in heads(labels.len()).enumerate() {
        let shares = rows.iter().map(|(_, prediction)| Some(prediction.probabilities[class]));
        columns.push((head, Values::Number(shares.collect())));
    }
    columns
}
