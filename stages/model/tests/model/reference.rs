//! The same mathematics once more, in f64, dense, slow and plain: a list of operations on
//! `[sample][channel][row] [column]` arrays that remembers how to go back. Knows no lanes, no masks, no
//! buffers.
#![allow(dead_code, reason = "the unit tests and the integration tests each use a part")]

/// A value and how it came about.
pub(crate) struct Node {
    pub(crate) shape: [usize; 4],
    pub(crate) values: Vec<f64>,
    origin: Origin,
}

/// Side, stride and padding of a window.
pub(crate) type Window = [usize; 3];

/// What each pixel takes of each in an attention.
type Shares = Vec<Vec<f64>>;

/// Where the planes of queries, keys, values and outputs of a head begin.
type Planes = [Vec<usize>; 4];

/// The place of a value in the list.
pub(crate) type Id = usize;

enum Origin {
    Leaf,
    Convolution { input: Id, weights: Id, stride: usize, padding: usize },
    Linear { input: Id, weights: Id },
    Bias { input: Id, bias: Id },
    BatchNorm { input: Id, gain: Id, offset: Id },
    Scale { input: Id, scale: Vec<f64> },
    Relu { input: Id },
    Add { terms: [Id; 2] },
    MaxPool { input: Id, window: Window },
    AveragePool { input: Id },
    Concatenation { inputs: Vec<Id> },
    Gelu { input: Id },
    Product { input: Id, factors: Vec<f64> },
    LayerNorm { input: Id },
    Patches { input: Id, side: usize },
    Attention { input: Id, heads: usize },
    Loss { logits: Id, labels: Vec<u16>, weights: Vec<f64>, batch: usize },
}

const EPSILON: f64 = 1e-5;

/// A computation.
#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) nodes: Vec<Node>,
}

impl Reference {
    fn push(&mut self, shape: [usize; 4], values: Vec<f64>, origin: Origin) -> Id {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        self.nodes.push(Node { shape, values, origin });
        self.nodes.len() - 1
    }

    pub(crate) fn leaf(&mut self, shape: [usize; 4], values: Vec<f64>) -> Id {
        self.push(shape, values, Origin::Leaf)
    }

    /// A list of numbers, one per channel.
    pub(crate) fn list(&mut self, values: &[f64]) -> Id {
        self.leaf([1, values.len(), 1, 1], values.to_vec())
    }

    /// Weights `[outputs][inputs of each][kernel][kernel]`.
    pub(crate) fn convolution(&mut self, input: Id, weights: Id, stride: usize, padding: usize) -> Id {
        let [n, c, h, w] = self.nodes[input].shape;
        let [o, i, k, _] = self.nodes[weights].shape;
        assert!(c.is_multiple_of(i) && o.is_multiple_of(c / i));
        let shape = [n, o, (h + 2 * padding - k) / stride + 1, (w + 2 * padding - k) / stride + 1];
        let mut values = vec![0.0; shape.iter().product()];
        windows([n, c, h, w], shape, c / i, k, stride, padding, |out, pixel, weight| {
            values[out] += self.nodes[input].values[pixel] * self.nodes[weights].values[weight];
        });
        self.push(shape, values, Origin::Convolution { input, weights, stride, padding })
    }

    /// Weights `[outputs][inputs][1][1]`; inputs in the order (channel, row, column).
    pub(crate) fn linear(&mut self, input: Id, weights: Id) -> Id {
        let [n, c, h, w] = self.nodes[input].shape;
        let [outputs, inputs, _, _] = self.nodes[weights].shape;
        assert_eq!(inputs, c * h * w);
        let (x, weight) = (&self.nodes[input].values, &self.nodes[weights].values);
        let product = |sample: usize, output: usize| -> f64 {
            (0..inputs).map(|i| x[sample * inputs + i] * weight[output * inputs + i]).sum()
        };
        let values = (0..n * outputs).map(|place| product(place / outputs, place % outputs)).collect();
        self.push([n, outputs, 1, 1], values, Origin::Linear { input, weights })
    }

