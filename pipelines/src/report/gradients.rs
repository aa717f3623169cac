//! The table of freeze policies judged by bare norms of gradients, for people and for programs.

use serde_json::{Value as Json, json};
use spfde_data::counted;
use spfde_policy::Spans;

use super::grid::CLAIM;
use super::table::{percent, table};
use crate::grid::{JudgedFreezing, JudgedGradients, keys, text};

/// The claim, a line for each member, and when it would have frozen each block, epochs counted from 1.
pub(crate) fn gradients_text(judged: &JudgedGradients) -> String {
    let JudgedGradients { architecture, rows, epochs, members, .. } = judged;
    let keys = keys(members.iter().map(|freezing| &freezing.member));
    let heads = [("member", 0)].into_iter().chain(keys.iter().map(|key| (&**key, 1)));
    let heads = heads.chain([("saved", 0), ("frozen blocks", 0), ("censored norms", 0)]);
    let line = |(number, freezing): (usize, &JudgedFreezing)| {
        let value = |key: &String| freezing.member.parameters.get(key).map_or_else(|| "–".to_owned(), text);
        let blocks = freezing.frozen.iter().filter(|spans| spans.is_frozen(epochs - 1)).count();
        let saved = percent(freezing.cost.reduction_from(&freezing.unfrozen));
        let sums = [saved, blocks.to_string(), freezing.censored_norms.to_string()];
        [number.to_string()].into_iter().chain(keys.iter().map(value)).chain(sums).collect()
    };
    let lines = table(heads, members.iter().enumerate().map(line));
    let numbers: Vec<String> = (0..members.len()).map(|number| format!("member {number}")).collect();
    let heads = [("block", 0), ("layers", 0)].into_iter().chain(numbers.iter().map(|name| (&**name, 0)));
    let block = |(block, name): (usize, &String)| {
        let layers = architecture.layers_of(block).count().to_string();
        let cells = members.iter().map(|freezing| when(&freezing.frozen[block]));
        [name.clone(), layers].into_iter().chain(cells).collect()
    };
    let blocks = table(heads, architecture.blocks.iter().enumerate().map(block));
    let record = format!(
        "{} of {} over {}; epochs in which a block is frozen count from 1",
        counted(*rows, "norm"),
        counted(architecture.layers.len(), "layer"),
        counted(*epochs, "epoch")
    );
    format!("{CLAIM}\n\n{record}\n\n{lines}\n\n{blocks}")
}

/// The epochs during which a block is frozen.
fn when(spans: &Spans) -> String {
    let span = |(from, until): (u32, Option<u32>)| match until {
        Some(until) => format!("{} to {until}", from + 1),
        None => format!("from {}", from + 1),
    };
    let spans: Vec<String> = spans.iter().map(span).collect();
    if spans.is_empty() { "–".to_owned() } else { spans.join(", ") }
}

/// The same as one line of JSON; epochs count from 0.
pub(crate) fn gradients_json(judged: &JudgedGradients) -> Json {
    let JudgedGradients { architecture, rows, epochs, members, files } = judged;
    let member = |(number, freezing): (usize, &JudgedFreezing)| {
        let spans =
            |spans: &Spans| spans.iter().map(|(from, until)| json!([from, until])).collect::<Vec<_>>();
        let blocks = architecture.blocks.iter().zip(&freezing.frozen);
        let blocks = blocks.map(|(name, frozen)| json!({"block": name, "frozen": spans(frozen)}));
        let changes = freezing.changes.iter().map(|(epoch, change)| {
            let block = &architecture.blocks[change.block];
            json!({"epoch": epoch, "block": block, "frozen": change.frozen, "reason": change.reason})
        });
        json!({
            "member": number,
            "parameters": freezing.member.parameters,
            "flops_per_sample": freezing.cost.total(),
            "unfrozen_flops_per_sample": freezing.unfrozen.total(),
            "saved": freezing.cost.reduction_from(&freezing.unfrozen),
            "censored_norms": freezing.censored_norms,
            "blocks": blocks.collect::<Vec<_>>(),
            "changes": changes.collect::<Vec<_>>(),
        })
    };
    let record =
        json!({"files": files, "norms": rows, "layers": architecture.layers.len(), "epochs": epochs});
    let members: Vec<Json> = members.iter().enumerate().map(member).collect();
    json!({"claim": CLAIM, "gradients": record, "members": members})
}
