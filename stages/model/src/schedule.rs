//! Which buffer holds which value and gradient, by the time at which each is last read.

use crate::description::{Consumer, Description, Kind};

/// The buffers of a pass over a network. Values that the backward pass reads again live until then; those of the
/// frozen prefix, and all of them where there is no backward pass, share a few buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The buffer of each value; none for the network's input.
    pub(crate) values: Vec<Option<usize>>,
    /// The buffer of the gradient of each value, where one is computed. The gradient of a sum may grow, in the same
    /// buffer, into that of the shortcut it passes on to.
    pub(crate) gradients: Vec<Option<usize>>,
    /// The operation whose backward pass is the last to add to the gradient of each value.
    pub(crate) completes: Vec<Option<usize>>,
    /// Lanes per group of each buffer.
    pub(crate) buffers: Vec<usize>,
}

/// Something that lives in a buffer from one time to another, both included.
struct Tenant {
    size: usize,
    from: usize,
    to: usize,
}

impl Schedule {
    /// The buffers for a forward pass and a backward pass down to the first `skipped` blocks.
    pub(crate) fn training(description: &Description, skipped: usize) -> Self {
        Self::new(description, Some(skipped))
    }

    /// The buffers for a forward pass alone.
    pub(crate) fn forward(description: &Description) -> Self {
        Self::new(description, None)
    }

    /// Operation `i` of `n` runs forward at time `i` (a merged addition with the next), backward at `2 n − i`; the loss is
    /// computed at time `n`.
    fn new(description: &Description, skipped: Option<usize>) -> Self {
        let (values, operations) = (&description.values, &description.operations);
        let end = operations.len();
        let backward = |operation: usize| 2 * end - operation;
        let mut value_tenants: Vec<Option<Tenant>> = values
            .iter()
            .map(|value| {
                let from = value.producer?;
                Some(Tenant { size: value.shape.len(), from, to: from })
            })
            .collect();
        let mut gradient_tenants: Vec<Option<Tenant>> = values.iter().map(|_| None).collect();
        extend(&mut value_tenants, description.logits.value, end);
        for (number, operation) in operations.iter().enumerate() {
            let merged = number + 1 < end && description.merged_addition(number + 1).is_some();
            for input in operation.inputs() {
                extend(&mut value_tenants, input.value, number + usize::from(merged));
            }
        }
        let mut completes = vec![None; values.len()];
        let mut heirs = vec![];
        if let Some(skipped) = skipped {
            let born = |value: usize, time: usize, tenants: &mut Vec<Option<Tenant>>| {
                let size = values[value].shape.len();
                let tenant = tenants[value].get_or_insert(Tenant { size, from: time, to: time });
                tenant.from = tenant.from.min(time);
                tenant.to = tenant.to.max(time);
            };
            born(description.logits.value, end, &mut gradient_tenants);
            for (number, operation) in operations.iter().enumerate() {
                if !description.is_active(number, skipped) {
                    continue;
                }
                let time = backward(number);
                for value in description.kept_for(number, skipped) {
                    extend(&mut value_tenants, value, time);
                }
                for input in operation.inputs().filter(|input| description.contributes(*input, skipped)) {
                    born(input.value, time, &mut gradient_tenants);
                    completes[input.value].get_or_insert(number);
                }
                // The gradient that it reads.
                let read = match operation.kind {
                    Kind::Convolution(layer) | Kind::Linear(layer) => {
                        match description.layers[layer].consumer {
                            Consumer::Reader { .. } => operation.output,
                            Consumer::Addition { sum } => sum,
                        }
                    }
                    _ => operation.output,
                };
                born(read, time, &mut gradient_tenants);
            }
            heirs = inherit(description, skipped, &mut gradient_tenants);
        }
        let (values, gradients) = (vec![None; values.len()], vec![None; values.len()]);
        let mut schedule = Self { values, gradients, completes, buffers: vec![] };
        schedule.place(value_tenants, gradient_tenants);
        for (heir, sum) in heirs {
            schedule.gradients[heir] = schedule.gradients[sum];
        }
        schedule
    }

    /// Gives every tenant a buffer that is free while it lives, in order of time; of the free ones the smallest that
    /// is large enough, else the largest, which grows.
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
            let free = (0..self.buffers.len()).filter(|buffer| busy_until[*buffer] < tenant.from);
            let best = free.min_by_key(|buffer| {
                let size = self.buffers[*buffer];
                if size >= tenant.size { (0, size) } else { (1, usize::MAX - size) }
            });
            let buffer = best.unwrap_or_else(|| {
                self.buffers.push(0);
                busy_until.push(0);
                self.buffers.len() - 1
            });
            self.buffers[buffer] = self.buffers[buffer].max(tenant.size);
            busy_until[buffer] = tenant.to;
            match place.checked_sub(count) {
                None => self.values[place] = Some(buffer),
                Some(value) => self.gradients[value] = Some(buffer),
            }
        }
    }
}

/// Finds the shortcuts whose gradient may begin as that of the sum they go into, in its buffer: those to which nobody
/// else adds before the last reader of the sum's gradient is done. The sum's tenant takes over the time of the
/// shortcut's. Gives pairs of shortcut and sum, sums before shortcuts.
fn inherit(
    description: &Description,
    skipped: usize,
    gradients: &mut [Option<Tenant>],
) -> Vec<(usize, usize)> {
    let operations = &description.operations;
    let backward = |operation: usize| 2 * operations.len() - operation;
    let contributors = |value: usize| {
        (0..operations.len()).filter(move |number| {
            let mut inputs = operations[*number].inputs();
            description.is_active(*number, skipped)
                && inputs.any(|input| input.value == value && description.contributes(input, skipped))
        })
    };
    // The last reader of each sum's own gradient, before anything is handed on.
    let last_read: Vec<Option<usize>> =
        gradients.iter().map(|tenant| tenant.as_ref().map(|tenant| tenant.to)).collect();
    let mut heirs = vec![];
    // Where the gradient that began as that of a value lives.
    let mut home: Vec<usize> = (0..gradients.len()).collect();
    for (number, operation) in operations.iter().enumerate().rev() {
        let (Kind::Addition(shortcut), true) = (operation.kind, description.is_active(number, skipped))
        else {
            continue;
        };
        let (value, sum) = (shortcut.value, operation.output);
        let mut times = contributors(value).map(backward).collect::<Vec<_>>();
        times.sort_unstable();
        let free = times.get(1).is_none_or(|next| last_read[sum].is_some_and(|last| last < *next));
        if times.first() == Some(&backward(number)) && operation.input.value != value && free {
            let heir = gradients[value].take().expect("somebody contributes to it");
            let tenant = gradients[home[sum]].as_mut().expect("it is computed");
            tenant.to = tenant.to.max(heir.to);
            home[value] = home[sum];
            heirs.push((value, home[sum]));
        }
    }
    heirs
}

/// Lets the value live until `time` at least; the network's input has no buffer.
fn extend(tenants: &mut [Option<Tenant>], value: usize, time: usize) {
    if let Some(tenant) = &mut tenants[value] {
        tenant.to = tenant.to.max(time);
    }
}
