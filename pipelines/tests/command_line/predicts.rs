//! Predictions of pictures and data sets, and evaluations.

use std::path::Path;

use image::GrayImage;
use serde_json::Value;
use spfde_data::files::data_set;
use spfde_data::files::manifest::Manifest;
use spfde_data::files::parquet_store::read_stream;
use spfde_data::files::table_file::{self, Values};
use spfde_data::{EpochRow, PredictionRow, Row};

use crate::place::Place;

/// The predictions of a command that prints JSON, line by line.
pub(crate) fn predictions(place: &Place, words: &[&str]) -> Vec<Value> {
    let printed = place.run(&[&["predict"], words, &["--json"]].concat()).done().out;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The probabilities of a prediction.
pub(crate) fn probabilities(prediction: &Value) -> Vec<f64> {
    prediction["probabilities"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect()
}

/// Whether numbers are the same, but for what reading JSON loses in their last bits.
fn alike(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-15)
}

/// Writes the first test images of a place's data as pictures `photos/00.png` and so on.
fn write_pictures(place: &Place, count: usize) {
    let set = data_set::read(&place.path("data")).unwrap();
    std::fs::create_dir(place.path("photos")).unwrap();
    for sample in 0..count {
        let picture = GrayImage::from_raw(12, 12, set.test.image(sample).to_vec()).unwrap();
        picture.save(place.path(&format!("photos/{sample:02}.png"))).unwrap();
    }
}

#[test]
fn pictures_and_rows_of_a_data_set_get_the_same_predictions() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    write_pictures(&place, 12);
    let rows = predictions(&place, &["run", "--data", "data"]);
    let pictures = predictions(&place, &["run", "photos"]);
    assert_eq!((rows.len(), pictures.len()), (40, 12));
    for (number, (row, picture)) in rows.iter().zip(&pictures).enumerate() {
        assert_eq!(row["image"], number);
        assert_eq!(picture["image"], format!("photos/{number:02}.png"));
        let shares = probabilities(row);
        assert_eq!(shares, probabilities(picture));
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let class = row["class"].as_u64().unwrap() as usize;
        assert!(shares.iter().all(|share| *share <= shares[class]));
        assert_eq!(row["label"], class.to_string());
    }
    // The run alone is enough for pictures.
    std::fs::rename(place.path("data"), place.path("elsewhere")).unwrap();
    assert_eq!(predictions(&place, &["run", "photos"]), pictures);

    let csv = place.run(&["predict", "run", "photos", "--csv"]).done().out;
    let lines: Vec<&str> = csv.lines().collect();
    let heads = (0..10).map(|class| format!(",probability_{class}")).collect::<String>();
    assert_eq!((lines[0], lines.len()), (&*format!("image,class,label{heads}"), 13));
    for (line, picture) in lines[1..].iter().zip(&pictures) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], picture["image"]);
        let shares: Vec<f64> = cells[3..].iter().map(|share| share.parse().unwrap()).collect();
        assert!(alike(&shares, &probabilities(picture)), "{line}");
    }
    let words = ["predict", "run", "photos/03.png", "photos", "--parquet", "out.parquet"];
    assert_eq!(place.run(&words).done().out, "");
    let mut found = Vec::new();
    let columns = ["image", "class", "label", "probability_7"];
    table_file::read(&place.path("out.parquet"), &columns, |columns| found = columns).unwrap();
    let wanted: Vec<&Value> = std::iter::once(&pictures[3]).chain(&pictures).collect();
    let text = |key: &str| wanted.iter().map(|row| Some(row[key].as_str().unwrap().to_owned())).collect();
    assert_eq!(found[0], Values::Text(text("image")));
    assert_eq!(found[1], Values::Integer(wanted.iter().map(|row| row["class"].as_i64()).collect()));
    assert_eq!(found[2], Values::Text(text("label")));
    let Values::Number(shares) = &found[3] else { panic!("{:?}", found[3]) };
    let shares: Vec<f64> = shares.iter().map(|share| share.unwrap()).collect();
    assert!(alike(&shares, &wanted.iter().map(|row| probabilities(row)[7]).collect::<Vec<_>>()));
    place.run(&words).refused(1, "out.parquet: exists already", "choose another path or remove it");
    let table = place.run(&["predict", "run", "photos"]).done().out;
    assert_eq!(table.lines().count(), 13);
    assert!(table.starts_with("image") && table.lines().all(|line| !line.contains('[')), "{table}");
}

#[test]
fn labels_are_the_names_of_classes_where_they_are_known() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    let mut manifest = Manifest::read(&place.path("run")).unwrap();
    manifest.data_set.class_names = (0..10).map(|class| format!("pattern, {class}")).collect();
    manifest.write(&place.path("run")).unwrap();
    for row in predictions(&place, &["run", "--data", "data"]) {
        assert_eq!(row["label"], format!("pattern, {}", row["class"]));
    }
    let csv = place.run(&["predict", "run", "--data", "data", "--csv"]).done().out;
    assert!(csv.lines().skip(1).all(|line| line.contains(",\"pattern, ")), "{csv}");
    let text = place.run(&["evaluate", "run"]).done().out;
    assert!(text.contains("\npattern, 3 ") && text.contains("class \\ predicted  pattern, 0  "), "{text}");
}

