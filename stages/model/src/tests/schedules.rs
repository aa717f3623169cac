//! Buffers: nothing is overwritten while it is needed, and freezing frees memory.

use spfde_data::parameter::Parameters;

use crate::description::{Description, InputShape};
use crate::models;
use crate::schedule::Schedule;

fn description(model: &str) -> Description {
    let shape = InputShape { channels: 1, height: 28, width: 28 };
    let parameters = Parameters::defaults(&models::parameters());
    (models::find(model).unwrap().build)(&parameters, shape, 10).unwrap()
}

#[test]
fn values_that_the_backward_pass_reads_share_no_buffer() {
    for entry in models::registry() {
        let description = description(entry.name);
        for frozen in 0..=description.architecture.blocks.len() {
            let schedule = Schedule::training(&description, frozen);
            let mut kept: Vec<usize> = (0..description.operations.len())
                .filter(|operation| description.is_active(*operation, frozen))
                .flat_map(|operation| description.kept_for(operation, frozen))
                .collect();
            kept.sort_unstable();
            kept.dedup();
            let mut buffers: Vec<usize> = kept.iter().filter_map(|value| schedule.values[*value]).collect();
            let count = buffers.len();
            buffers.sort_unstable();
            buffers.dedup();
            assert_eq!(buffers.len(), count, "{} with {frozen} frozen", entry.name);
        }
    }
}

#[test]
fn memory_falls_with_every_frozen_block_and_stays_near_what_shapes_say() {
    for entry in models::registry() {
        let description = description(entry.name);
        let counted = &description.architecture.activation_bytes;
        assert_eq!(counted.len(), description.architecture.blocks.len() + 1);
        let mut before = usize::MAX;
        for (frozen, counted) in counted.iter().enumerate() {
            let bytes = 4 * Schedule::training(&description, frozen).buffers.iter().sum::<usize>();
            assert!(bytes <= before, "{} with {frozen} frozen", entry.name);
            // Beyond what is kept there are the values and gradients in hand: at most five of the largest value, and
            // the network's input, which has no buffer here.
            let largest = description.values.iter().map(|value| value.shape.len()).max().unwrap();
            let input = 4 * description.values[0].shape.len();
            assert!(
                bytes as u64 <= counted + (5 * 4 * largest) as u64 && bytes as u64 + input as u64 >= *counted,
                "{} with {frozen} frozen: {bytes}, counted {counted}",
                entry.name
            );
            before = bytes;
        }
    }
}

#[test]
fn activation_bytes_of_resnet20_are_those_counted_by_hand() {
    let counted = description("resnet20").architecture.activation_bytes.clone();
    // Numbers per sample: the input; outputs of stem and of 6 convolutions and 3 sums on 16·28·28; 6 convolutions, a
    // shortcut and 3 sums on 32·14·14; the same on 64·7·7; pooled features and logits.
    let (large, middle, small) = (16 * 28 * 28, 32 * 14 * 14, 64 * 7 * 7);
    assert_eq!(counted[0], 4 * (784 + 10 * large + 10 * middle + 10 * small + 64 + 10));
    // Only the classifier is left: its input and its logits.
    assert_eq!(counted[9], 4 * (64 + 10));
    // One block frozen: its sum is the input of the next, all else of it is gone.
    assert_eq!(counted[1], counted[0] - 4 * (784 + 3 * large));
}
