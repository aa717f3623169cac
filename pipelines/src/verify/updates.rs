//! What `mask_updates` says of each update, beside the deltas that it made.

use std::collections::BTreeMap;

use spfde_data::{MaskUpdateRow, Row};

use super::Epoch;
use crate::Result;

/// How many weights ceased and began to exist in an epoch, by step and layer.
#[derive(Default)]
pub(super) struct Updates(BTreeMap<(u32, u16), [u32; 2]>);

impl Updates {
    /// Counts a delta of a mask.
    pub(super) fn count(&mut self, step: u32, layer: u16, diff: i8) {
        self.0.entry((step, layer)).or_default()[usize::from(diff > 0)] += 1;
    }

    /// Compares the rows of the epoch with what was counted. Masks of the start have no row; an update that
    /// changed nothing has one. A replay has no rows, nor has a run of a time before the stream.
    pub(super) fn check(mut self, epoch: &mut Epoch<'_>) -> Result<()> {
        let (number, stream) = (epoch.number, MaskUpdateRow::STREAM);
        let manifest = epoch.trace.manifest;
        if manifest.replay_of.is_some() || manifest.segments_at(stream, number).is_empty() {
            return Ok(());
        }
        if number == 0 {
            self.0.retain(|(step, _), _| *step > 0);
        }
        epoch.visit(|epoch, MaskUpdateRow { step, layer, dropped, grown, .. }| {
            let counted = self.0.remove(&(step, layer)).unwrap_or_default();
            if counted != [dropped, grown] {
                let [gone, come] = counted;
                epoch.find(
                    stream,
                    format_args!(
                        "layer {layer} drops {dropped} and grows {grown} weights at step {step}, the mask \
                         deltas {gone} and {come}"
                    ),
                );
            }
        })?;
        for (step, layer) in self.0.into_keys() {
            epoch.find(stream, format_args!("layer {layer} changes at step {step} without a row"));
        }
        Ok(())
    }
}
