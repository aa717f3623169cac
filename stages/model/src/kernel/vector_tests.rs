//! The two kinds of vectors do the same, up to the rounding of fused multiply-adds.

use crate::kernel::entry;
use crate::kernel::vector::Vector;
use crate::kernel::{Kernel, LaneMask};
use crate::lane::Lane;

/// Everything a vector does, on three lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    lanes: Vec<Lane>,
    sum: f32,
    /// Sums of eight vectors, one by one and together.
    sums: [[f32; 8]; 2],
}

entry! {
    fn all(operands: &[Lane; 3], results: &mut Results) = body
}

#[inline(always)]
fn body<V: Vector>(operands: &[Lane; 3], results: &mut Results) {
    let [a, b, c] = [V::load(&operands[0]), V::load(&operands[1]), V::load(&operands[2])];
    for vector in [
        a.add(b),
        a.relu(),
        a.where_positive(b),
        a.keep(LaneMask::first(5)),
        V::splat(operands[0].0[3]),
        V::zero(),
        a.mul_add(b, c),
    ] {
        let mut lane = Lane::ZERO;
        vector.store(&mut lane);
        results.lanes.push(lane);
    }
    results.sum = a.sum();
    let eight = [a, b, c, a.add(c), c.add(b), a.add(b), a.mul_add(c, b), c.relu()];
    results.sums = [eight.map(V::sum), V::sums(eight)];
}

#[test]
fn vectors_of_both_kinds_agree_also_on_signs_and_numbers_that_are_not_finite() {
    let operands = [
        Lane([1.5, -2.25, 0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40]),
        Lane([-0.5, 3.0, 1.0, -1.0, 1.0, f32::NAN, 0.0, -0.0]),
        Lane([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
    ];
    let (mut portable, mut fast) = (Results::default(), Results::default());
    all(Kernel::PORTABLE, &operands, &mut portable);
    all(Kernel::resolve("auto").unwrap(), &operands, &mut fast);
    let bits = |results: &Results| -> Vec<Vec<Option<u32>>> {
        // One NaN is as good as another.
        let bits = |value: &f32| (!value.is_nan()).then(|| value.to_bits());
        results.lanes[..6].iter().map(|lane| lane.0.iter().map(bits).collect()).collect()
    };
    assert_eq!(bits(&portable), bits(&fast));
    let relu = &portable.lanes[1].0;
    assert_eq!(relu[..4], [1.5, 0.0, 0.0, 0.0]);
    assert!(relu[4].is_nan() && relu[5] == f32::INFINITY && relu[6] == 0.0);
    let kept = &portable.lanes[3].0;
    assert!(kept[4].is_nan() && kept[5..] == [0.0; 3]);
    let passed = &portable.lanes[2].0;
    assert_eq!((passed[..4].to_vec(), passed[5..].to_vec()), (vec![0.0, -2.25, 0.0, 0.0], vec![0.0; 3]));
}

#[test]
fn sums_have_one_order() {
    let operands = [
        Lane([0.1, 1e7, -0.3, 7.7, 1e-3, -1e7, 12.5, 0.77]),
        Lane([3.1, 0.2, 1e6, -7.0, 0.01, 1.0, -1e6, 2.5]),
        Lane([0.9, -0.8, 0.7, 1e5, -0.5, 0.4, 0.3, -1e5]),
    ];
    for kernel in [Kernel::PORTABLE, Kernel::resolve("auto").unwrap()] {
        let mut results = Results::default();
        all(kernel, &operands, &mut results);
        assert_eq!(results.sum.to_bits(), operands[0].sum().to_bits());
        assert!((results.sum - 20.771).abs() < 1.0);
        let [single, together] = results.sums.map(|sums| sums.map(f32::to_bits));
        assert_eq!(single, together);
        assert_eq!(single[1], operands[1].sum().to_bits());
    }
}
