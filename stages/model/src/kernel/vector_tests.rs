//! All kinds of vectors do the same, up to the rounding of fused multiply-adds.

use crate::kernel::entry;
use crate::kernel::vector::{MOST_LANES, Vector};
use crate::kernel::{Bf16, Kernel, LaneMask, Stored};

/// Everything a vector does, on three operands.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    lanes: Vec<Vec<f32>>,
    sum: f32,
    /// Sums of eight vectors, one by one and together.
    sums: [[f32; 8]; 2],
}

type Operands = [[f32; MOST_LANES]; 3];

entry! {
    fn all(operands: &Operands, results: &mut Results) = body
}

#[inline(always)]
fn body<V: Vector>(operands: &Operands, results: &mut Results) {
    let [a, b, c] = operands.map(|operand| V::read(&operand));
    for vector in [
        a.add(b),
        a.relu(),
        a.where_positive(b),
        a.keep(&LaneMask::first(5)),
        V::splat(operands[0][3]),
        V::zero(),
        a.mul_add(b, c),
    ] {
        let mut lane = vec![0.0; V::LANES];
        vector.write(&mut lane);
        results.lanes.push(lane);
    }
    results.sum = a.sum();
    let eight = [a, b, c, a.add(c), c.add(b), a.add(b), a.mul_add(c, b), c.relu()];
    results.sums = [eight.map(V::sum), V::sums(eight)];
}

fn run(kernel: Kernel, operands: &Operands) -> Results {
    let mut results = Results::default();
    all(kernel, operands, &mut results);
    results
}

/// The eight numbers twice.
fn twice(numbers: [f32; 8]) -> [f32; MOST_LANES] {
    std::array::from_fn(|lane| numbers[lane % 8])
}

#[test]
fn vectors_of_all_kinds_agree_also_on_signs_and_numbers_that_are_not_finite() {
    let operands = [
        twice([1.5, -2.25, 0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40]),
        twice([-0.5, 3.0, 1.0, -1.0, 1.0, f32::NAN, 0.0, -0.0]),
        twice([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
    ];
    let bits = |results: &Results, from: usize| -> Vec<Vec<Option<u32>>> {
        // One NaN is as good as another.
        let bits = |value: &f32| (!value.is_nan()).then(|| value.to_bits());
        results.lanes[..6].iter().map(|lane| lane[from..from + 8].iter().map(bits).collect()).collect()
    };
    let portable = run(Kernel::PORTABLE, &operands);
    for kernel in Kernel::all() {
        let results = run(kernel, &operands);
        assert_eq!(results.lanes[0].len(), kernel.lanes());
        assert_eq!(bits(&portable, 0), bits(&results, 0), "{}", kernel.name());
        if kernel.lanes() == 16 {
            // The mask ends before the upper half.
            let mut expected = bits(&portable, 0);
            expected[3] = vec![Some(0); 8];
            assert_eq!(expected, bits(&results, 8), "{}", kernel.name());
        }
    }
    let relu = &portable.lanes[1];
    assert_eq!(relu[..4], [1.5, 0.0, 0.0, 0.0]);
    assert!(relu[4].is_nan() && relu[5] == f32::INFINITY && relu[6] == 0.0);
    let kept = &portable.lanes[3];
    assert!(kept[4].is_nan() && kept[5..] == [0.0; 3]);
    let passed = &portable.lanes[2];
    assert_eq!((passed[..4].to_vec(), passed[5..].to_vec()), (vec![0.0, -2.25, 0.0, 0.0], vec![0.0; 3]));
}

/// The sum by halves.
fn halved(numbers: &[f32]) -> f32 {
    match numbers.split_at(numbers.len() / 2) {
        ([], one) => one[0],
        (low, high) => halved(&low.iter().zip(high).map(|(low, high)| low + high).collect::<Vec<f32>>()),
    }
}

#[test]
fn sums_have_one_order() {
    let numbers =
        |scale: f32| std::array::from_fn(|lane| scale * [0.1, 1e7, -0.3, 7.7, 1e-3, -1e7, 12.5][lane % 7]);
    let operands: Operands = [numbers(1.0), numbers(-0.37), numbers(1e-3)];
    for kernel in Kernel::all() {
        let results = run(kernel, &operands);
        let expected = operands.map(|operand| halved(&operand[..kernel.lanes()]).to_bits());
        assert_eq!(results.sum.to_bits(), expected[0], "{}", kernel.name());
        let [single, together] = results.sums.map(|sums| sums.map(f32::to_bits));
        assert_eq!(single, together, "{}", kernel.name());
        assert_eq!(single[..3], expected, "{}", kernel.name());
    }
}

entry! {
    fn halve(numbers: &[f32], stored: &mut [Bf16], back: &mut [f32]) = halve_body
}

#[inline(always)]
fn halve_body<V: Vector>(numbers: &[f32], stored: &mut [Bf16], back: &mut [f32]) {
    let lanes = numbers.chunks_exact(V::LANES).zip(stored.chunks_exact_mut(V::LANES));
    for ((numbers, stored), back) in lanes.zip(back.chunks_exact_mut(V::LANES)) {
        V::read(numbers).write(stored);
        V::read(stored).write(back);
    }
}

/// What has seven bits of mantissa, next to a number on both sides: itself and one further by its bits.
fn neighbours(number: f32) -> [f32; 2] {
    let below = number.to_bits() >> 16;
    [below, below + 1].map(|upper| f32::from_bits(upper << 16))
}

#[test]
fn half_the_bytes_keep_the_nearest_number_the_even_one_of_two_on_all_kinds_of_vectors() {
    let mut numbers: Vec<f32> =
        (0..4096_u32).map(|step| f32::from_bits(step.wrapping_mul(0x9E37_79B1))).collect();
    // Ties, the greatest numbers, the least, and what is no number.
    numbers.extend([0x3F80_8000, 0x3F81_8000, 0xBF80_8000, 0x3F80_8001, 0x3F80_7FFF].map(f32::from_bits));
    numbers.extend([f32::MAX, -f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e-45, 0.0, -0.0, 1.0]);
    numbers.extend([f32::NAN, f32::from_bits(0x7FFF_FFFF), f32::from_bits(0xFF80_0001)]);
    numbers.resize(numbers.len().next_multiple_of(MOST_LANES), 0.1);
    for kernel in Kernel::all() {
        let (mut stored, mut back) = (vec![Bf16::default(); numbers.len()], vec![0.0; numbers.len()]);
        halve(kernel, &numbers, &mut stored, &mut back);
        for ((number, stored), back) in numbers.iter().zip(&stored).zip(&back) {
            let what = format!("{number:e} ({:#x}) on {}", number.to_bits(), kernel.name());
            assert_eq!((*stored, stored.get().to_bits()), (Bf16::of(*number), back.to_bits()), "{what}");
            if number.is_nan() {
                assert!(back.is_nan(), "{what}");
                continue;
            }
            assert_eq!(number.is_sign_positive(), back.is_sign_positive(), "{what}");
            if number.is_subnormal() {
                assert_eq!(*back, 0.0, "{what}");
                continue;
            }
            let [near, far] = neighbours(*number);
            assert!(*back == near || *back == far, "{what} is {back:e}");
            if number.is_finite() && far.is_finite() {
                let [near, far] =
                    [near, far].map(|neighbour| (f64::from(neighbour) - f64::from(*number)).abs());
                let distance = (f64::from(*back) - f64::from(*number)).abs();
                assert_eq!(distance, near.min(far), "{what} is {back:e}");
                assert!(near != far || back.to_bits() >> 16 & 1 == 0, "{what} is {back:e}");
            }
        }
    }
}
