//! The one order in which the parts of the shards are added, whichever worker computed them.
//!
//! Floating-point sums depend on their order. So parts are added along a fixed binary tree over shard
//! numbers: the node of the shards `low..high` is the sum of its two halves, split at the largest power of
//! two below its size. A worker adds up whatever whole nodes lie within its own shards, every other goes
//! on from there, and the result has the same bits for any number of workers.

use std::ops::Range;

/// A node of the tree: the shards `start..end`.
pub type Node = Range<usize>;

/// Where the node's two halves meet; `None` for a single shard.
fn middle(node: &Node) -> Option<usize> {
    let size = node.len();
    (size > 1).then(|| node.start + size.next_power_of_two() / 2)
}

/// The shards that `worker` of `workers` owns: a contiguous range, empty for workers beyond the shards.
pub fn owned(shards: usize, worker: usize, workers: usize) -> Range<usize> {
    let workers = workers.min(shards);
    if worker >= workers {
        return shards..shards;
    }
    shards * worker / workers..shards * (worker + 1) / workers
}

/// The fewest nodes that make up exactly the shards of `range`, in order.
pub fn cover(shards: usize, range: Range<usize>) -> Vec<Node> {
    fn descend(node: Node, range: &Range<usize>, nodes: &mut Vec<Node>) {
        if node.start >= range.end || range.start >= node.end {
            return;
        }
        match middle(&node) {
            Some(middle) if node.start < range.start || range.end < node.end => {
                descend(node.start..middle, range, nodes);
                descend(middle..node.end, range, nodes);
            }
            _ => nodes.push(node),
        }
    }
    let mut nodes = Vec::new();
    if !range.is_empty() {
        descend(0..shards, &range, &mut nodes);
    }
    nodes
}

/// The value of `node`, from `known`, which gives the value of the nodes that have been summed already, by
/// adding halves with `add`. `None` if a part is missing.
pub fn total<T>(node: Node, get: &mut impl FnMut(&Node) -> Option<T>, add: &impl Fn(T, T) -> T) -> Option<T> {
    if let Some(value) = get(&node) {
        return Some(value);
    }
    let middle = middle(&node)?;
    let front = total(node.start..middle, get, add)?;
    let back = total(middle..node.end, get, add)?;
    Some(add(front, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_workers_adds_in_the_same_order() {
        for shards in 1..12 {
            let leaf = |node: &Node| (node.len() == 1).then(|| node.start.to_string());
            let add = |a: String, b: String| format!("({a}+{b})");
            let alone = total(0..shards, &mut { leaf }, &add).unwrap();
            for workers in 1..14 {
                let mut owners = vec![];
                let mut sums: Vec<(Node, String)> = vec![];
                for worker in 0..workers {
                    owners.extend(owned(shards, worker, workers));
                    for node in cover(shards, owned(shards, worker, workers)) {
                        sums.push((node.clone(), total(node, &mut { leaf }, &add).unwrap()));
                    }
                }
                assert_eq!(owners, (0..shards).collect::<Vec<_>>(), "every shard has one owner");
                let mut known =
                    |node: &Node| sums.iter().find(|(known, _)| known == node).map(|(_, sum)| sum.clone());
                assert_eq!(total(0..shards, &mut known, &add), Some(alone.clone()), "{shards} {workers}");
            }
        }
    }

    #[test]
    fn halves_meet_at_powers_of_two_and_a_missing_part_is_noticed() {
        let leaf = |node: &Node| (node.len() == 1).then(|| node.start.to_string());
        let sum = total(0..7, &mut { leaf }, &|a, b| format!("({a}+{b})"));
        assert_eq!(sum.as_deref(), Some("(((0+1)+(2+3))+((4+5)+6))"));
        let mut without_three = |node: &Node| leaf(node).filter(|name| name != "3");
        assert_eq!(total(0..4, &mut without_three, &|a, b| format!("({a}+{b})")), None);
        assert!(cover(4, 2..2).is_empty());
    }
}
