//! Orders of samples, and the cuts through them.

use serde::{Deserialize, Serialize};
use spfde_policy::Cut;

use super::place::Place;
use super::standings::{Group, Member, Standings};

/// An order of samples, and the cuts through it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    /// How many of the lowest each member takes.
    pub(crate) cuts: Vec<(u32, u32)>,
}

/// Who is in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// All samples, as the alike members of a group rank them, whoever is active.
    Shared { group: u32 },
    /// All samples, as this member ranks them.
    All { member: u32 },
    /// The active samples of this member.
    Active { member: u32 },
    /// Those outside.
    Queue { member: u32 },
}

impl Standings {
    /// The orders of the decisions that take effect at `epoch`: the same on every worker.
    pub(crate) fn orders(&self, epoch: u32) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (index, Member { policy, group, .. }) in self.members.iter().enumerate() {
            if !self.decides(&**policy, epoch) {
                continue;
            }
            let member = index as u32;
            let mut add = |kind, wanted| match orders.iter_mut().find(|order| order.kind == kind) {
                Some(order) => order.cuts.push((member, wanted)),
                None => orders.push(Order { kind, cuts: vec![(member, wanted)] }),
            };
            match policy.decision(epoch).cut {
                Cut::Outside { out } if self.groups[*group].alike => {
                    add(Kind::Shared { group: *group as u32 }, out);
                }
                Cut::Outside { out } => add(Kind::All { member }, out),
                Cut::Exchange { count } => {
                    add(Kind::Active { member }, count);
                    add(Kind::Queue { member }, count);
                }
                // They rank nothing.
                Cut::BelowMean { .. } | Cut::AboveMean { .. } => (),
            }
        }
        orders
    }

    /// Visits the samples of an order with their places.
    pub(crate) fn places(&self, kind: Kind, epoch: u32, mut visit: impl FnMut(u32, Place)) {
        let len = self.share.len();
        match kind {
            Kind::Shared { group } => {
                let Group { policy, state, .. } = &self.groups[group as usize];
                for index in 0..len {
                    let sample = self.share.sample(index);
                    visit(index, policy.rank(epoch, sample, 0, state.key(index as usize)).into());
                }
            }
            Kind::All { member } | Kind::Active { member } => {
                let Member { policy, group, set } = &self.members[member as usize];
                let (state, all) = (&self.groups[*group].state, matches!(kind, Kind::All { .. }));
                for index in (0..len).filter(|index| all || set.active[*index as usize]) {
                    let at = index as usize;
                    let entered = if set.active[at] { set.since[at] } else { 0 };
                    let sample = self.share.sample(index);
                    visit(index, policy.rank(epoch, sample, entered, state.key(at)).into());
                }
            }
            Kind::Queue { member } => {
                let Member { policy, set, .. } = &self.members[member as usize];
                for index in (0..len).filter(|index| !set.active[*index as usize]) {
                    let left = set.since[index as usize];
                    visit(index, policy.queue(epoch, self.share.sample(index), left).into());
                }
            }
        }
    }
}
