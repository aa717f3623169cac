//! A checkpoint that has been read: the state from which a run goes on.

use std::collections::{BTreeMap, BTreeSet};

use spfde_data::{
    Cells, Column, Columns, FreezeRow, FrozenBlocks, MaskRow, MaskUpdateRow, Record, Row, SieveRow, counted,
};
use spfde_model::Tensor;
use spfde_policy::cost::{frozen_blocks, frozen_blocks_after};
use spfde_policy::{Plan, Spans};

use super::products;
use super::{
    ActiveRow, BestRow, FREEZE_POLICY, FrozenRow, MASK_POLICY, ProductRow, SIEVE_POLICY, StandingRow,
};
use crate::recorded::{Limits, tick};
use crate::{Settings, Tick};

/// Rows that a freeze policy may save: one for each block and each step of a few epochs.
const STEPS_LIMIT: u64 = 1 << 20;

/// A checkpoint at the start of an epoch, of all workers, checked against the run.
#[derive(Clone, Debug)]
pub struct Snapshot {
    epoch: u32,
    frozen_blocks: FrozenBlocks,
    tensors: Vec<Tensor>,
    tables: BTreeMap<&'static str, Columns>,
}

impl Snapshot {
    /// The tables that a checkpoint of such a run may have, and their columns.
    pub fn tables(settings: &Settings) -> Vec<(&'static str, Vec<Column>)> {
        fn table<R: Row>() -> (&'static str, Vec<Column>) {
            (R::STREAM, R::columns())
        }
        let mut tables = vec![
            table::<ActiveRow>(),
            table::<StandingRow>(),
            table::<FrozenRow>(),
            table::<SieveRow>(),
            table::<FreezeRow>(),
            table::<MaskRow>(),
            table::<MaskUpdateRow>(),
            table::<BestRow>(),
            table::<ProductRow>(),
        ];
        let policies = &settings.policies;
        let states = [
            (SIEVE_POLICY, policies.sieve.start(0).columns()),
            (FREEZE_POLICY, policies.freeze.start(&settings.plan).columns()),
            (MASK_POLICY, policies.mask.start().columns()),
        ];
        tables.extend(states.into_iter().filter(|(_, columns)| !columns.is_empty()));
        tables
    }

    /// The most rows that one of the tables can have: two for each sample, one for each weight, what a freeze
    /// policy saves of a window, or one for each pair of samples of the probe and each layer.
    pub fn most_rows(settings: &Settings) -> u64 {
        let weights: usize = settings.plan.architecture.layers.iter().map(|layer| layer.weights()).sum();
        let probe = settings.probe.map_or(0, |probe| u64::from(probe.samples).pow(2));
        let probe = probe * settings.plan.architecture.layers.len() as u64;
        2 * u64::from(settings.plan.samples) + weights as u64 + STEPS_LIMIT + probe
    }

    /// A checkpoint at the start of `epoch` from its parts: the weights, the frozen blocks, and the rows of
    /// [`Snapshot::tables`], of all workers.
    ///
    /// # Errors
    /// What does not fit the run of these `settings`, in words.
    pub fn new(
        settings: &Settings,
        epoch: u32,
        tensors: Vec<Tensor>,
        frozen_blocks: FrozenBlocks,
        tables: BTreeMap<&'static str, Columns>,
    ) -> Result<Self, String> {
        let snapshot = Self { epoch, frozen_blocks, tensors, tables };
        snapshot.check(settings)?;
        Ok(snapshot)
    }