#[test]
fn what_is_no_picture_of_the_right_kind_is_told_and_the_rest_predicted() {
    let place = Place::with_runs(&[("run", "seed=1")]);
    write_pictures(&place, 2);
    GrayImage::from_pixel(30, 24, image::Luma([9])).save(place.path("photos/wide.png")).unwrap();
    image::RgbImage::from_pixel(12, 12, image::Rgb([9; 3])).save(place.path("photos/colour.bmp")).unwrap();
    let sized = place.run(&["predict", "run", "photos", "--csv"]).done();
    assert_eq!(sized.out.lines().count(), 5);
    assert_eq!(
        sized.err,
        "note: 1 of 4 pictures had another size than 12 × 12: scaled, and cropped around their middle; \
         --fit pad keeps all of them\n"
    );
    std::fs::write(place.path("photos/broken.jpg"), b"\xff\xd8\xff no more").unwrap();
    let broken = place.run(&["predict", "run", "photos", "--csv", "--fit", "refuse"]);
    assert_eq!((broken.code, broken.out.lines().count()), (Some(1), 4));
    let lines: Vec<&str> = broken.err.lines().collect();
    assert!(lines[0].starts_with("spfde: photos/broken.jpg: cannot read the picture: "), "{broken:?}");
    assert_eq!(lines[1], "spfde: photos/wide.png: size is 24 × 30; expected 12 × 12 (rows × columns)");
    assert_eq!(lines[2], "spfde: 2 of 5 pictures could not be read; the others are predicted");

    let refused = |words: &[&str], code: i32, start: &str, end: &str| {
        place.run(&[&["predict"], words].concat()).refused(code, start, end);
    };
    std::fs::create_dir(place.path("empty")).unwrap();
    refused(&["run", "empty"], 1, "empty: holds no pictures, whose names end in png, jpg,", "");
    refused(&["run", "nothing.png"], 1, "nothing.png: cannot look at the path: ", "");
    refused(&["data", "photos"], 1, "data: has no manifest.json", "");
    refused(
        &["run", "--data", "fashion-mnist"],
        2,
        "--data fashion-mnist: has images of 1 × 28 × 28 in 10",
        "",
    );
    refused(
        &["run", "--data", "photos"],
        2,
        "data.path: photos: holds pictures; run `spfde import folder ",
        "",
    );
    place.run(&["replay", "run", "--out", "replay"]).done();
    refused(
        &["replay", "photos"],
        1,
        "replay/manifest.json: replay_of is \"run\"; expected none; a replay",
        "",
    );
}

/// All rows of a stream of a run.
fn rows_of<R: Row>(run: &Path) -> Vec<R> {
    let manifest = Manifest::read(run).unwrap();
    let rows = read_stream::<R>(run, &manifest, 0..manifest.epochs_reached);
    rows.flat_map(|batch| batch.unwrap().into_rows::<R>()).collect()
}

/// The test accuracy of the last epoch of a run.
fn traced(run: &Path) -> f64 {
    rows_of::<EpochRow>(run).last().unwrap().test_accuracy.unwrap()
}

#[test]
fn an_evaluation_says_what_the_trace_and_the_predictions_say() {
    let place = Place::with_runs(&[("run", "trace.predictions=true")]);
    let printed = place.run(&["evaluate", "run", "--json"]).done().out;
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found["accuracy"].as_f64().unwrap().to_bits(), traced(&place.path("run")).to_bits());
    assert_eq!(place.run(&["evaluate", "run", "--data", "data", "--json"]).done().out, printed);

    // The same from the predictions: the label of image i is i mod 10.
    let rows = predictions(&place, &["run", "--data", "data"]);
    let (mut confusion, mut loss, mut bins) = (vec![vec![0; 10]; 10], 0.0, vec![(0.0, 0.0); 15]);
    for (number, row) in rows.iter().enumerate() {
        let (label, class) = (number % 10, row["class"].as_u64().unwrap() as usize);
        let shares = probabilities(row);
        confusion[label][class] += 1;
        loss -= shares[label].ln() / 40.0;
        let (right, confidence) = &mut bins[((shares[class] * 15.0).ceil() as usize).clamp(1, 15) - 1];
        *right += f64::from(u8::from(label == class));
        *confidence += shares[class];
    }
    assert_eq!(found["confusion"], serde_json::json!(confusion));
    let mut of_trace = vec![vec![0; 10]; 10];
    let traced = rows_of::<PredictionRow>(&place.path("run")).into_iter().filter(|row| row.epoch == 4);
    traced.for_each(|row| of_trace[row.sample as usize % 10][usize::from(row.class)] += 1);
    assert_eq!(of_trace, confusion);
    assert!((found["loss"].as_f64().unwrap() - loss).abs() < 1e-9);
    let error =
        bins.iter().map(|(right, confidence): &(f64, f64)| (right - confidence).abs()).sum::<f64>() / 40.0;
    assert!((found["calibration_error"].as_f64().unwrap() - error).abs() < 1e-9);
    let right = |class: usize| confusion[class][class] as f64 / 4.0;
    let classes = found["classes"].as_array().unwrap();
    assert!(classes.iter().enumerate().all(|(class, found)| found["accuracy"] == right(class)));

    let text = place.run(&["evaluate", "run"]).done().out;
    assert!(text.starts_with("class  images  accuracy  precision\n0"), "{text}");
    assert!(text.contains("\nclass \\ predicted  0  "), "{text}");
    assert!(text.lines().last().unwrap().starts_with("data, 40 test images: accuracy "), "{text}");
    std::fs::rename(place.path("data"), place.path("elsewhere")).unwrap();
    place.run(&["evaluate", "run"]).refused(
        1,
        "run: the data set of the run, data.path = \"data\", cannot be used: ",
        "put it back, or name another with --data",
    );
    place.run(&["evaluate", "run", "--data", "elsewhere"]).done();
}
