//! What a recorded row must be, so that no stage is led astray by a file.

use std::fmt::Display;

use spfde_data::{
    Cells, Column, Columns, LayerRow, LayerShape, RecordedSegment, RecordingError, Row, SieveRow, counted,
};
use spfde_policy::Plan;

use crate::Tick;

/// The moment at which training sent a row.
pub(crate) fn tick<R: Row>(row: &R) -> Tick {
    let [epoch, step, ..] = row.order().map(|number| number as u32);
    match R::STREAM {
        // A layer's row states the end of the epoch.
        LayerRow::STREAM => Tick::close_of(epoch),
        SieveRow::STREAM => Tick::new(epoch, 0),
        _ => Tick::new(epoch, step),
    }
}

/// The moments of the rows of a table: of one without steps the first step of their epoch.
pub(crate) fn tick_of<R: Row>() -> impl Fn(&R) -> Tick + Copy + 'static {
    let steps = R::columns().get(1).is_some_and(|column| column.name == "step");
    let is_known = steps || R::STREAM == LayerRow::STREAM;
    move |row: &R| if is_known { tick(row) } else { Tick::new(row.order()[0] as u32, 0) }
}

/// What a run has: how many samples, and how many weights each layer.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) samples: u32,
    pub(crate) weights: Vec<usize>,
}

/// The batches of a segment.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<Columns, RecordingError>>>;

impl Limits {
    /// Those of a run with this plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let weights = plan.architecture.layers.iter().map(LayerShape::weights);
        Self { samples: plan.samples, weights: weights.collect() }
    }

    /// The first of some rows that does not fit the run, if one does not: its place, and field, value and
    /// what would fit.
    pub(crate) fn misfit(&self, columns: &[Column], rows: &Columns) -> Option<(usize, String)> {
        /// The place of the first cell that is wrong, and what it has.
        fn first<T: Display>(cells: &[T], wrong: impl Fn(usize, &T) -> bool) -> Option<(usize, String)> {
            let at = cells.iter().enumerate().position(|(at, cell)| wrong(at, cell))?;
            Some((at, cells[at].to_string()))
        }
        let (samples, layers) = (self.samples, self.weights.len());
        let beside = |name| rows.cells.get(columns.iter().position(|column| column.name == name)?);
        let (layer, trained) = (beside("layer"), beside("trained"));
        let layer = |at: usize| match layer {
            Some(Cells::U16(layers)) => usize::from(layers[at]),
            _ => 0,
        };
        let trained = |at: usize| !matches!(trained, Some(Cells::Bool(trained)) if !trained[at]);
        columns.iter().zip(&rows.cells).find_map(|(column, cells)| {
            let ((at, found), expected) = match (column.name, cells) {
                ("step", Cells::U32(cells)) => {
                    (first(cells, |_, step| *step == u32::MAX)?, "expected a smaller number".to_owned())
                }
                ("sample", Cells::U32(cells)) => {
                    let expected = format!("the data set has {samples}, from 0");
                    (first(cells, |_, sample| *sample >= samples)?, expected)
                }
                ("layer", Cells::U16(cells)) => {
                    let expected = format!("the network has {layers}, from 0");
                    (first(cells, |_, layer| usize::from(*layer) >= layers)?, expected)
                }
                ("index", Cells::U32(cells)) => {
                    let wrong = first(cells, |at, index| *index as usize >= self.weights[layer(at)])?;
                    let layer = layer(wrong.0);
                    (wrong, format!("layer {layer} has {}", counted(self.weights[layer], "weight")))
                }
                ("diff", Cells::I8(cells)) => {
                    (first(cells, |_, diff| diff.unsigned_abs() != 1)?, "expected 1 or -1".to_owned())
                }
                ("loss" | "error_norm", Cells::F32(cells)) => {
                    let expected = "expected a finite number: a step that comes to another is not recorded";
                    (first(cells, |at, number| trained(at) && !number.is_finite())?, expected.to_owned())
                }
                _ => return None,
            };
            Some((at, format!("{} is {found}; {expected}", column.name)))
        })
    }

    /// The batches of a segment, each with all its rows checked.
    pub(crate) fn checked(self, columns: Vec<Column>, open: RecordedSegment) -> Batches {
        let mut first = 0;
        Box::new(open.batches.map(move |batch| {
            let batch = batch?;
            if let Some((row, misfit)) = self.misfit(&columns, &batch) {
                let place = format!("{}: row {}", open.path, first + row);
                return Err(RecordingError(format!("{place}: {misfit}; the record is not of this run")));
            }
            first += batch.rows;
            Ok(batch)
        }))
    }
}

#[cfg(test)]
mod tests {
    use spfde_data::rows::ScoreRow;
    use spfde_data::table::Record as _;

    use super::*;

    #[test]
    fn scores_that_were_trained_are_finite() {
        let found = |loss, error_norm, trained| {
            let score = ScoreRow { epoch: 0, step: 0, sample: 0, loss, correct: false, error_norm, trained };
            let limits = Limits { samples: 1, weights: Vec::new() };
            limits.misfit(&ScoreRow::columns(), &Columns::from_rows([score]))
        };
        let end = "; expected a finite number: a step that comes to another is not recorded";
        assert_eq!(found(0.5, 0.25, true), None);
        assert_eq!(found(f32::NAN, 0.25, true), Some((0, format!("loss is NaN{end}"))));
        assert_eq!(found(0.5, f32::INFINITY, true), Some((0, format!("error_norm is inf{end}"))));
        // Of one that was only observed anything is recorded.
        assert_eq!(found(f32::NAN, f32::NAN, false), None);
    }
}
