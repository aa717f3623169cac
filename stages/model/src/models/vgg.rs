//! `vgg16`, `vgg19`: 3×3 convolutions with batch norm between max poolings (Simonyan and Zisserman 2015), in
//! the form for CIFAR that work on sparse training uses (Liu et al. 2019, MEST, GSE): four max poolings, the
//! mean over what is left of the image, and one linear layer. Every convolution is a block.
//!
//! `convolution1`, `convolution2`, … are the convolutions of PyTorch's `features`, from the front, each
//! with the batch norm behind it; `classifier` is the linear layer. Here and there gains, offsets, running
//! means and variances are a batch norm's `weight`, `bias`, `running_mean` and `running_var`; convolutions
//! have no bias.

use crate::models::{ModelEntry, width};

/// A network with so many convolutions in each of its five stages.
pub(super) fn entry(name: &'static str, summary: &'static str, stages: [usize; 5]) -> ModelEntry {
    ModelEntry::new(name, summary, width, move |parameters, network| {
        let width = parameters.integer("model.width") as usize;
        let (mut signal, mut number) = (network.input(), 0);
        for ((stage, convolutions), channels) in stages.into_iter().enumerate().zip([64, 128, 256, 512, 512])
        {
            for place in 0..convolutions {
                if stage > 0 && place == 0 {
                    signal = network.max_pool(signal);
                }
                number += 1;
                let name = format!("convolution{number}");
                let convolution = network.block_named(&name).convolution(channels * width, 3).after(signal);
                signal = convolution.batch_norm().relu().named(name);
            }
        }
        network.classifier(network.average_pool(signal))
    })
}
