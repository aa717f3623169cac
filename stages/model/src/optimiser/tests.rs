//! Four steps of each optimiser, against PyTorch 2.15 in double precision.

use super::*;

/// The values after four steps from 1, −2, 0.5 along fixed gradients, with rate 0.1 and weight decay 0.01.
fn after_four_steps(optimiser: &dyn Optimiser) -> [f32; 3] {
    let gradients = [[0.5, -1.0, 0.0], [0.25, 2.0, -0.5], [-1.5, 0.125, 0.75], [1.0, 1.0, -2.0]];
    let (mut values, mut momenta, mut squares) = ([1.0, -2.0, 0.5], [0.0; 3], [0.0; 3]);
    for (steps, gradients) in (0..).zip(gradients) {
        let squares: &mut [f32] = if optimiser.keeps_squares() { &mut squares } else { &mut [] };
        let state = State { momenta: &mut momenta, squares, steps };
        optimiser.step(&mut values, state, &gradients, 0.1, 1.0);
    }
    values
}

#[track_caller]
fn assert_near(found: [f32; 3], expected: [f64; 3]) {
    let near =
        found.iter().zip(expected).all(|(found, expected)| (f64::from(*found) - expected).abs() < 2e-6);
    assert!(near, "{found:?}, not {expected:?}");
}

#[test]
fn adamw_is_that_of_pytorch() {
    let adamw = AdamW { momentum: 0.9, squares: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    assert_near(after_four_steps(&adamw), [0.831277577, -2.008154115, 0.596858175]);
}

#[test]
fn nesterov_is_that_of_pytorch() {
    let nesterov = MomentumSgd { momentum: 0.9, weight_decay: 0.01, nesterov: true };
    assert_near(after_four_steps(&nesterov), [0.914395111, -2.477880311, 0.842401285]);
}
