//! How many numbers a step carries between the processor and its memory, told from shapes: values and
//! gradients are larger than caches, and each pass over one reads or writes all of it.

use crate::description::{Description, Kind, LayerDescription, Operation, Reach};
use crate::schedule::Schedule;

impl Description {
    /// Numbers of values and their gradients that a training step reads and writes for each sample, if its
    /// first `frozen` blocks are frozen.
    ///
    /// Counts the passes that the page of the [kernels](crate::Kernel) lists: what is read again while it is
    /// in the cache is not counted, nor are values of the frozen blocks that run group by group, nor weights.
    ///
    /// # Panics
    /// If there are fewer blocks.
    pub fn traffic(&self, frozen: usize) -> u64 {
        let schedule = Schedule::training(self, Reach::Block(frozen));
        let counts = |value: &usize| match schedule.values[*value] {
            Some(buffer) if schedule.buffers[buffer].single => 0,
            _ => self.shapes[*value].len(),
        };
        let forward = self.operations().iter().map(|operation| {
            // The convolution finds the sum in the cache that it has let be computed.
            let reads = operation.reads.iter().filter(|value| !schedule.merged[**value]);
            reads.map(counts).sum::<usize>() + counts(&operation.output)
        });
        let mut begun = vec![false; self.shapes.len()];
        let is_active = |operation: &&Operation| self.is_active(operation.output, schedule.reach);
        let backward = self.operations().iter().rev().filter(is_active).map(|operation| {
            let (own, mut numbers) = (self.shapes[operation.output].len(), 0);
            for &value in &operation.reads {
                let len = self.shapes[value].len();
                numbers += match operation.kind {
                    Kind::Convolution(_) | Kind::Linear { .. } | Kind::Classifier => 2 * own + len,
                    _ => 0,
                };
                if schedule.gradients[value] == schedule.gradients[operation.output] {
                    begun[value] = true;
                } else if self.contributes(value, schedule.reach) {
                    numbers += match operation.kind {
                        Kind::MaxPool | Kind::WideMaxPool => own + len,
                        Kind::AveragePool | Kind::Addition => own,
                        Kind::Concatenation | Kind::Dropout { .. } | Kind::Sum | Kind::Patches { .. } => len,
                        Kind::Gelu | Kind::LayerNorm => 2 * len,
                        Kind::Attention { .. } => own + len,
                        _ => 0,
                    };
                    numbers += if std::mem::replace(&mut begun[value], true) { 2 * len } else { len };
                    if schedule.completes[value] == Some(operation.output) {
                        numbers += self.settled(value, matches!(operation.kind, Kind::Convolution(_)));
                    }
                }
            }
            numbers
        });
        (forward.sum::<usize>() + backward.sum::<usize>()) as u64
    }

    /// Numbers that are read and written to settle the gradient of `value`, beside what a convolution that
    /// completes it has in the cache or in registers.
    fn settled(&self, value: usize, by_convolution: bool) -> usize {
        let behind: Vec<&LayerDescription> =
            self.layers_behind(value).map(|layer| &self.layers[layer]).collect();
        let passes = match by_convolution {
            true => behind.iter().filter(|layer| layer.value != value).count(),
            false if behind.is_empty() => 0,
            // The gradient, and the signs of a sum.
            false => 2 + usize::from(behind[0].sum.is_some()) + behind.len(),
        };
        passes * self.shapes[value].len()
    }
}

#[cfg(test)]
mod tests {
    use crate::description::{Description, InputShape};

    /// Counted by hand: a stem, a block of two convolutions and a sum, pooling, a classifier; all values but
    /// the last two have 256 numbers.
    #[test]
    fn passes_over_a_residual_network_are_those_that_are_there() {
        let shape = InputShape { channels: 4, height: 8, width: 8 };
        let description = Description::build(shape, 10, |net| {
            let stem = net.convolution(4, 3).batch_norm().relu();
            let x = net.block().convolution(4, 3).batch_norm().relu().after(stem);
            let x = net.convolution(4, 3).batch_norm().after(x);
            net.classifier(net.average_pool(net.add(x, stem)))
        });
        let description = description.unwrap();
        // Forward three convolutions with two passes each, three for the sum, one for the pool. Backward the
        // pool with one and four to settle, then four, five and three for the convolutions.
        let (large, classes, channels) = (6 + 3 + 1 + 5 + 4 + 5 + 3, 10, 4);
        assert_eq!(description.traffic(0), large * 256 + 3 * classes + 5 * channels);
        // With the stem frozen, its weights have no gradient, and nothing is handed on to it.
        assert_eq!(description.traffic(1), (large - 3 - 2) * 256 + 3 * classes + 5 * channels);
        // With the block frozen, its values stay in the cache, and nothing goes backward through it.
        assert_eq!(description.traffic(2), 256 + 3 * classes + 3 * channels);
    }
}
