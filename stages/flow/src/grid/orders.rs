//! Orders of samples, and the cuts through them.

use spfde_policy::Cut;

use super::place::{Histogram, Place, class, place};
use super::standings::{Group, Member, Standings};

/// An order of samples, and the cuts through it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) kind: Kind,
    /// How many of the lowest each member takes.
    pub(super) cuts: Vec<(usize, u32)>,
}

/// Who is in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All samples, as the alike members of a group rank them, whoever is active.
    Shared { group: usize },
    /// All samples, as this member ranks them.
    All { member: usize },
    /// The active samples of this member.
    Active { member: usize },
    /// Those outside.
    Queue { member: usize },
}

impl Standings {
    /// The orders of the decisions that take effect at `epoch`: the same on every worker.
    pub(super) fn orders(&self, epoch: u32) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            if epoch > self.grid.last || !member.policy.decides(epoch) {
                continue;
            }
            let mut add = |kind, wanted| match orders.iter_mut().find(|order| order.kind == kind) {
                Some(order) => order.cuts.push((index, wanted)),
                None => orders.push(Order { kind, cuts: vec![(index, wanted)] }),
            };
            match member.policy.decision(epoch).cut {
                Cut::Outside { out } if self.groups[member.group].alike => {
                    add(Kind::Shared { group: member.group }, out);
                }
                Cut::Outside { out } => add(Kind::All { member: index }, out),
                Cut::Exchange { count } => {
                    add(Kind::Active { member: index }, count);
                    add(Kind::Queue { member: index }, count);
                }
                other => unimplemented!("{other:?} in a grid"),
            }
        }
        orders
    }

    /// Visits the samples of an order with their places.
    pub(super) fn places(&self, order: &Order, epoch: u32, mut visit: impl FnMut(u32, Place)) {
        // Policies number samples from 0 to how many there are: by slot.
        let first = self.slots.start;
        match order.kind {
            Kind::Shared { group } => {
                let Group { policy, state, .. } = &self.groups[group];
                for index in 0..self.len() {
                    let rank = policy.rank(epoch, first + index, 0, state.key(index as usize));
                    visit(index, place(rank));
                }
            }
            Kind::All { member } => {
                let Member { policy, group, active, since, .. } = &self.members[member];
                let state = &self.groups[*group].state;
                for index in 0..self.len() {
                    let at = index as usize;
                    let entered = if active[at] { since[at] } else { 0 };
                    visit(index, place(policy.rank(epoch, first + index, entered, state.key(at))));
                }
            }
            Kind::Active { member } => {
                let Member { policy, group, active, since, .. } = &self.members[member];
                let state = &self.groups[*group].state;
                for index in (0..self.len()).filter(|index| active[*index as usize]) {
                    let at = index as usize;
                    visit(index, place(policy.rank(epoch, first + index, since[at], state.key(at))));
                }
            }
            Kind::Queue { member } => {
                let Member { policy, active, since, .. } = &self.members[member];
                for index in (0..self.len()).filter(|index| !active[*index as usize]) {
                    visit(index, place(policy.queue(epoch, first + index, since[index as usize])));
                }
            }
        }
    }

    /// How many of this worker's samples stand in each class of an order.
    pub(super) fn count(&self, order: &Order, epoch: u32) -> Histogram {
        let mut histogram = Histogram::default();
        self.places(order, epoch, |_, place| histogram.add(place));
        histogram
    }

    /// The samples of an order in the given classes, which are ascending: place, slot, and which class.
    pub(super) fn inside(&self, order: &Order, epoch: u32, classes: &[u64]) -> Vec<(usize, Place, u32)> {
        let mut inside = Vec::new();
        self.places(order, epoch, |index, place| {
            if let Ok(class) = classes.binary_search(&class(place)) {
                inside.push((class, place, self.slot(index)));
            }
        });
        inside
    }
}
