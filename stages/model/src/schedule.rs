//! Which buffer holds which value and gradient, by the time at which each is last read.

use crate::description::{Description, Kind, Operation, Reach};

/// The buffers of a pass over a network, and its order.
///
/// The leading operations that neither measure nor have a backward pass, up to the first linear layer, form
/// the *prefix*: it runs depth-first, one group of samples through all of its operations before the next, so
/// that values that only it reads need room for a single group, which stays in the cache. All other
/// operations run over the whole shard one after the other. Values that the backward pass reads again live
/// until then; others share a few buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The buffer of each value; none for the network's input.
    pub(crate) values: Vec<Option<usize>>,
    /// The buffer of the gradient of each value, where one is computed: where an active operation contributes
    /// to it. The gradient of a sum may grow, in the same buffer, into that of the shortcut it passes on to.
    pub(crate) gradients: Vec<Option<usize>>,
    /// What the operation writes whose backward pass is the last to add to the gradient of each value.
    pub(crate) completes: Vec<Option<usize>>,
    /// Whether the addition that writes a value is left to the convolution right behind it, which computes it
    /// while it packs its input. Not where the prefix ends between the two: there the sum alone goes from the
    /// one to the other, not both of its terms.
    pub(crate) merged: Vec<bool>,
    pub(crate) buffers: Vec<Room>,
    /// How many leading operations run group by group.
    pub(crate) prefix: usize,
    /// How far the backward pass goes: to the frozen blocks, or through them where those are observed.
    pub(crate) reach: Reach,
}

/// What a buffer is large enough for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Lanes per group.
    pub(crate) lanes: usize,
    /// Whether it holds one group at a time, in place of all groups of the shard.
    pub(crate) single: bool,
}

/// Something that lives in a buffer, of one group at a time if it is `single`, from one time to another, both
/// included.
#[derive(Clone, Copy)]
struct Tenant {
    lanes: usize,
    single: bool,
    from: usize,
    to: usize,
}

impl Schedule {
    /// The buffers for a forward pass and a backward pass. Blocks that the latter skips do not measure.
    pub(crate) fn training(description: &Description, reach: Reach) -> Self {
        let front = if let Reach::Block(blocks) = reach { description.front(blocks) } else { 0 };
        Self::new(description, description.logits(), reach, true, &[front])
    }

    /// The buffers for a forward pass alone, in which the first `fixed` blocks do not measure.
    pub(crate) fn forward(description: &Description, fixed: usize) -> Self {
        Self::new(description, description.logits(), Reach::Block(fixed), false, &[])
    }

    /// The buffers for the front of so many frozen blocks alone. A pass may begin where the front of fewer
    /// ends.
    pub(crate) fn front(description: &Description, blocks: usize) -> Self {
        let ends: Vec<usize> = (0..=blocks).map(|blocks| description.front(blocks)).collect();
        Self::new(description, ends[blocks], Reach::Block(blocks), false, &ends)
    }

    /// Operation `i` of `n` runs forward at time `i` (a merged addition with the next), backward at `2 n −
    /// i`; the loss is computed at time `n`. What outlives the prefix is written from time 0 on, group by
    /// group. Of all operations only the first `end` run. Where a pass may begin or end, as `apart` says, no
    /// addition is merged with what follows.
    fn new(description: &Description, end: usize, reach: Reach, has_backward: bool, apart: &[usize]) -> Self {
        let (operations, count) = (&description.operations()[..end], description.shapes.len());
        let prefix = prefix(description, reach).min(end);
        let (mut completes, mut merged) = (vec![None; count], vec![false; count]);
        for (sum, pair) in (1..).zip(operations.windows(2)) {
            merged[sum] = pair[0].kind == Kind::Addition
                && matches!(pair[1].kind, Kind::Convolution(_))
                && pair[1].reads[0] == sum
                && sum != prefix
                && !apart.contains(&sum);
        }
        let tenant = |value: usize, single: bool, time: usize| {
            let lanes = description.shapes[value].len();
            Tenant { lanes, single, from: time, to: time }
        };
        let written = |value: usize| (value <= end).then(|| tenant(value, value <= prefix, value - 1));
        // The network's input has no buffer.
        let mut tenants: Vec<_> = std::iter::once(None).chain((1..count).map(written)).collect();
        let handed_on = description.handed_on(end).chain((end == description.logits()).then_some(end));
        handed_on.for_each(|value| extend(&mut tenants, value, end));
        for operation in operations {
            let time = operation.output - 1 + usize::from(merged[operation.output]);
            operation.reads.iter().for_each(|value| extend(&mut tenants, *value, time));
        }
        for tenant in tenants.iter_mut().flatten().filter(|tenant| tenant.single && tenant.to >= prefix) {
            (tenant.single, tenant.from) = (false, 0);
        }
        let mut gradient_tenants = vec![None; count];
        // Where the gradient that begins as that of a value lives.
        let mut home: Vec<usize> = (0..count).collect();
        if has_backward {
            let mut touch = |value: usize, time: usize| {
                let tenant = gradient_tenants[value].get_or_insert(tenant(value, false, time));
                (tenant.from, tenant.to) = (tenant.from.min(time), tenant.to.max(time));
            };
            touch(end, end);
            let is_active = |operation: &&Operation| description.is_active(operation.output, reach);
            for operation in operations.iter().filter(is_active) {
                let time = 2 * end + 1 - operation.output;
                for value in description.kept_for(operation, reach) {
                    extend(&mut tenants, value, time);
                }
                for &value in operation.reads.iter().filter(|value| description.contributes(**value, reach)) {
                    touch(value, time);
                    completes[value].get_or_insert(operation.output);
                }
                // The gradient that it reads.
                touch(operation.layer.map_or(operation.output, |layer| description.gradient_of(layer)), time);
            }
            inherit(description, reach, &mut gradient_tenants, &mut home);
        }
        tenants.append(&mut gradient_tenants);
        let (mut values, buffers) = place(tenants);
        let places = values.split_off(count);
        let gradients = home.into_iter().map(|home| places[home]).collect();
        Self { values, gradients, completes, merged, buffers, prefix, reach }
    }
}

