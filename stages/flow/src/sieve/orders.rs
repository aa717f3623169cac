//! Orders of samples, and the cuts through them.

use serde::{Deserialize, Serialize};
use spfde_policy::Cut;
use spfde_policy::sieve::Standing;

use super::place::Place;
use super::standings::{Member, Standings};

/// Samples that are ranked at a time.
const CHUNK: usize = 512;

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
    /// All samples, as the alike members of a group rank them, active or not.
    Shared { group: u32 },
    /// All samples, as this member ranks them.
    All { member: u32 },
    /// The active samples of this member.
    Active { member: u32 },
    /// Those outside.
    Queue { member: u32 },
}

impl Kind {
    /// Whether its members are those, active or outside, who may change places; else it has all samples.
    pub(crate) fn is_exchange(self) -> bool {
        matches!(self, Self::Active { .. } | Self::Queue { .. })
    }
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
        self.chunks(kind, epoch, |indices, places| {
            indices.iter().zip(places).for_each(|(index, place)| visit(*index, *place));
        });
    }

    /// The same, many samples at a time, in order of their indices.
    pub(crate) fn chunks(&self, kind: Kind, epoch: u32, mut visit: impl FnMut(&[u32], &[Place])) {
        let (policy, group, set) = match kind {
            Kind::Shared { group } => {
                let group = &self.groups[group as usize];
                (&*group.policy, group, None)
            }
            Kind::All { member } | Kind::Active { member } | Kind::Queue { member } => {
                let Member { policy, group, set } = &self.members[member as usize];
                (&**policy, &self.groups[*group], Some(set))
            }
        };
        let (len, is_queue) = (self.share.len(), matches!(kind, Kind::Queue { .. }));
        let (mut keys, mut standings, mut ranks, mut indices) = (vec![], vec![], vec![], vec![]);
        let mut places: Vec<Place> = Vec::new();
        // Many at a time, so that a policy is called for each of them where its rule can be inlined.
        for from in (0..len).step_by(CHUNK) {
            let until = len.min(from + CHUNK as u32);
            indices.clear();
            indices.extend((from..until).filter(|index| match (kind, set) {
                (Kind::Active { .. }, Some(set)) => set.active[*index as usize],
                (Kind::Queue { .. }, Some(set)) => !set.active[*index as usize],
                _ => true,
            }));
            if !is_queue {
                group.state.keys(from as usize..until as usize, &mut keys);
            }
            standings.clear();
            standings.extend(indices.iter().map(|index| {
                let since = match set {
                    Some(set) if is_queue || set.active[*index as usize] => set.since[*index as usize],
                    _ => 0,
                };
                let key = keys.get((index - from) as usize).copied().unwrap_or(0);
                Standing { sample: self.share.sample(*index), since, key }
            }));
            match is_queue {
                true => policy.queues(epoch, &standings, &mut ranks),
                false => policy.ranks(epoch, &standings, &mut ranks),
            }
            places.clear();
            places.extend(ranks.iter().map(|rank| Place::from(*rank)));
            visit(&indices, &places);
        }
    }
}