    /// The epoch at whose start the run goes on.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn frozen_blocks(&self) -> &FrozenBlocks {
        &self.frozen_blocks
    }

    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The rows of the table `R::STREAM`.
    pub(crate) fn rows<R: Row>(&self) -> Vec<R> {
        self.tables.get(R::STREAM).map_or_else(Vec::new, Columns::into_rows)
    }

    /// What a policy saved; no rows if it saved nothing.
    pub(crate) fn table(&self, name: &str) -> &Columns {
        const NOTHING: &Columns = &Columns { cells: Vec::new(), rows: 0 };
        self.tables.get(name).unwrap_or(NOTHING)
    }

    /// The rows of a table by layer whose layer is `wanted`.
    pub(crate) fn layers(&self, name: &str, wanted: impl Fn(usize) -> bool) -> Columns {
        let table = self.table(name);
        let Some(Cells::U32(layers)) = table.cells.get(1) else { return table.clone() };
        let empty = table.cells.iter().map(|cells| Cells::defaults(cells.kind(), 0));
        let mut chosen = Columns { cells: empty.collect(), rows: 0 };
        let rows = (0..table.rows).filter(|row| wanted(layers[*row] as usize));
        rows.for_each(|row| chosen.append(table, row..row + 1));
        chosen
    }

    /// When each block was frozen.
    ///
    /// # Errors
    /// What does not fit the network, in words.
    pub(crate) fn frozen(&self, plan: &Plan) -> Result<Vec<Spans>, String> {
        let blocks = plan.frozen.len();
        let mut frozen = vec![Spans::never(); blocks];
        let mut rows = self.rows::<FrozenRow>();
        rows.sort_by_key(Row::order);
        for row in rows {
            let spans = frozen.get_mut(row.block as usize);
            let spans =
                spans.ok_or_else(|| format!("frozen: block is {}; the network has {blocks}", row.block))?;
            let fits = spans.iter().all(|(_, until)| until.is_some_and(|until| until < row.from));
            let is_known = row.from <= self.epoch && (row.until <= self.epoch || row.until == u32::MAX);
            if !fits || row.from >= row.until || !is_known {
                let epoch = u64::from(row.from) + 1;
                return Err(format!("frozen: block {} cannot freeze at epoch {epoch}", row.block));
            }
            spans.freeze(row.from);
            if row.until != u32::MAX {
                spans.thaw(row.until);
            }
        }
        Ok(frozen)
    }

    /// That every stage can take over its part.
    fn check(&self, settings: &Settings) -> Result<(), String> {
        let epochs = settings.epochs;
        if self.epoch == 0 || self.epoch >= epochs {
            let (found, last) = (self.epoch, epochs - 1);
            return Err(format!("it is the one after epoch {found}; training goes on after 1 to {last}"));
        }
        let mut network = settings.masked_network();
        network.restore(&self.tensors).map_err(|error| error.to_string())?;
        let blocks = settings.plan.architecture.blocks.len();
        let last = self.frozen_blocks.end();
        if last > blocks {
            return Err(format!("block {} is frozen; the network has {blocks}, from 0", last - 1));
        }
        let frozen = self.frozen(&settings.plan)?;
        let rows = self.rows::<FreezeRow>();
        if let Some(row) =
            rows.iter().find(|row| tick(*row) != Tick::new(self.epoch, 0) || row.diff.unsigned_abs() != 1)
        {
            return Err(format!("freezes: a decision for {}, diff {}", tick(row), row.diff));
        }
        let after = frozen_blocks_after(&settings.plan.architecture, &self.frozen_blocks, &rows);
        let after = after.map_err(|error| format!("freezes: {error}"))?;
        // A pipeline without a freeze stage has no such table.
        let decided = frozen.iter().any(|spans| *spans != Spans::never());
        let said = [self.epoch - 1, self.epoch].map(|epoch| frozen_blocks(&frozen, epoch));
        if decided && said != [self.frozen_blocks.clone(), after.clone()] {
            let ([frozen, then], weights) = (said, &self.frozen_blocks);
            return Err(format!(
                "frozen: blocks {frozen} before and {then} from this epoch on; the weights have {weights} \
                 frozen, {after} after the decisions in freezes"
            ));
        }
        let mut freezes = settings.policies.freeze.start(&settings.plan);
        let restored = freezes.restore(frozen, self.table(FREEZE_POLICY));
        restored.map_err(|error| format!("{FREEZE_POLICY}: {error}"))?;
        let restored = settings.policies.mask.start().restore(self.table(MASK_POLICY));
        restored.map_err(|error| format!("{MASK_POLICY}: {error}"))?;
        self.check_samples(settings.plan.samples)?;
        products::check(settings, self.epoch, self.rows::<ProductRow>())?;
        let best = self.rows::<BestRow>();
        if best.len() > 1 || best.iter().any(|row| row.best >= self.epoch || !row.accuracy.is_finite()) {
            return Err("best: there is one best epoch, before this".to_owned());
        }
        let masks = self.rows::<MaskRow>();
        let dropped: BTreeSet<(u16, u32)> =
            masks.iter().filter(|row| row.diff < 0).map(|row| (row.layer, row.index)).collect();
        let mut seen = BTreeSet::new();
        if let Some((_, misfit)) =
            Limits::of(&settings.plan).misfit(&MaskRow::columns(), self.table(MaskRow::STREAM))
        {
            return Err(format!("masks: {misfit}"));
        }
        let layers = settings.plan.architecture.layers.len();
        let updates = self.rows::<MaskUpdateRow>();
        let is_due = |row: &MaskUpdateRow| (row.epoch, row.step) == (self.epoch, 0);
        if let Some(row) = updates.iter().find(|row| !is_due(row) || usize::from(row.layer) >= layers) {
            return Err(format!("mask_updates: an update of layer {} for epoch {}", row.layer, row.epoch));
        }
        for row in masks {
            if tick(&row) != Tick::new(self.epoch, 0) {
                return Err(format!("masks: a decision for {}", tick(&row)));
            }
            let layer = usize::from(row.layer);
            let exists = network.indices(layer).binary_search(&row.index).is_ok();
            // What has just been dropped may grow again.
            let fits = match row.diff {
                ..0 => exists,
                _ => !exists || dropped.contains(&(row.layer, row.index)),
            };
            if !network.is_masked(layer) || !fits || !seen.insert((layer, row.index, row.diff)) {
                return Err(format!("masks: weight {} of layer {layer} cannot change so", row.index));
            }
        }
        Ok(())
    }

    /// The tables by sample.
    fn check_samples(&self, samples: u32) -> Result<(), String> {
        let mut active = vec![None; samples as usize];
        for row in self.rows::<ActiveRow>() {
            let slot = active.get_mut(row.sample as usize).ok_or_else(|| unknown(row.sample, samples))?;
            if slot.replace(row.weight).is_some() || !row.weight.is_finite() {
                return Err(format!("active-set: sample {} twice, or of weight {}", row.sample, row.weight));
            }
        }
        if active.iter().all(Option::is_none) {
            return Err("active-set: no sample is active".to_owned());
        }
        let mut decided = self.rows::<SieveRow>();
        // A sample whose weight changes leaves before it enters.
        decided.sort_by_key(|row| (row.sample, row.diff));
        for row in decided {
            let slot = active.get_mut(row.sample as usize).ok_or_else(|| unknown(row.sample, samples))?;
            let (before, after) = match row.diff {
                1 => (None, Some(row.weight)),
                _ => (Some(row.weight), None),
            };
            let fits = row.diff.unsigned_abs() == 1 && row.epoch == self.epoch && row.weight.is_finite();
            if std::mem::replace(slot, after) != before || !fits {
                return Err(format!("sieves: sample {} cannot enter or leave so", row.sample));
            }
        }
        let standings = self.rows::<StandingRow>();
        once("standings", standings.iter().map(|row| row.sample), samples)?;
        if let Some(row) = standings.iter().find(|row| row.since >= self.epoch) {
            let epoch = u64::from(row.since) + 1;
            return Err(format!("standings: sample {} has moved at epoch {epoch}", row.sample));
        }
        let policy = self.table(SIEVE_POLICY);
        match policy.cells.get(1) {
            None => Ok(()),
            Some(Cells::U32(saved)) => once(SIEVE_POLICY, saved.iter().copied(), samples),
            _ => Err(format!("{SIEVE_POLICY}: its second column is not the sample")),
        }
    }
}

fn unknown(sample: u32, samples: u32) -> String {
    format!("sample is {sample}; the data set has {samples}, from 0")
}

/// That a table has every sample once, or no row at all.
fn once(table: &str, rows: impl Iterator<Item = u32>, samples: u32) -> Result<(), String> {
    let mut seen = vec![false; samples as usize];
    let mut count = 0;
    for sample in rows {
        let slot = seen.get_mut(sample as usize).ok_or_else(|| unknown(sample, samples))?;
        if std::mem::replace(slot, true) {
            return Err(format!("{table}: sample {sample} twice"));
        }
        count += 1;
    }
    match count == 0 || count == samples {
        true => Ok(()),
        false => Err(format!("{table}: {count} of {}", counted(samples, "sample"))),
    }
}