    pub(crate) fn bias(&mut self, input: Id, bias: Id) -> Id {
        let shape = self.nodes[input].shape;
        let value = |(place, value): (usize, &f64)| value + self.nodes[bias].values[channel(shape, place)];
        let values = self.nodes[input].values.iter().enumerate().map(value).collect();
        self.push(shape, values, Origin::Bias { input, bias })
    }

    /// Mean and biased variance of each channel.
    pub(crate) fn statistics(&self, input: Id) -> Vec<(f64, f64)> {
        let node = &self.nodes[input];
        let [n, c, h, w] = node.shape;
        let count = (n * h * w) as f64;
        let mut sums = vec![0.0; c];
        for (place, value) in node.values.iter().enumerate() {
            sums[channel(node.shape, place)] += value / count;
        }
        let mut variances = vec![0.0; c];
        for (place, value) in node.values.iter().enumerate() {
            let channel = channel(node.shape, place);
            variances[channel] += (value - sums[channel]).powi(2) / count;
        }
        sums.into_iter().zip(variances).collect()
    }

    pub(crate) fn batch_norm(&mut self, input: Id, gain: Id, offset: Id) -> Id {
        let shape = self.nodes[input].shape;
        let statistics = self.statistics(input);
        let value = |(place, value): (usize, &f64)| {
            let channel = channel(shape, place);
            let (mean, variance) = statistics[channel];
            let normal = (value - mean) / (variance + EPSILON).sqrt();
            normal * self.nodes[gain].values[channel] + self.nodes[offset].values[channel]
        };
        let values = self.nodes[input].values.iter().enumerate().map(value).collect();
        self.push(shape, values, Origin::BatchNorm { input, gain, offset })
    }

