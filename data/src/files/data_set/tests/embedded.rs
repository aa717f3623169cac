//! The data set that comes with the program.

use super::*;

#[test]
fn fashion_mnist_is_whole() {
    let set = embedded().unwrap();
    assert_eq!((set.name.as_str(), set.classes), ("fashion-mnist", 10));
    for (images, per_class) in [(&set.train, 6000), (&set.test, 1000)] {
        assert_eq!((images.channels, images.height, images.width), (1, 28, 28));
        let mut counts = [0; 10];
        images.labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
        assert_eq!(counts, [per_class; 10], "the classes are equally frequent");
    }
    // The mean and deviation of the training pixels that are commonly quoted: 0.2860 and 0.3530 of 255.
    let deviation = 1.0 / f64::from(set.normalization.scale[0]);
    let mean = -f64::from(set.normalization.shift[0]) * deviation;
    assert!((mean / 255.0 - 0.2860).abs() < 5e-5, "{mean}");
    assert!((deviation / 255.0 - 0.3530).abs() < 5e-5, "{deviation}");
}
