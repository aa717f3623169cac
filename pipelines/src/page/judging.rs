//! How alike blocks stay from window to window, and by what a freeze policy judged them.

use std::collections::BTreeMap;

use spfde_data::{FreezeEvidenceRow, Row, SimilarityRow};

use super::chart::EPOCH;
use super::figure::{Figure, Table, digits};
use super::lines::{COLOURS, Curve, lines};
use super::subject::Subject;
use crate::Result;

/// Rows that the table of evidence lists at most.
const MOST: usize = 400;

/// Numbers by block and by an epoch that is shown.
type ByBlock = BTreeMap<(usize, u32), f64>;

/// The figures of a run that has something of them.
///
/// # Errors
/// If the tables cannot be read.
pub(super) fn figures(subject: &Subject) -> Result<impl Iterator<Item = Figure> + use<>> {
    Ok([similarity(subject)?, evidence(subject)?].into_iter().flatten())
}

/// How alike blocks are with what they were.
fn similarity(subject: &Subject) -> Result<Option<Figure>> {
    // Without the network it is not known which layers are a block.
    let Ok((_, network)) = &subject.settings else { return Ok(None) };
    let blocks: Vec<usize> = network.layers.iter().map(|layer| layer.block).collect();
    let mut least = ByBlock::new();
    subject.visit::<SimilarityRow>(|row| {
        let block =
            blocks.get(usize::from(row.layer)).filter(|_| subject.epochs.last(row.epoch) == row.epoch);
        if let Some(block) = block {
            let least = least.entry((*block, row.epoch)).or_insert(row.measure);
            *least = least.min(row.measure);
        }
    })?;
    let (shown, left_out) = shown(blocks.iter().max().map_or(0, |last| last + 1));
    let names: Vec<String> = shown.iter().map(usize::to_string).collect();
    let rows = subject.epochs.shown().filter(|epoch| least.keys().any(|(_, of)| of == epoch)).map(|epoch| {
        let value = |block: &usize| digits(least.get(&(*block, epoch)).copied(), 5);
        std::iter::once((epoch + 1).to_string()).chain(shown.iter().map(value)).collect()
    });
    let of_layers = format!("{blocks:?}");
    let more = [("blocks", &*of_layers), ("shown_blocks", &names.join(", "))];
    let query = subject.query(include_str!("query/similarity.sql"), &more);
    let heads: Vec<&str> = std::iter::once("epoch").chain(names.iter().map(String::as_str)).collect();
    let tables = vec![Table::new("", &heads, rows.collect(), query)];
    let caption = format!(
        "Linear CKA of what a block puts out for the probe, at the end of an epoch and of the window before. \
         1 is the same up to rotation and scale. A block is as alike as the least alike of its \
         layers.{left_out}"
    );
    Ok(drawn(subject, "How alike blocks stay", "CKA", &shown, &least, Vec::new()).map(|figure| Figure {
        caption,
        tables,
        ..figure
    }))
}

/// What a freeze policy measured, as a share of what it compared that with.
fn evidence(subject: &Subject) -> Result<Option<Figure>> {
    let (mut shares, mut rows) = (ByBlock::new(), Vec::new());
    subject.visit::<FreezeEvidenceRow>(|row| {
        // Of windows that are shown as one the last.
        let place = (usize::from(row.block), subject.epochs.last(row.epoch));
        shares.insert(place, row.measure / row.threshold);
        rows.push(row);
    })?;
    rows.sort_by_key(Row::order);
    let (shown, left_out) = shown(shares.keys().map(|(block, _)| block + 1).max().unwrap_or(0));
    let epochs = || shares.keys().map(|(_, epoch)| f64::from(*epoch) + 1.0);
    let ends = [epochs().reduce(f64::min), epochs().reduce(f64::max)];
    let threshold = Curve {
        class: "zero dash".to_owned(),
        told: "the threshold".to_owned(),
        points: ends.into_iter().flatten().map(|epoch| (epoch, 1.0)).collect(),
    };
    let rows = rows.iter().take(MOST).map(|row| {
        let number = |from_0: u32| (u64::from(from_0) + 1).to_string();
        let [measure, threshold] = [row.measure, row.threshold].map(|value| digits(Some(value), 8));
        vec![number(row.epoch), number(row.window), row.block.to_string(), measure, threshold]
    });
    let query = subject.query(include_str!("query/evidence.sql"), &[("most", &MOST.to_string())]);
    let heads = ["epoch", "window", "block", "measure", "threshold"];
    let tables = vec![Table::new("", &heads, rows.collect(), query)];
    let caption = format!(
        "What the policy `{}` measured of a block at the end of a window, divided by the threshold that it \
         compared it with (dashed). Blocks of which there was nothing to compare are not judged.{left_out}",
        subject.setting("freeze.policy")
    );
    let (title, y_title) = ("By what freezing was judged", "measure / threshold");
    Ok(drawn(subject, title, y_title, &shown, &shares, vec![threshold]).map(|figure| Figure {
        caption,
        tables,
        ..figure
    }))
}

/// The blocks that are shown of so many, evenly spaced ones of a deep network; that some are not, in words.
fn shown(count: usize) -> (Vec<usize>, String) {
    let every = count.div_ceil(COLOURS).max(1);
    let left_out = match every {
        1 => String::new(),
        every => format!(" Of {count} blocks one in {every} is drawn, from block 0 on."),
    };
    ((0..count).step_by(every).collect(), left_out)
}

/// A figure with a line for each of some blocks, below `more`; `None` if there is no point.
fn drawn(
    subject: &Subject,
    title: &'static str,
    y_title: &'static str,
    blocks: &[usize],
    values: &ByBlock,
    more: Vec<Curve>,
) -> Option<Figure> {
    let names = subject.settings.as_ref().map_or(&[][..], |(_, network)| &network.blocks);
    let name = |block: usize| match names.get(block) {
        Some(name) => format!("{block} {name:.24}"),
        None if block == names.len() && block > 0 => "classifier".to_owned(),
        None => block.to_string(),
    };
    let (mut curves, mut legend) = (more, Vec::new());
    for (colour, block) in blocks.iter().enumerate() {
        let own = values.range((*block, 0)..=(*block, u32::MAX));
        let points = own.map(|((_, epoch), value)| (f64::from(*epoch) + 1.0, *value)).collect();
        curves.push(Curve { class: format!("l{colour}"), told: name(*block), points });
        legend.push((format!("f{colour}"), name(*block)));
    }
    let drawing = lines(&curves, EPOCH, y_title, false)?;
    Some(Figure { title, legend, drawings: vec![drawing], ..Figure::default() })
}