    /// A batch norm with these means and variances, which are no parameters.
    pub(crate) fn fixed_norm(&mut self, input: Id, norm: [&[f64]; 4]) -> Id {
        let [gain, offset, mean, variance] = norm;
        let shape = self.nodes[input].shape;
        let scale: Vec<f64> = gain.iter().zip(variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
        let value = |(place, value): (usize, &f64)| {
            let channel = channel(shape, place);
            (value - mean[channel]) * scale[channel] + offset[channel]
        };
        let values = self.nodes[input].values.iter().enumerate().map(value).collect();
        self.push(shape, values, Origin::Scale { input, scale })
    }

    pub(crate) fn relu(&mut self, input: Id) -> Id {
        let values = self.nodes[input].values.iter().map(|value| value.max(0.0)).collect();
        self.push(self.nodes[input].shape, values, Origin::Relu { input })
    }

    pub(crate) fn add(&mut self, first: Id, second: Id) -> Id {
        assert_eq!(self.nodes[first].shape, self.nodes[second].shape);
        let pairs = self.nodes[first].values.iter().zip(&self.nodes[second].values);
        let values = pairs.map(|(a, b)| a + b).collect();
        self.push(self.nodes[first].shape, values, Origin::Add { terms: [first, second] })
    }

    pub(crate) fn max_pool(&mut self, input: Id) -> Id {
        self.greatest(input, [2, 2, 0])
    }

    /// The greatest of each window.
    pub(crate) fn greatest(&mut self, input: Id, window: Window) -> Id {
        let node = &self.nodes[input];
        let [n, c, h, w] = node.shape;
        let shape = [n, c, extent(h, window), extent(w, window)];
        let places = 0..shape.iter().product();
        let values = places.map(|place| node.values[greatest(node, window, place)]).collect();
        self.push(shape, values, Origin::MaxPool { input, window })
    }

    pub(crate) fn average_pool(&mut self, input: Id) -> Id {
        let [n, c, h, w] = self.nodes[input].shape;
        let planes = self.nodes[input].values.chunks_exact(h * w);
        let values = planes.map(|plane| plane.iter().sum::<f64>() / (h * w) as f64).collect();
        self.push([n, c, 1, 1], values, Origin::AveragePool { input })
    }

    pub(crate) fn concatenate(&mut self, inputs: &[Id]) -> Id {
        let [n, _, h, w] = self.nodes[inputs[0]].shape;
        let channels = inputs.iter().map(|input| self.nodes[*input].shape[1]).sum();
        let mut values = vec![];
        for sample in 0..n {
            for input in inputs {
                let len = self.nodes[*input].shape[1] * h * w;
                values.extend_from_slice(&self.nodes[*input].values[sample * len..][..len]);
            }
        }
        self.push([n, channels, h, w], values, Origin::Concatenation { inputs: inputs.to_vec() })
    }

    pub(crate) fn gelu(&mut self, input: Id) -> Id {
        let values = self.nodes[input].values.iter().map(|x| x * normal(*x)).collect();
        self.push(self.nodes[input].shape, values, Origin::Gelu { input })
    }

    /// Number by number, with factors that are no parameters.
    pub(crate) fn product(&mut self, input: Id, factors: Vec<f64>) -> Id {
        let values = self.nodes[input].values.iter().zip(&factors).map(|(x, factor)| x * factor).collect();
        self.push(self.nodes[input].shape, values, Origin::Product { input, factors })
    }

    /// Every pixel of a sample alone.
    pub(crate) fn layer_norm(&mut self, input: Id) -> Id {
        let node = &self.nodes[input];
        let mut values = node.values.clone();
        for places in pixels(node.shape) {
            let count = places.len() as f64;
            let mean = places.iter().map(|place| node.values[*place]).sum::<f64>() / count;
            let variance = places.iter().map(|p| (node.values[*p] - mean).powi(2)).sum::<f64>() / count;
            places.iter().for_each(|p| values[*p] = (node.values[*p] - mean) / (variance + EPSILON).sqrt());
        }
        self.push(node.shape, values, Origin::LayerNorm { input })
    }

    pub(crate) fn patches(&mut self, input: Id, side: usize) -> Id {
        let node = &self.nodes[input];
        let [n, c, h, w] = node.shape;
        let shape = [n, c * side * side, h / side, w / side];
        let places = 0..shape.iter().product();
        let values = places.map(|place| node.values[pixel_of(node.shape, shape, side, place)]).collect();
        self.push(shape, values, Origin::Patches { input, side })
    }

    pub(crate) fn attention(&mut self, input: Id, heads: usize) -> Id {
        let [n, c, h, w] = self.nodes[input].shape;
        let shape = [n, c / 3, h, w];
        let mut values = vec![0.0; shape.iter().product()];
        for (shares, [_, _, value, out]) in self.attending(input, heads) {
            for (t, shares) in shares.iter().enumerate() {
                for (s, share) in shares.iter().enumerate() {
                    value.iter().zip(&out).for_each(|(value, out)| {
                        values[out + t] += share * self.nodes[input].values[value + s];
                    });
                }
            }
        }
        self.push(shape, values, Origin::Attention { input, heads })
    }

    /// For each sample and head what each pixel takes of each, and where the planes of queries, keys, values
    /// and outputs begin.
    fn attending(&self, input: Id, heads: usize) -> Vec<(Shares, Planes)> {
        let node = &self.nodes[input];
        let [n, c, h, w] = node.shape;
        let (channels, pixels) = (c / 3 / heads, h * w);
        let mut all = vec![];
        for sample in 0..n {
            for head in 0..heads {
                let planes = |first: usize| -> Vec<usize> {
                    (0..channels).map(|channel| (first + head * channels + channel) * pixels).collect()
                };
                let first = sample * c;
                let [query, key, value] = [0, 1, 2].map(|part| planes(first + part * c / 3));
                let out = planes(sample * c / 3);
                let shares = (0..pixels).map(|t| {
                    let score = |s: usize| {
                        let products = query.iter().zip(&key);
                        let sum: f64 = products.map(|(q, k)| node.values[q + t] * node.values[k + s]).sum();
                        (sum / (channels as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = (0..pixels).map(score).collect();
                    let sum: f64 = scores.iter().sum();
                    scores.into_iter().map(|score| score / sum).collect()
                });
                all.push((shares.collect(), [query, key, value, out]));
            }
        }
        all
    }

    /// Σ weight · cross-entropy / batch, a single number.
    pub(crate) fn loss(&mut self, logits: Id, labels: &[u16], weights: &[f32], batch: usize) -> Id {
        let weights: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
        let losses = self.losses(logits, labels);
        let sum = losses.iter().zip(&weights).map(|(loss, weight)| loss * weight).sum::<f64>();
        let origin = Origin::Loss { logits, labels: labels.to_vec(), weights, batch };
        self.push([1; 4], vec![sum / batch as f64], origin)
    }

    /// The cross-entropy of each sample.
    pub(crate) fn losses(&self, logits: Id, labels: &[u16]) -> Vec<f64> {
        let softmax = self.softmax(logits);
        softmax.iter().zip(labels).map(|(p, label)| -p[usize::from(*label)].ln()).collect()
    }

    pub(crate) fn softmax(&self, logits: Id) -> Vec<Vec<f64>> {
        let node = &self.nodes[logits];
        let rows = node.values.chunks_exact(node.shape[1]);
        rows.map(|row| {
            let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
            row.iter().map(|logit| logit.exp() / sum).collect()
        })
        .collect()
    }

    /// What a convolution or a linear layer reads, with its stride and padding.
    pub(crate) fn reads(&self, layer: Id) -> (Id, usize, usize) {
        match &self.nodes[layer].origin {
            Origin::Convolution { input, stride, padding, .. } => (*input, *stride, *padding),
            Origin::Linear { input, .. } => (*input, 1, 0),
            _ => panic!("it has weights"),
        }
    }

    /// The gradient of `of`, a single number, with respect to every value.
    pub(crate) fn gradients(&self, of: Id) -> Vec<Vec<f64>> {
        let mut gradients: Vec<Vec<f64>> =
            self.nodes.iter().map(|node| vec![0.0; node.values.len()]).collect();
        gradients[of][0] = 1.0;
        for id in (0..=of).rev() {
            let gradient = std::mem::take(&mut gradients[id]);
            self.pass_back(id, &gradient, &mut gradients);
            gradients[id] = gradient;
        }
        gradients
    }

    fn pass_back(&self, id: Id, gradient: &[f64], into: &mut [Vec<f64>]) {
        let shape = self.nodes[id].shape;
        match &self.nodes[id].origin {
            Origin::Leaf => {}
            Origin::Convolution { input, weights, stride, padding } => {
                let [_, inputs, kernel, _] = self.nodes[*weights].shape;
                let from = self.nodes[*input].shape;
                windows(from, shape, from[1] / inputs, kernel, *stride, *padding, |out, pixel, weight| {
                    into[*input][pixel] += gradient[out] * self.nodes[*weights].values[weight];
                    into[*weights][weight] += gradient[out] * self.nodes[*input].values[pixel];
                });
            }
            Origin::Linear { input, weights } => {
                let [outputs, inputs, _, _] = self.nodes[*weights].shape;
                for (place, g) in gradient.iter().enumerate() {
                    let (sample, output) = (place / outputs, place % outputs);
                    for i in 0..inputs {
                        let (x, w) = (sample * inputs + i, output * inputs + i);
                        into[*input][x] += g * self.nodes[*weights].values[w];
                        into[*weights][w] += g * self.nodes[*input].values[x];
                    }
                }
            }
            Origin::Bias { input, bias } => {
                for (place, g) in gradient.iter().enumerate() {
                    into[*input][place] += g;
                    into[*bias][channel(shape, place)] += g;
                }
            }
            Origin::BatchNorm { input, gain, offset } => {
                self.batch_norm_back([*input, *gain, *offset], gradient, into);
            }
            Origin::Scale { input, scale } => {
                for (place, g) in gradient.iter().enumerate() {
                    into[*input][place] += g * scale[channel(shape, place)];
                }
            }
            Origin::Relu { input } => {
                for (place, g) in gradient.iter().enumerate() {
                    if self.nodes[*input].values[place] > 0.0 {
                        into[*input][place] += g;
                    }
                }
            }
            Origin::Add { terms } => {
                for term in terms {
                    into[*term].iter_mut().zip(gradient).for_each(|(into, g)| *into += g);
                }
            }
            Origin::MaxPool { input, window } => {
                for (place, g) in gradient.iter().enumerate() {
                    into[*input][greatest(&self.nodes[*input], *window, place)] += g;
                }
            }
            Origin::AveragePool { input } => {
                let [_, _, h, w] = self.nodes[*input].shape;
                for (place, into) in into[*input].iter_mut().enumerate() {
                    *into += gradient[place / (h * w)] / (h * w) as f64;
                }
            }
            Origin::Concatenation { inputs } => {
                let mut rest = gradient;
                for sample in 0..shape[0] {
                    for input in inputs {
                        let len: usize = self.nodes[*input].shape[1..].iter().product();
                        let (own, behind) = rest.split_at(len);
                        let into = &mut into[*input][sample * len..];
                        into.iter_mut().zip(own).for_each(|(into, g)| *into += g);
                        rest = behind;
                    }
                }
            }
            Origin::Gelu { input } => {
                for (place, g) in gradient.iter().enumerate() {
                    let x = self.nodes[*input].values[place];
                    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
                    into[*input][place] += g * (normal(x) + x * density);
                }
            }
            Origin::Product { input, factors } => {
                for (place, g) in gradient.iter().enumerate() {
                    into[*input][place] += g * factors[place];
                }
            }
            Origin::LayerNorm { input } => {
                for places in pixels(shape) {
                    let (x, count) = (&self.nodes[*input].values, places.len() as f64);
                    let mean = places.iter().map(|place| x[*place]).sum::<f64>() / count;
                    let variance = places.iter().map(|place| (x[*place] - mean).powi(2)).sum::<f64>() / count;
                    let deviation = (variance + EPSILON).sqrt();
                    let normal = |place: &usize| (x[*place] - mean) / deviation;
                    let sum: f64 = places.iter().map(|place| gradient[*place]).sum();
                    let product: f64 = places.iter().map(|place| gradient[*place] * normal(place)).sum();
                    for place in &places {
                        let centred = gradient[*place] - sum / count - normal(place) * product / count;
                        into[*input][*place] += centred / deviation;
                    }
                }
            }
            Origin::Patches { input, side } => {
                let from = self.nodes[*input].shape;
                for (place, g) in gradient.iter().enumerate() {
                    into[*input][pixel_of(from, shape, *side, place)] += g;
                }
            }
            Origin::Attention { input, heads } => {
                let x = &self.nodes[*input].values;
                for (shares, [query, key, value, out]) in self.attending(*input, *heads) {
                    let scale = 1.0 / (query.len() as f64).sqrt();
                    for (t, shares) in shares.iter().enumerate() {
                        let behind = |s: usize| -> f64 {
                            value.iter().zip(&out).map(|(value, out)| x[value + s] * gradient[out + t]).sum()
                        };
                        let behind: Vec<f64> = (0..shares.len()).map(behind).collect();
                        let mean: f64 = behind.iter().zip(shares).map(|(b, share)| b * share).sum();
                        for (s, share) in shares.iter().enumerate() {
                            let score = share * (behind[s] - mean) * scale;
                            for channel in 0..query.len() {
                                let [q, k] = [query[channel] + t, key[channel] + s];
                                into[*input][q] += score * x[k];
                                into[*input][k] += score * x[q];
                                into[*input][value[channel] + s] += share * gradient[out[channel] + t];
                            }
                        }
                    }
                }
            }
            Origin::Loss { logits, labels, weights, batch } => {
                let classes = self.nodes[*logits].shape[1];
                for (sample, p) in self.softmax(*logits).iter().enumerate() {
                    for (class, p) in p.iter().enumerate() {
                        let error = p - f64::from(class == usize::from(labels[sample]));
                        into[*logits][sample * classes + class] +=
                            gradient[0] * weights[sample] * error / *batch as f64;
                    }
                }
            }
        }
    }

    fn batch_norm_back(&self, [input, gain, offset]: [Id; 3], gradient: &[f64], into: &mut [Vec<f64>]) {
        let [n, c, h, w] = self.nodes[input].shape;
        let shape = self.nodes[input].shape;
        let count = (n * h * w) as f64;
        let statistics = self.statistics(input);
        let normal = |place: usize| {
            let (mean, variance) = statistics[channel(shape, place)];
            (self.nodes[input].values[place] - mean) / (variance + EPSILON).sqrt()
        };
        let (mut sums, mut products) = (vec![0.0; c], vec![0.0; c]);
        for (place, g) in gradient.iter().enumerate() {
            sums[channel(shape, place)] += g;
            products[channel(shape, place)] += g * normal(place);
        }
        for (place, g) in gradient.iter().enumerate() {
            let channel = channel(shape, place);
            let centred = g - sums[channel] / count - normal(place) * products[channel] / count;
            let deviation = (statistics[channel].1 + EPSILON).sqrt();
            into[input][place] += self.nodes[gain].values[channel] / deviation * centred;
        }
        for channel in 0..c {
            into[gain][channel] += products[channel];
            into[offset][channel] += sums[channel];
        }
    }
}

/// The places of the channels of each pixel of each sample.
fn pixels([n, c, h, w]: [usize; 4]) -> Vec<Vec<usize>> {
    let places = |pixel: usize| {
        let (sample, pixel) = (pixel / (h * w), pixel % (h * w));
        (0..c).map(|channel| (sample * c + channel) * h * w + pixel).collect()
    };
    (0..n * h * w).map(places).collect()
}

/// The place of the pixel that `place` of the patches holds.
fn pixel_of([_, c, h, w]: [usize; 4], shape: [usize; 4], side: usize, place: usize) -> usize {
    let [_, channels, rows, columns] = shape;
    let (x, y, channel) = (place % columns, place / columns % rows, place / (rows * columns) % channels);
    let sample = place / (rows * columns * channels);
    let (own, cell) = (channel / (side * side), channel % (side * side));
    ((sample * c + own) * h + y * side + cell / side) * w + x * side + cell % side
}

/// The share of a normal distribution below a number, by the series of its integral from 0 on.
pub(crate) fn normal(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return f64::from(x > 0.0);
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= -x * x / 2.0 / f64::from(k);
        sum += term / f64::from(2 * k + 1);
    }
    0.5 + sum / std::f64::consts::TAU.sqrt()
}

/// The channel of a place in an array of this shape.
fn channel([_, c, h, w]: [usize; 4], place: usize) -> usize {
    place / (h * w) % c
}

/// Windows along one direction.
fn extent(pixels: usize, [side, stride, padding]: Window) -> usize {
    (pixels + 2 * padding - side) / stride + 1
}

/// The place of the greatest pixel, the first of equals, in the window that place `out` of the pooled array
/// stands for.
fn greatest(node: &Node, window: Window, out: usize) -> usize {
    let [_, _, h, w] = node.shape;
    let (rows, columns) = (extent(h, window), extent(w, window));
    let (plane, y, x) = (out / (rows * columns), out / columns % rows, out % columns);
    let [side, stride, padding] = window;
    let mut best = None;
    for cell in 0..side * side {
        let row = (y * stride + cell / side).checked_sub(padding).filter(|row| *row < h);
        let column = (x * stride + cell % side).checked_sub(padding).filter(|column| *column < w);
        let (Some(row), Some(column)) = (row, column) else { continue };
        let place = (plane * h + row) * w + column;
        if best.is_none_or(|best: usize| node.values[place] > node.values[best]) {
            best = Some(place);
        }
    }
    best.unwrap()
}

/// Calls `each` with the places of an output, a pixel and a weight, for all that a convolution multiplies.
fn windows(
    [n, c, h, w]: [usize; 4],
    [_, o, rows, columns]: [usize; 4],
    groups: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    mut each: impl FnMut(usize, usize, usize),
) {
    let inside = |out: usize, tap: usize, extent: usize| {
        (out * stride + tap).checked_sub(padding).filter(|place| *place < extent)
    };
    for sample in 0..n {
        for output in 0..o {
            for y in 0..rows {
                for x in 0..columns {
                    let out = ((sample * o + output) * rows + y) * columns + x;
                    for own in 0..c / groups {
                        let input = output / (o / groups) * (c / groups) + own;
                        for ky in 0..kernel {
                            let Some(row) = inside(y, ky, h) else { continue };
                            for kx in 0..kernel {
                                let Some(column) = inside(x, kx, w) else { continue };
                                let pixel = ((sample * c + input) * h + row) * w + column;
                                each(out, pixel, ((output * (c / groups) + own) * kernel + ky) * kernel + kx);
                            }
                        }
                    }
                }
            }
        }
    }
}