/// Gives every tenant a buffer that is free while it lives, in order of time; of the free ones the smallest
/// that is large enough, else the largest, which grows.
fn place(tenants: Vec<Option<Tenant>>) -> (Vec<Option<usize>>, Vec<Room>) {
    let (mut places, mut buffers) = (vec![None; tenants.len()], Vec::<Room>::new());
    let waiting = places.iter_mut().zip(tenants).filter_map(|(place, tenant)| Some((place, tenant?)));
    let mut waiting: Vec<(&mut Option<usize>, Tenant)> = waiting.collect();
    waiting.sort_by_key(|(_, tenant)| tenant.from);
    let mut busy_until: Vec<usize> = vec![];
    for (place, Tenant { lanes, single, from, to }) in waiting {
        let is_free = |buffer: &usize| busy_until[*buffer] < from && buffers[*buffer].single == single;
        let best = (0..buffers.len()).filter(is_free).min_by_key(|buffer| match buffers[*buffer].lanes {
            room if room >= lanes => (0, room),
            room => (1, usize::MAX - room),
        });
        let buffer = best.unwrap_or_else(|| {
            buffers.push(Room { lanes, single });
            busy_until.push(to);
            buffers.len() - 1
        });
        buffers[buffer].lanes = buffers[buffer].lanes.max(lanes);
        busy_until[buffer] = to;
        *place = Some(buffer);
    }
    (places, buffers)
}

/// How many leading operations can run group by group: those of skipped blocks. A linear layer takes
/// several groups at once, so that each of its weights is loaded once for all of them.
fn prefix(description: &Description, reach: Reach) -> usize {
    let is_inside = |operation: &&Operation| {
        let is_linear = matches!(operation.kind, Kind::Linear { .. } | Kind::Classifier);
        !description.is_active(operation.output, reach) && !is_linear
    };
    description.operations().iter().take_while(is_inside).count()
}

/// Lets the value live until `time` at least; the network's input has no buffer.
fn extend(tenants: &mut [Option<Tenant>], value: usize, time: usize) {
    if let Some(tenant) = &mut tenants[value] {
        tenant.to = tenant.to.max(time);
    }
}

/// Finds the shortcuts whose gradient may begin as that of the sum they go into, in its buffer: those to
/// which nothing else adds before the last reader of the sum's gradient is done. The sum's tenant takes over
/// the time of the shortcut's, and is its home.
fn inherit(description: &Description, reach: Reach, gradients: &mut [Option<Tenant>], home: &mut [usize]) {
    let is_active = |operation: &&Operation| description.is_active(operation.output, reach);
    let backward = |operation: &Operation| 2 * description.logits() + 1 - operation.output;
    let contributors = |value: usize| {
        let active = description.operations().iter().rev().filter(is_active);
        active.filter(move |operation| {
            operation.reads.contains(&value) && description.contributes(value, reach)
        })
    };
    // The last reader of each sum's own gradient, before anything is handed on.
    let last_read: Vec<Option<usize>> = gradients.iter().map(|tenant| Some(tenant.as_ref()?.to)).collect();
    let additions = |operation: &&Operation| operation.kind == Kind::Addition;
    for operation in description.operations().iter().rev().filter(is_active).filter(additions) {
        let (main, shortcut, sum) = (operation.reads[0], operation.reads[1], operation.output);
        let mut times = contributors(shortcut).map(backward);
        let is_first = times.next() == Some(backward(operation));
        let free = times.next().is_none_or(|next| last_read[sum].is_some_and(|last| last < next));
        if is_first && main != shortcut && free {
            let heir = gradients[shortcut].take().expect("an operation contributes to it");
            let tenant = gradients[home[sum]].as_mut().expect("it is computed");
            tenant.to = tenant.to.max(heir.to);
            home[shortcut] = home[sum];
        }
    }
}
