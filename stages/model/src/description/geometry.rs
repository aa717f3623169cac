//! Shapes of values, and where a layer's weights find their inputs: packed buffers, halos, offsets, and the
//! phases of a stride.

use crate::description::Convolution;
use crate::kernel::Form;

/// Lanes by which rows of a packed buffer are longer than their pixels, so that rows of a power-of-two length
/// do not fall into the same cache sets.
const ROW_PADDING: usize = 4;

/// Rows of pixels that a convolution computes at a time.
pub(crate) const STRIP: usize = 2;

/// Bytes of packed rows that are there at a time: with as many of a gradient they leave room in a
/// second-level cache of a megabyte.
const HELD_BYTES: usize = 256 * 1024;

/// Groups of samples that a linear layer handles together, in the place of a convolution's pixels.
pub(crate) const PANEL: usize = 4;

/// The shape of the samples a network reads, and of every value; a list of features has them as channels of
/// one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputShape {
    /// Colour planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl std::fmt::Display for InputShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl InputShape {
    /// Numbers per sample.
    pub(crate) fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Output positions per channel.
    pub(crate) fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Numbers in one row of pixels: all channels.
    pub(crate) fn row(&self) -> usize {
        self.channels * self.width
    }
}

/// A buffer `[rows][channels][columns]` with zeros around the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Packed {
    /// Rows of zeros above the pixels.
    pub(crate) top: usize,
    /// Columns of zeros to their left.
    pub(crate) left: usize,
    /// All rows.
    pub(crate) rows: usize,
    /// All columns.
    pub(crate) columns: usize,
    /// Lanes from one row to the next.
    pub(crate) pitch: usize,
}

impl Packed {
    fn new(channels: usize, (top, rows): (usize, usize), (left, columns): (usize, usize)) -> Self {
        Self { top, left, rows, columns, pitch: channels * columns + ROW_PADDING }
    }

    /// Lanes of the whole buffer.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.pitch
    }

    /// How many rows of `lanes` samples are there at a time: at least `span`, which are read together, and
    /// `step`, by which these move.
    fn held(&self, lanes: usize, span: usize, step: usize) -> usize {
        let fit = HELD_BYTES / (self.pitch * lanes * size_of::<f32>()).max(1);
        self.rows.min(fit.max(span + step))
    }
}

/// The row and column of a cell of a kernel; or a phase of a stride, the pixels of a layer's input that lie
/// there modulo the stride: each phase is a convolution of stride 1 of the output's gradient with its own
/// subset of the kernel.
pub(crate) type Cell = [usize; 2];

/// The cells of a square, row by row.
pub(crate) fn square(side: usize) -> impl Iterator<Item = Cell> {
    (0..side * side).map(move |cell| [cell / side, cell % side])
}

/// Shapes of a layer and the layout of its packed buffers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) input: InputShape,
    pub(crate) output: InputShape,
    /// Of a linear layer, which is one of a single pixel, its kernel of one cell.
    pub(crate) convolution: Convolution,
    pub(crate) is_linear: bool,
    /// The packed input, from which outputs and weight gradients are gathered.
    pub(crate) source: Packed,
    /// The packed gradient of the output, from which the gradient of the input is gathered.
    pub(crate) gradient: Packed,
}

impl Geometry {
    /// A convolution of `input`.
    pub(crate) fn convolution(input: InputShape, convolution: Convolution) -> Self {
        let Convolution { channels, kernel, stride, padding, .. } = convolution;
        let extent = |pixels: usize| (pixels + 2 * padding - kernel) / stride + 1;
        let output = InputShape { channels, height: extent(input.height), width: extent(input.width) };
        let span =
            |(pixels, out): (usize, usize)| (padding, (padding + pixels).max(stride * (out - 1) + kernel));
        let (rows, columns) = ((input.height, output.height), (input.width, output.width));
        let source = Packed::new(input.channels, span(rows), span(columns));
        let gradient = Packed::new(channels, halo(rows, &convolution), halo(columns, &convolution));
        Self { input, output, convolution, is_linear: false, source, gradient }
    }

    /// A linear layer over all numbers of `input`.
    pub(crate) fn linear(input: InputShape, features: usize) -> Self {
        let output = InputShape { channels: features, height: 1, width: 1 };
        let panel = |features| Packed { top: 0, left: 0, rows: 1, columns: PANEL, pitch: features * PANEL };
        let (source, gradient) = (panel(input.len()), panel(features));
        let convolution = Convolution::new(features, 1);
        Self { input, output, convolution, is_linear: true, source, gradient }
    }

