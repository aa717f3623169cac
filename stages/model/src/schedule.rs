//! Which buffer holds which value and gradient, by the time at which each is last read.

mod heirs;

use crate::description::{Description, Kind, Reach};
use heirs::inherit;

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
    /// The buffer of the gradient of each value, where one is computed. The gradient of a sum may grow, in
    /// the same buffer, into that of the shortcut it passes on to.
    pub(crate) gradients: Vec<Option<usize>>,
    /// The operation whose backward pass is the last to add to the gradient of each value.
    pub(crate) completes: Vec<Option<usize>>,
    pub(crate) buffers: Vec<Buffer>,
    /// How many leading operations run group by group.
    pub(crate) prefix: usize,
    /// How far the backward pass goes: to the frozen blocks, or through them where those are observed.
    pub(crate) reach: Reach,
}

/// What a buffer is large enough for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// Lanes per group.
    pub(crate) lanes: usize,
    /// Whether it holds one group at a time, in place of all groups of the shard.
    pub(crate) single: bool,
}

/// Something that lives in a buffer, of one group at a time if it is `single`, from one time to another, both
/// included.
#[derive(Clone, Copy)]
struct Tenant {
    size: usize,
    single: bool,
    from: usize,
    to: usize,
}

impl Schedule {
    /// The buffers for a forward pass and a backward pass. Blocks that the latter skips do not measure.
    pub(crate) fn training(description: &Description, reach: Reach) -> Self {
        Self::new(description, reach, true)
    }

    /// The buffers for a forward pass alone, in which the first `fixed` blocks do not measure.
    pub(crate) fn forward(description: &Description, fixed: usize) -> Self {
        Self::new(description, Reach::Block(fixed), false)
    }

    /// The addition that `operation` computes while it packs its input, unless the prefix ends between the
    /// two: there the sum alone goes from the one to the other, not both of its terms.
    pub(crate) fn merged_addition(&self, description: &Description, operation: usize) -> Option<usize> {
        merged_addition(description, self.prefix, operation)
    }

    /// Operation `i` of `n` runs forward at time `i` (a merged addition with the next), backward at `2 n −
    /// i`; the loss is computed at time `n`. What outlives the prefix is written from time 0 on, group by
    /// group.
    fn new(description: &Description, reach: Reach, has_backward: bool) -> Self {
        let (operations, logits) = (&description.operations, description.logits.value);
        let (count, end) = (description.values.len(), operations.len());
        let prefix = prefix(description, reach);
        let tenant = |value: usize, time: usize| {
            let size = description.values[value].shape.len();
            Tenant { size, single: false, from: time, to: time }
        };
        let written = |value: usize| {
            let from = value.checked_sub(1)?;
            Some(Tenant { single: from < prefix, ..tenant(value, from) })
        };
        let mut tenants: Vec<Option<Tenant>> = (0..count).map(written).collect();
        extend(&mut tenants, logits, end);
        for (number, operation) in operations.iter().enumerate() {
            let merged = merged_addition(description, prefix, number + 1).is_some();
            let time = number + usize::from(merged);
            operation.inputs().for_each(|input| extend(&mut tenants, input.value, time));
        }
        for tenant in tenants.iter_mut().flatten().filter(|tenant| tenant.single && tenant.to >= prefix) {
            (tenant.single, tenant.from) = (false, 0);
        }
        let (mut gradient_tenants, mut completes) = (vec![None; count], vec![None; count]);
        let mut heirs = vec![];
        if has_backward {
            let mut touch = |value: usize, time: usize| {
                let tenant = gradient_tenants[value].get_or_insert(tenant(value, time));
                (tenant.from, tenant.to) = (tenant.from.min(time), tenant.to.max(time));
            };
            touch(logits, end);
            let active = |(number, _): &(usize, _)| description.is_active(*number, reach);
            for (number, operation) in operations.iter().enumerate().filter(active) {
                let time = 2 * end - number;
                for value in description.kept_for(number, reach) {
                    extend(&mut tenants, value, time);
                }
                for input in operation.inputs().filter(|input| description.contributes(*input, reach)) {
                    touch(input.value, time);
                    completes[input.value].get_or_insert(number);
                }
                // The gradient that it reads.
                touch(
                    match operation.kind {
                        Kind::Convolution(layer) | Kind::Linear(layer) => description.gradient_of(layer),
                        _ => operation.output,
                    },
                    time,
                );
            }
            heirs = inherit(description, reach, &mut gradient_tenants);
        }
        tenants.append(&mut gradient_tenants);
        let (mut values, buffers) = place(tenants);
        let mut gradients = values.split_off(count);
        heirs.into_iter().for_each(|(heir, sum)| gradients[heir] = gradients[sum]);
        Self { values, gradients, completes, buffers, prefix, reach }
    }
}

/// Gives every tenant a buffer that is free while it lives, in order of time; of the free ones the smallest
/// that is large enough, else the largest, which grows.
fn place(tenants: Vec<Option<Tenant>>) -> (Vec<Option<usize>>, Vec<Buffer>) {
    let (mut places, mut buffers) = (vec![None; tenants.len()], Vec::<Buffer>::new());
    let waiting = places.iter_mut().zip(tenants).filter_map(|(place, tenant)| Some((place, tenant?)));
    let mut waiting: Vec<(&mut Option<usize>, Tenant)> = waiting.collect();
    waiting.sort_by_key(|(_, tenant)| tenant.from);
    let mut busy_until: Vec<usize> = vec![];
    for (place, Tenant { size, single, from, to }) in waiting {
        let is_free = |buffer: &usize| busy_until[*buffer] < from && buffers[*buffer].single == single;
        let best = (0..buffers.len()).filter(is_free).min_by_key(|buffer| match buffers[*buffer].lanes {
            lanes if lanes >= size => (0, lanes),
            lanes => (1, usize::MAX - lanes),
        });
        let buffer = best.unwrap_or(buffers.len());
        if buffer == buffers.len() {
            buffers.push(Buffer { lanes: 0, single });
            busy_until.push(0);
        }
        buffers[buffer].lanes = buffers[buffer].lanes.max(size);
        busy_until[buffer] = to;
        *place = Some(buffer);
    }
    (places, buffers)
}

/// How many leading operations can run group by group: those of skipped blocks. A linear layer takes
/// several groups at once, so that each of its weights is loaded once for all of them.
fn prefix(description: &Description, reach: Reach) -> usize {
    let is_inside = |number: &usize| {
        let is_linear = matches!(description.operations[*number].kind, Kind::Linear(_));
        !description.is_active(*number, reach) && !is_linear
    };
    (0..description.operations.len()).take_while(is_inside).count()
}

/// The addition that the convolution `operation` computes while it packs its input: the one right before it,
/// whose sum it reads.
fn merged_addition(description: &Description, prefix: usize, operation: usize) -> Option<usize> {
    let before = operation.checked_sub(1)?;
    let [addition, convolution] = description.operations.get(before..=operation)? else { return None };
    let merged = matches!(addition.kind, Kind::Addition(_))
        && matches!(convolution.kind, Kind::Convolution(_))
        && convolution.input.value == addition.output
        && operation != prefix;
    merged.then_some(before)
}

/// Lets the value live until `time` at least; the network's input has no buffer.
fn extend(tenants: &mut [Option<Tenant>], value: usize, time: usize) {
    if let Some(tenant) = &mut tenants[value] {
        tenant.to = tenant.to.max(time);
    }
}
