//! An evaluation in words and as JSON.

use serde_json::{Value, json};
use spfde_data::counted;

use super::table::{or_dash, precise, table};
use crate::trained::{Bin, ClassResult, Evaluation};

/// Classes whose confusion matrix is printed whole.
const WHOLE: usize = 20;

/// Classes whose confusion matrix is JSON; of more it would have more zeros than images.
const MATRIX: usize = 1000;

/// Pairs of classes that are named, of a larger matrix.
const PAIRS: usize = 20;

/// The evaluation on the test images of the data set `name`, for people.
pub(crate) fn evaluation_text(name: &str, evaluation: &Evaluation, labels: &[String]) -> String {
    let results = evaluation.classes();
    let cells = |(label, result): (&String, &ClassResult)| {
        let ClassResult { images, accuracy, precision } = *result;
        vec![label.clone(), images.to_string(), or_dash(accuracy, precise), or_dash(precision, precise)]
    };
    let classes = table(
        [("class", 0), ("images", 1), ("accuracy", 0), ("precision", 0)],
        labels.iter().zip(&results).map(cells),
    );
    let images = counted(evaluation.images, "test image");
    let (accuracy, loss) = (precise(evaluation.accuracy()), evaluation.loss);
    let error = precise(evaluation.calibration_error());
    let lost = match evaluation.lost() {
        0 => String::new(),
        lost => format!("; {lost} without a class: their numbers are not finite"),
    };
    format!(
        "{classes}\n\n{}\n\n{name}, {images}: accuracy {accuracy}, loss {loss:.3}, expected calibration \
         error {error}{lost}",
        confusion(evaluation, labels)
    )
}

/// The confusion matrix, of many classes the pairs that are confused most.
fn confusion(evaluation: &Evaluation, labels: &[String]) -> String {
    let pairs = &evaluation.confusion;
    if labels.len() <= WHOLE {
        let matrix = matrix(evaluation);
        let heads =
            std::iter::once(("class \\ predicted", 0)).chain(labels.iter().map(|label| (&**label, 0)));
        let rows = labels.iter().zip(matrix).map(|(label, row)| {
            std::iter::once(label.clone()).chain(row.iter().map(usize::to_string)).collect()
        });
        return table(heads, rows);
    }
    let wrong = pairs.iter().filter(|((class, predicted), _)| class != predicted);
    let mut pairs: Vec<(usize, usize, usize)> =
        wrong.map(|((class, predicted), images)| (*images, *class, *predicted)).collect();
    pairs.sort_by_key(|(images, class, predicted)| (std::cmp::Reverse(*images), *class, *predicted));
    let cells = |(images, class, predicted): &(usize, usize, usize)| {
        vec![labels[*class].clone(), labels[*predicted].clone(), images.to_string()]
    };
    table([("class", 0), ("predicted", 0), ("images", 0)], pairs.iter().take(PAIRS).map(cells))
}

/// Images by class, then by predicted class.
fn matrix(evaluation: &Evaluation) -> Vec<Vec<usize>> {
    let classes = evaluation.by_class.len();
    let mut matrix = vec![vec![0; classes]; classes];
    evaluation.confusion.iter().for_each(|((class, predicted), images)| matrix[*class][*predicted] = *images);
    matrix
}

/// The same for programs.
pub(crate) fn evaluation_json(name: &str, evaluation: &Evaluation, labels: &[String]) -> Value {
    let class = |(class, result): (usize, ClassResult)| {
        let ClassResult { images, accuracy, precision } = result;
        let label = &labels[class];
        json!({"class": class, "label": label, "images": images, "accuracy": accuracy,
            "precision": precision})
    };
    let bin = |Bin { images, correct, confidence }: &Bin| {
        let mean = |sum: f64| (*images > 0).then(|| sum / *images as f64);
        json!({"images": images, "accuracy": mean(*correct as f64), "confidence": mean(*confidence)})
    };
    let classes = evaluation.classes().into_iter().enumerate();
    json!({
        "data": name,
        "images": evaluation.images,
        "accuracy": evaluation.accuracy(),
        "loss": evaluation.loss,
        "calibration_error": evaluation.calibration_error(),
        "classes": classes.map(class).collect::<Vec<_>>(),
        "confusion": (labels.len() <= MATRIX).then(|| matrix(evaluation)),
        "pairs": evaluation.confusion.iter().map(|((class, predicted), images)| [class, predicted, images])
            .collect::<Vec<_>>(),
        "lost": evaluation.lost(),
        "bins": evaluation.bins.iter().map(bin).collect::<Vec<_>>(),
    })
}
