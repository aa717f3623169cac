//! Runs of manifest version 2: what their streams lack and later versions have.

use std::collections::BTreeMap;

use super::RecordedTrace;
use crate::files::error::Result;
use crate::files::parquet_store::read_columns;
use crate::rows::{GradientRow, LayerRow};
use crate::table::{Cells, Column, Columns, Record, Row};

/// The existing weights of each layer in one epoch: masks changed at the start of an epoch only, so those at
/// its end.
pub(super) struct Nonzero(BTreeMap<u16, u32>);

impl Nonzero {
    /// Those of `epoch`, if the `columns` of a stream ask for them and the run lacks them.
    ///
    /// # Errors
    /// If the stream `layers` cannot be read.
    pub(super) fn lacking(
        trace: &RecordedTrace,
        stream: &str,
        columns: &[Column],
        epoch: u32,
    ) -> Result<Option<Self>> {
        let asked = columns.iter().any(|column| column.name == "nonzero");
        if !trace.version2 || stream != GradientRow::STREAM || !asked {
            return Ok(None);
        }
        let mut nonzero = BTreeMap::new();
        for segment in trace.segments.get(&(LayerRow::STREAM.to_owned(), epoch)).into_iter().flatten() {
            for batch in read_columns(&trace.run, segment, &LayerRow::columns())? {
                nonzero.extend(batch?.into_rows::<LayerRow>().iter().map(|row| (row.layer, row.nonzero)));
            }
        }
        Ok(Some(Self(nonzero)))
    }

    /// Fills in the column `nonzero` of some rows with these `columns`.
    pub(super) fn fill(&self, columns: &[Column], mut rows: Columns) -> Columns {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let (Some(layer), Some(nonzero)) = (place("layer"), place("nonzero")) else { return rows };
        if let Cells::U16(layers) = &rows.cells[layer] {
            let of = |layer: &u16| self.0.get(layer).copied().unwrap_or_default();
            rows.cells[nonzero] = Cells::U32(layers.iter().map(of).collect());
        }
        rows
    }
}
