//! Orders of samples, and the cuts through them.

use serde::{Deserialize, Serialize};
use spfde_policy::sieve::Standing;
use spfde_policy::{Cut, SievePolicy};

use super::place::Place;
use super::standings::{Group, Member, Standings};

/// Samples that are ranked at a time.
const CHUNK: usize = 512;

/// An order of samples, and the cuts through it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    /// The class whose samples alone are in it, if the policy cuts by class.
    pub(crate) stratum: Option<u16>,
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
            let by_class = policy.classes().map(|classes| classes.cut(&**policy, epoch));
            // The orders of one kind, one for each class, stand together.
            let mut add = |kind, count| {
                let wanted = by_class.clone().unwrap_or_else(|| vec![count]);
                let first = orders.iter().position(|order| order.kind == kind).unwrap_or(orders.len());
                for (number, wanted) in wanted.into_iter().enumerate() {
                    if first + number == orders.len() {
                        let stratum = by_class.as_ref().map(|_| number as u16);
                        orders.push(Order { kind, stratum, cuts: Vec::new() });
                    }
                    orders[first + number].cuts.push((member, wanted));
                }
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

    /// Whether the places in an order follow from keys and samples alone.
    pub(super) fn is_by_key(&self, kind: Kind) -> bool {
        !kind.is_exchange() && self.ranking(kind).0.by_key()
    }

    /// The policy and the group whose states rank an order.
    fn ranking(&self, kind: Kind) -> (&dyn SievePolicy, &Group) {
        match kind {
            Kind::Shared { group } => {
                let group = &self.groups[group as usize];
                (&*group.policy, group)
            }
            Kind::All { member } | Kind::Active { member } | Kind::Queue { member } => {
                let Member { policy, group, .. } = &self.members[member as usize];
                (&**policy, &self.groups[*group])
            }
        }
    }

    /// The place of a sample where it follows from the key.
    pub(super) fn place_by_key(&self, kind: Kind, epoch: u32, index: u32, key: u32) -> Place {
        self.ranking(kind).0.rank(epoch, self.share.sample(index), 0, key).into()
    }

    /// Visits the samples of an order of all with their keys, many at a time, in order of their indices.
    pub(super) fn keyed(&self, order: &Order, mut visit: impl FnMut(&[u32], &[u32])) {
        let (state, stratum) = (&self.ranking(order.kind).1.state, order.stratum);
        let (mut indices, mut keys, len) = (Vec::new(), Vec::new(), self.count(stratum));
        for from in (0..len).step_by(CHUNK) {
            let until = len.min(from + CHUNK as u32);
            indices.clear();
            match stratum {
                None => {
                    indices.extend(from..until);
                    state.keys(from as usize..until as usize, &mut keys);
                }
                Some(_) => {
                    indices.extend(self.indices(stratum, from..until));
                    keys.clear();
                    keys.extend(indices.iter().map(|index| state.key(*index as usize)));
                }
            }
            visit(&indices, &keys);
        }
    }

    /// Visits the samples of an order with their places, many at a time, in order of their indices.
    pub(crate) fn chunks(&self, order: &Order, epoch: u32, mut visit: impl FnMut(&[u32], &[Place])) {
        let kind = order.kind;
        let (policy, group) = self.ranking(kind);
        let set = match kind {
            Kind::Shared { .. } => None,
            Kind::All { member } | Kind::Active { member } | Kind::Queue { member } => {
                Some(&self.members[member as usize].set)
            }
        };
        let (stratum, len) = (order.stratum, self.count(order.stratum));
        let is_queue = matches!(kind, Kind::Queue { .. });
        let (mut keys, mut standings, mut ranks, mut indices) = (vec![], vec![], vec![], vec![]);
        let mut places: Vec<Place> = Vec::new();
        // Many at a time, so that a policy is called for each of them where its rule can be inlined.
        for from in (0..len).step_by(CHUNK) {
            let until = len.min(from + CHUNK as u32);
            indices.clear();
            indices.extend(self.indices(stratum, from..until).filter(|index| match (kind, set) {
                (Kind::Active { .. }, Some(set)) => set.active[*index as usize],
                (Kind::Queue { .. }, Some(set)) => !set.active[*index as usize],
                _ => true,
            }));
            if !is_queue && stratum.is_none() {
                group.state.keys(from as usize..until as usize, &mut keys);
            }
            standings.clear();
            standings.extend(indices.iter().map(|index| {
                let since = match set {
                    Some(set) if is_queue || set.active[*index as usize] => set.since[*index as usize],
                    _ => 0,
                };
                let key = match stratum {
                    Some(_) if !is_queue => group.state.key(*index as usize),
                    _ => keys.get((index - from) as usize).copied().unwrap_or(0),
                };
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