    /// How many rows of the packed input are there at a time.
    pub(crate) fn source_rows(&self, lanes: usize) -> usize {
        let Convolution { stride, kernel, .. } = self.convolution;
        // Windows may leave out rows between them.
        self.source.held(lanes, (STRIP - 1) * stride + kernel.max(stride), STRIP * stride)
    }

    /// How many rows of the packed gradient the strip of rows of the input's gradient (of any phase) reads.
    pub(crate) fn gradient_span(&self) -> usize {
        let Convolution { stride, padding, .. } = self.convolution;
        STRIP + self.gradient.top + padding.div_ceil(stride)
    }

    /// How many of them are there at a time.
    pub(crate) fn gradient_rows(&self, lanes: usize) -> usize {
        self.gradient.held(lanes, self.gradient_span(), STRIP)
    }

    /// Output channels or features.
    pub(crate) fn outputs(&self) -> usize {
        self.output.channels
    }

    /// Input channels or features.
    pub(crate) fn inputs(&self) -> usize {
        if self.is_linear { self.input.len() } else { self.input.channels }
    }

    /// Those that each output channel or feature reads.
    pub(crate) fn inputs_of_each(&self) -> usize {
        self.inputs() / self.convolution.groups
    }

    /// Weights of the dense layer.
    pub(crate) fn weights(&self) -> usize {
        self.outputs() * self.inputs_of_each() * self.convolution.kernel.pow(2)
    }

    /// The kernel that serves the layer if so many weights exist. With several groups it is the sparse one at
    /// every density: channels that the dense one writes together have no input in common.
    pub(crate) fn form(&self, existing: usize) -> Form {
        if self.convolution.groups > 1 { Form::Sparse } else { Form::of(existing, self.weights()) }
    }

    /// For each cell of the kernel, lanes from a window's first pixel in the packed input to the pixel of the
    /// first channel under it; channels lie `source.columns` lanes apart.
    pub(crate) fn source_offsets(&self) -> Vec<usize> {
        let offset = |[row, column]: Cell| row * self.source.pitch + column;
        square(self.convolution.kernel).map(offset).collect()
    }

    /// For each cell of the kernel, lanes from an input pixel's place in the packed gradient (`pixel /
    /// stride`, counted from the buffer's corner) to the gradient of the first channel that reaches it
    /// through that cell, `None` if the cell does not touch this phase; channels lie `gradient.columns` lanes
    /// apart.
    pub(crate) fn gradient_offsets(&self, phase: Cell) -> Vec<Option<usize>> {
        let offset = |cell: Cell| {
            let down = shift(phase[0], cell[0], &self.convolution)? + self.gradient.top as isize;
            let right = shift(phase[1], cell[1], &self.convolution)? + self.gradient.left as isize;
            debug_assert!(down >= 0 && right >= 0, "the halo covers every weight");
            Some(down as usize * self.gradient.pitch + right as usize)
        };
        square(self.convolution.kernel).map(offset).collect()
    }
}

/// Output pixels from `pixel / stride` to the window whose tap `tap` reads an input pixel of phase `phase`.
fn shift(phase: usize, tap: usize, convolution: &Convolution) -> Option<isize> {
    let distance = (phase + convolution.padding) as isize - tap as isize;
    let stride = convolution.stride as isize;
    (distance % stride == 0).then_some(distance / stride)
}

/// Zeros before the gradient of `out` pixels, and its length with the zeros on both sides, so that every tap
/// of every one of `pixels` input pixels finds a place.
fn halo((pixels, out): (usize, usize), convolution: &Convolution) -> (usize, usize) {
    let (mut first, mut last) = (0, out as isize - 1);
    for phase in 0..convolution.stride.min(pixels) {
        let furthest = ((pixels - 1 - phase) / convolution.stride) as isize;
        for distance in (0..convolution.kernel).filter_map(|tap| shift(phase, tap, convolution)) {
            first = first.min(distance);
            last = last.max(furthest + distance);
        }
    }
    // Every phase counts from the buffer's corner, whether or not a tap reaches it.
    let all = pixels.div_ceil(convolution.stride) as isize;
    ((-first) as usize, (last.max(all - 1) - first + 1) as usize)
}
