//! Convolutions of images of which only some rows are packed at a time.

use super::layers::{Case, Window, check, describe};
use crate::description::Affine;
use crate::kernel::Kernel;

#[test]
fn convolutions_of_large_images_have_the_gradients_of_the_reference() {
    let windows = [(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (3, 1, 0), (5, 1, 2), (5, 2, 0), (7, 2, 3)];
    let mut compared = Vec::new();
    for (number, (kernel, stride, padding)) in windows.into_iter().enumerate() {
        let (window, height) = (Window { kernel, stride, padding }, [22, 23][number % 2]);
        let (inputs, outputs, affine, density) = (14, 14 * stride, Affine::Bias, 0.2);
        // The second has several groups, which go through the same rows.
        for samples in [2, 9] {
            let case = Case { height, width: 31, inputs, outputs, window, affine, density, samples };
            let geometry = &describe(&case).layers[1].geometry;
            assert!(geometry.source_rows(8) < geometry.source.rows, "{case:?}");
            assert!(stride > 1 || geometry.gradient_rows(8) < geometry.gradient.rows, "{case:?}");
            compared.extend(Kernel::all().into_iter().map(|kernel| check(&case, kernel)));
        }
    }
    // Of so many inputs of a ReLU often one is too near to 0.
    let number = compared.iter().filter(|compared| **compared).count();
    assert!(3 * number > compared.len(), "{number} of {} have gradients to compare", compared.len());
}
