//! The rate at which this machine copies memory.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Bytes that each thread copies at a time: more than its second-level cache holds, as the values of a step
/// are.
const BYTES: usize = 64 << 20;

/// Turns, of which the fastest counts.
const TURNS: usize = 8;

/// Bytes a second that so many threads read and write at once while each of them copies.
pub(super) fn measure(threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let copy = || {
        let (from, mut to) = (vec![1_u8; BYTES], vec![0_u8; BYTES]);
        [(); TURNS].map(|()| {
            barrier.wait();
            let start = Instant::now();
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            start.elapsed().as_secs_f64()
        })
    };
    let seconds: Vec<[f64; TURNS]> = thread::scope(|scope| {
        let copies: Vec<_> = (0..threads).map(|_| scope.spawn(copy)).collect();
        copies.into_iter().map(|copy| copy.join().expect("copying does not panic")).collect()
    });
    let slowest = |turn: usize| seconds.iter().map(|thread| thread[turn]).fold(0.0, f64::max);
    let fastest = (0..TURNS).map(slowest).fold(f64::INFINITY, f64::min);
    (2 * threads * BYTES) as f64 / fastest
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_machine_copies_something() {
        let rate = super::measure(2);
        assert!(rate.is_finite() && rate > 0.0, "{rate}");
    }
}
