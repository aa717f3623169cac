//! How far more workers help: from 1 to 256, on paper, from what a step computes and sends.
//!
//! # What a step takes
//!
//! With W workers, each a process of its own on a machine of its own, one step takes
//!
//! ```text
//! T(W) = C · ⌈S / W⌉ / S  +  U  +  W · R  +  (W − 1) · b / B  +  L
//! ```
//!
//! | | what | `resnet32`, 90 % sparse, 3×32×32, 128 images |
//! |---|---|---:|
//! | C | forward and backward pass of the whole batch, on one worker | 0.145 s |
//! | S | `train.shards`: a worker computes whole shards | 4 |
//! | U | the update, which every worker does for its replica | 0.25 ms |
//! | R | taking one part into the sum: a copy and an addition for each of its numbers | 0.02 ms |
//! | b | bytes of a part | 209 kB |
//! | B | what a machine's network takes in, or gives out | 1.25 GB/s (10 Gbit/s) |
//! | L | a round of messages, and of the dataflow's progress | 0.13 ms on loopback |
//!
//! A **part** is what a worker's shards add up to: four bytes for each *existing, unfrozen* weight, and for
//! each bias, or for each channel of a batch norm four numbers: two gradients, mean and variance. Here (47
//! 404 + 4 · 1 232 + 10) · 4 bytes. Dense it would be 1.9 MB; at 98 % sparsity 56 kB. A frozen block costs
//! neither bytes nor its backward pass, from the step on at which it froze. Every worker sends its part to
//! all others (an all-gather), and all add them in the same order: that is why any number of workers has the
//! same bits. Between the workers of one process only a reference travels; between processes the numbers are
//! written once into the buffer that goes to the socket, and read in place where they arrive. A worker's part
//! goes once to each worker of another process, so that two processes of two workers send as much as four of
//! one, less what stays inside.
//!
//! Everything else is small. Measured on loopback, two processes together sent 470 kB a step in 70 steps of
//! `resnet32`, of which 418 kB are the two parts; the rest are the initial masks, which travel once, scores
//! that change places for the sieve, and progress. At the end of an epoch come deltas of masks and of the
//! active set: some bytes for each weight that moves and each sample that enters or leaves.
//!
//! These figures are of the fastest steps on two idle cores of a virtual Zen 3 EPYC. Your own:
//!
//! ```text
//! # C: stages.gradients; U: stages.update
//! spfde bench model.name=resnet32 data.shape=3x32x32 --no-dense --workers 1 --json
//! # R: half of stages.reduce
//! spfde bench model.name=resnet32 data.shape=3x32x32 --no-dense --workers 2 --json
//! ```
//!
//! Two workers beside one, in turns of a second and a half (`pipelines/benches/scaling/scaling.py`): on these
//! two cores 1.89 times as fast by the medians of eight rounds in a quiet hour (1.63 to 2.01), by the fastest
//! steps 1.88; two processes of one worker 1.86 (1.73 to 1.99) and 1.88. What a run gets depends on who else
//! uses the memory of the host: in another quiet hour 1.94, in a bad one 1.62; measured one after the other,
//! by 40 steps each, anything between 1.1 and 2.5.
//!
//! # How much faster
//!
//! With as many shards as workers, S = W, so that none idles, 10 Gbit/s, and, in the last column, if a
//! batch grew with the workers (32 images each from 4 workers on, as `data.batch_size` = 32 · W would make
//! it):
//!
//! | workers | computing | update | summing | network | step | times as fast | efficiency | 32 images each |
//! |---:|---:|---:|---:|---:|---:|---:|---:|---:|
//! | 1 | 145.0 ms | 0.2 ms | 0.0 ms | 0.1 ms | 145.4 ms | 1.0 | 100 % | |
//! | 2 | 72.5 ms | 0.2 ms | 0.0 ms | 0.3 ms | 73.1 ms | 2.0 | 99 % | |
//! | 4 | 36.2 ms | 0.2 ms | 0.1 ms | 0.6 ms | 37.2 ms | 3.9 | 98 % | 3.9 |
//! | 8 | 18.1 ms | 0.2 ms | 0.2 ms | 1.3 ms | 19.8 ms | 7.3 | 92 % | 7.7 |
//! | 16 | 9.1 ms | 0.2 ms | 0.3 ms | 2.6 ms | 12.3 ms | 11.8 | 74 % | 14.7 |
//! | 32 | 4.5 ms | 0.2 ms | 0.6 ms | 5.3 ms | 10.7 ms | 13.5 | 42 % | 27.4 |
//! | 64 | 2.3 ms | 0.2 ms | 1.3 ms | 10.7 ms | 14.5 ms | 10.1 | 16 % | 48.0 |
//! | 128 | 1.1 ms | 0.2 ms | 2.6 ms | 21.4 ms | 25.3 ms | 5.7 | 4 % | 77.0 |
//! | 256 | 0.6 ms | 0.2 ms | 5.1 ms | 42.8 ms | 48.7 ms | 3.0 | 1 % | 110.3 |
//!
//! # Where it bends, and why
//!
//! - **At the shards.** No worker computes less than a shard, so `train.shards` (4) is the most workers that
//!   help, and numbers that do not divide it waste time: three workers for four shards are as slow as two.
//!   More shards are another experiment, since a batch norm sees a shard at a time; they are a setting of the
//!   run and not of the machine for that reason.
//! - **At the batch.** Kernels work on eight images at once (`avx512` on sixteen): a shard of fewer computes
//!   as if it had so many. With 128 images that is so beyond 16 shards (8); the rows after 16 workers are
//!   what a batch of 128 could at best give, if it were not so.
//! - **At the network.** What arrives at a machine grows with the workers, while what it computes shrinks.
//!   The two are equal at W = √(C · B / b): 29 workers at 10 Gbit/s, 9 at 1 Gbit/s (where 8 workers are 4.8
//!   times as fast), and the step is the shortest there. Sparsity moves the bend outwards only slowly, since
//!   it saves computing, too. Sending each number once to the worker that sums it and once back
//!   (reduce-scatter and all-gather: 2 · b · (1 − 1/W) bytes, 0.33 ms here for any W) would take the last but
//!   one summand away; the order of the sum would be the same. It pays from about 16 workers on, and is not
//!   what this version does.
//! - **At what is not divided.** Every worker makes the whole update and all masks: with U + L alone 128
//!   images cannot be trained in less than half a millisecond, a four hundredth of a single worker's step.
//!
//! Within one machine the network is memory, and `B` a hundred times as large; there it bends at the cores,
//! and at what they share: memory bandwidth and clock.
//!
//! The table, as a program:
//!
//! ```
//! let (c, u, r, b, network, l) = (0.145, 0.25e-3, 0.02e-3, 209e3, 1.25e9, 0.13e-3);
//! let step = |workers: f64, work: f64| {
//!     work / workers + u + workers * r + (workers - 1.0) * b / network + l
//! };
//! let times = |workers: f64| step(1.0, c) / step(workers, c);
//! let found = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0].map(|w| (times(w) * 10.0).round() / 10.0);
//! assert_eq!(found, [2.0, 3.9, 7.3, 11.8, 13.5, 10.1, 5.7, 3.0]);
//! // 32 images each: as many times the work as there are times four workers, counted by images a second.
//! let grown = |workers: f64| step(1.0, c) * workers / 4.0 / step(workers, c * workers / 4.0);
//! let found = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0].map(|w| (grown(w) * 10.0).round() / 10.0);
//! assert_eq!(found, [3.9, 7.7, 14.7, 27.4, 48.0, 77.0, 110.3]);
//! assert_eq!(f64::sqrt(c * network / b).round(), 29.0);
//! ```
