//! Who changes by a decision.

use super::cut::Limit;
use super::orders::{Kind, Order};
use super::place::key;
use super::standings::Standings;

/// A sample whose membership changes: its index, whether it enters, the key by which it was ranked.
pub(super) type Change = (u32, bool, u32);

impl Standings {
    /// Who changes by the decisions for `epoch`, one member after the other, given the limits of every order's cuts.
    pub(super) fn changes(&self, orders: &[Order], epoch: u32, limits: &[Vec<Limit>]) -> Vec<Vec<Change>> {
        let mut changes: Vec<Vec<Change>> = vec![Vec::new(); self.members.len()];
        for (order, limits) in orders.iter().zip(limits) {
            match order.kind {
                Kind::Shared { .. } | Kind::All { .. } => self.outside(order, epoch, limits, &mut changes),
                Kind::Active { member } | Kind::Queue { member } => {
                    let enters = matches!(order.kind, Kind::Queue { .. });
                    self.places(order, epoch, |index, place| {
                        if Some((place, self.slot(index))) <= limits[0] {
                            changes[member].push((index, enters, if enters { 0 } else { key(place) }));
                        }
                    });
                }
            }
        }
        // Leavers and those who enter, in one order.
        changes.iter_mut().for_each(|changes| changes.sort_unstable());
        changes
    }

    /// Whoever is below a member's limit is out, all others are in.
    fn outside(&self, order: &Order, epoch: u32, limits: &[Limit], changes: &mut [Vec<Change>]) {
        // One comparison finds out for all: cuts in ascending order, and for each sample the first that takes it in.
        let mut ascending: Vec<usize> = (0..limits.len()).collect();
        ascending.sort_by_key(|cut| limits[*cut]);
        let sorted: Vec<Limit> = ascending.iter().map(|cut| limits[*cut]).collect();
        let members: Vec<(usize, &[bool])> = ascending
            .iter()
            .map(|cut| order.cuts[*cut].0)
            .map(|member| (member, self.members[member].active.as_slice()))
            .collect();
        self.places(order, epoch, |index, place| {
            let first = sorted.partition_point(|limit| *limit < Some((place, self.slots.start + index)));
            for (at, (member, active)) in members.iter().enumerate() {
                let enters = at < first;
                if active[index as usize] != enters {
                    changes[*member].push((index, enters, if enters { 0 } else { key(place) }));
                }
            }
        });
    }

    /// Makes the changes, and starts new windows for whom decided.
    pub(super) fn apply(&mut self, epoch: u32, changes: &[Vec<Change>]) {
        for (member, changes) in self.members.iter_mut().zip(changes) {
            for (index, enters, _) in changes {
                let at = *index as usize;
                debug_assert_ne!(member.active[at], *enters, "a sample enters or leaves once");
                member.active[at] = *enters;
                if let Some(since) = member.since.get_mut(at) {
                    *since = epoch;
                }
                let (moved, count) = match enters {
                    true => (&mut member.entered, member.count + 1),
                    false => (&mut member.left, member.count - 1),
                };
                *moved += 1;
                member.count = count;
            }
        }
        for group in self.groups.iter_mut().filter(|group| group.policy.decides(epoch)) {
            group.state.clear();
        }
    }
}
