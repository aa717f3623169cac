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

    /// Visits the samples of an order with their places.
    pub(crate) fn places(&self, order: &Order, epoch: u32, mut visit: impl FnMut(u32, Place)) {
        self.chunks(order, epoch, |indices, places| {
            indices.iter().zip(places).for_each(|(index, place)| visit(*index, *place));
        });
    }

    /// The same, many samples at a time, in order of their indices.
    pub(crate) fn chunks(&self, order: &Order, epoch: u32, mut visit: impl FnMut(&[u32], &[Place])) {
        let kind = order.kind;
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
        let stratum = order.stratum.map(|stratum| &*self.strata[usize::from(stratum)]);
        let len = stratum.map_or(self.share.len(), |stratum| stratum.len() as u32);
        let is_queue = matches!(kind, Kind::Queue { .. });
        let (mut keys, mut standings, mut ranks, mut indices) = (vec![], vec![], vec![], vec![]);
        let mut places: Vec<Place> = Vec::new();
        // Many at a time, so that a policy is called for each of them where its rule can be inlined.
        for from in (0..len).step_by(CHUNK) {
            let until = len.min(from + CHUNK as u32);
            indices.clear();
            let all = (from..until).map(|at| stratum.map_or(at, |stratum| stratum[at as usize]));
            indices.extend(all.filter(|index| match (kind, set) {
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
