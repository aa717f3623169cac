//! A network of one's own: depthwise convolutions and a shortcut, on the data set of the program.
//!
//! `cargo run --release --example own_network -- train model.name=own train.epochs=2`

use spfde::prelude::*;

fn main() -> std::process::ExitCode {
    spfde::app().model("own", own).main()
}

fn own(net: &NetworkBuilder) -> Logits {
    let mut x = net.convolution(16, 3).batch_norm().relu();
    for channels in [32, 64] {
        net.block();
        let main = net.convolution(channels / 2, 3).depthwise().stride(2).batch_norm().relu().after(x);
        let main = net.convolution(channels, 1).batch_norm().after(main);
        let shortcut = net.convolution(channels, 1).stride(2).batch_norm().after(x);
        x = net.add(main, shortcut);
    }
    net.classifier(net.average_pool(x))
}
