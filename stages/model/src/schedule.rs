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
        let (values, operations) = (&description.values, &description.operations);
        let end = operations.len();
        let prefix = prefix(description, reach);
        let backward = |operation: usize| 2 * end - operation;
        let mut value_tenants: Vec<Option<Tenant>> = values
            .iter()
            .map(|value| {
                let from = value.producer?;
                Some(Tenant { size: value.shape.len(), single: from < prefix, from, to: from })
            })
            .collect();
        let mut gradient_tenants: Vec<Option<Tenant>> = values.iter().map(|_| None).collect();
        extend(&mut value_tenants, description.logits.value, end);
        for (number, operation) in operations.iter().enumerate() {
            let merged = number + 1 < end && merged_addition(description, prefix, number + 1).is_some();
            for input in operation.inputs() {
                extend(&mut value_tenants, input.value, number + usize::from(merged));
            }
        }
        for tenant in value_tenants.iter_mut().flatten().filter(|tenant| tenant.to >= prefix) {
            if std::mem::replace(&mut tenant.single, false) {
                tenant.from = 0;
            }
        }
        let mut completes = vec![None; values.len()];
        let mut heirs = vec![];
        if has_backward {
            let born = |value: usize, time: usize, tenants: &mut Vec<Option<Tenant>>| {
                let size = values[value].shape.len();
                let tenant =
                    tenants[value].get_or_insert(Tenant { size, single: false, from: time, to: time });
                tenant.from = tenant.from.min(time);
                tenant.to = tenant.to.max(time);
            };
            born(description.logits.value, end, &mut gradient_tenants);
            for (number, operation) in operations.iter().enumerate() {
                if !description.is_active(number, reach) {
                    continue;
                }
                let time = backward(number);
                for value in description.kept_for(number, reach) {
                    extend(&mut value_tenants, value, time);
                }
                for input in operation.inputs().filter(|input| description.contributes(*input, reach)) {
                    born(input.value, time, &mut gradient_tenants);
                    completes[input.value].get_or_insert(number);
                }
                // The gradient that it reads.
                let read = match operation.kind {
                    Kind::Convolution(layer) | Kind::Linear(layer) => description.gradient_of(layer),
                    _ => operation.output,
                };
                born(read, time, &mut gradient_tenants);
            }
            heirs = inherit(description, reach, &mut gradient_tenants);
        }
        let (values, gradients) = (vec![None; values.len()], vec![None; values.len()]);
        let mut schedule = Self { values, gradients, completes, buffers: vec![], prefix };
        schedule.place(value_tenants, gradient_tenants);
        for (heir, sum) in heirs {
            schedule.gradients[heir] = schedule.gradients[sum];
        }
        schedule
    }

    /// Gives every tenant a buffer that is free while it lives, in order of time; of the free ones the
    /// smallest that is large enough, else the largest, which grows.
    fn place(&mut self, values: Vec<Option<Tenant>>, gradients: Vec<Option<Tenant>>) {
        let count = values.len();
        let mut tenants: Vec<(usize, Tenant)> = values
            .into_iter()
            .chain(gradients)
            .enumerate()
            .filter_map(|(place, tenant)| Some((place, tenant?)))
            .collect();
        tenants.sort_by_key(|(place, tenant)| (tenant.from, *place));
        let mut busy_until: Vec<usize> = vec![];
        for (place, tenant) in tenants {
            let free = (0..self.buffers.len()).filter(|buffer| {
                busy_until[*buffer] < tenant.from && self.buffers[*buffer].single == tenant.single
            });
            let best = free.min_by_key(|buffer| {
                let size = self.buffers[*buffer].lanes;
                if size >= tenant.size { (0, size) } else { (1, usize::MAX - size) }
            });
            let buffer = best.unwrap_or_else(|| {
                self.buffers.push(Buffer { lanes: 0, single: tenant.single });
                busy_until.push(0);
                self.buffers.len() - 1
            });
            self.buffers[buffer].lanes = self.buffers[buffer].lanes.max(tenant.size);
            busy_until[buffer] = tenant.to;
            match place.checked_sub(count) {
                None => self.values[place] = Some(buffer),
                Some(value) => self.gradients[value] = Some(buffer),
            }
        }
    }
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
    let [addition, convolution] = &description.operations[before..=operation] else { return None };
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
