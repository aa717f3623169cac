//! Where a layer's weights find their inputs: packed buffers, halos, offsets, and the phases of a stride.

use crate::input_shape::InputShape;

/// Lanes by which rows of a packed buffer are longer than their pixels, so that rows of a power-of-two length
/// do not fall into the same cache sets.
const ROW_PADDING: usize = 4;

/// Groups of samples that a linear layer handles together, in the place of a convolution's pixels.
pub(crate) const PANEL: usize = 4;

/// Kernel, stride and padding of a convolution, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Rows and columns of the kernel: odd, up to 7.
    pub(crate) kernel: usize,
    /// Pixels between neighbouring windows: 1 or 2.
    pub(crate) stride: usize,
    /// Rows and columns of zeros around the input.
    pub(crate) padding: usize,
}

/// A buffer `[rows][channels][columns]` with zeros around the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    fn new(channels: usize, top: usize, left: usize, rows: usize, columns: usize) -> Self {
        Self { top, left, rows, columns, pitch: channels * columns + ROW_PADDING }
    }

    /// Lanes of the whole buffer.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.pitch
    }
}

/// The pixels of a layer's input that lie `row`, `column` modulo the stride: each phase is a convolution of
/// stride 1 of the output's gradient with its own subset of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// Shapes of a layer and the layout of its packed buffers.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) input: InputShape,
    pub(crate) output: InputShape,
    /// None for a linear layer.
    pub(crate) window: Option<Window>,
    /// The packed input, from which outputs and weight gradients are gathered.
    pub(crate) source: Packed,
    /// The packed gradient of the output, from which the gradient of the input is gathered.
    pub(crate) gradient: Packed,
}

impl Geometry {
    /// A convolution of `input` with `outputs` channels.
    pub(crate) fn convolution(input: InputShape, outputs: usize, window: Window) -> Self {
        let Window { kernel, stride, padding } = window;
        let extent = |pixels: usize| (pixels + 2 * padding - kernel) / stride + 1;
        let output =
            InputShape { channels: outputs, height: extent(input.height), width: extent(input.width) };
        let span = |pixels: usize, out: usize| (padding + pixels).max(stride * (out - 1) + kernel);
        let source = Packed::new(
            input.channels,
            padding,
            padding,
            span(input.height, output.height),
            span(input.width, output.width),
        );
        let (top, rows) = halo(input.height, output.height, window);
        let (left, columns) = halo(input.width, output.width, window);
        let gradient = Packed::new(outputs, top, left, rows, columns);
        Self { input, output, window: Some(window), source, gradient }
    }

    /// A linear layer over all numbers of `input`.
    pub(crate) fn linear(input: InputShape, outputs: usize) -> Self {
        let output = InputShape { channels: outputs, height: 1, width: 1 };
        let source = Packed { top: 0, left: 0, rows: 1, columns: PANEL, pitch: input.len() * PANEL };
        let gradient = Packed { top: 0, left: 0, rows: 1, columns: PANEL, pitch: outputs * PANEL };
        Self { input, output, window: None, source, gradient }
    }

    /// Output channels or features.
    pub(crate) fn outputs(&self) -> usize {
        self.output.channels
    }

    /// Input channels or features.
    pub(crate) fn inputs(&self) -> usize {
        if self.window.is_some() { self.input.channels } else { self.input.len() }
    }

    /// Rows and columns of the kernel.
    pub(crate) fn kernel(&self) -> usize {
        self.window.map_or(1, |window| window.kernel)
    }

    /// The rows and columns of the kernel's cells, row by row.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let kernel = self.kernel();
        (0..kernel * kernel).map(move |cell| (cell / kernel, cell % kernel))
    }

    /// Weights of the dense layer.
    pub(crate) fn weights(&self) -> usize {
        self.outputs() * self.inputs() * self.kernel().pow(2)
    }

    /// Pixels between neighbouring windows; 1 for a linear layer.
    pub(crate) fn stride(&self) -> usize {
        self.window.map_or(1, |window| window.stride)
    }

    /// The phases of the stride, row by row.
    pub(crate) fn phases(&self) -> impl Iterator<Item = Phase> + use<> {
        let stride = self.stride();
        (0..stride * stride).map(move |phase| Phase { row: phase / stride, column: phase % stride })
    }

    /// Lanes from a window's first pixel in the packed input to the pixel of the first channel under a
    /// weight; channels lie `source.columns` lanes apart.
    pub(crate) fn source_offset(&self, row: usize, column: usize) -> usize {
        row * self.source.pitch + column
    }

    /// Lanes from an input pixel's place in the packed gradient (`pixel / stride`, counted from the buffer's
    /// corner) to the gradient of the first channel that reaches it through a weight, `None` if the weight
    /// does not touch this phase; channels lie `gradient.columns` lanes apart.
    pub(crate) fn gradient_offset(&self, phase: Phase, row: usize, column: usize) -> Option<usize> {
        let Some(window) = self.window else { return Some(0) };
        let down = shift(phase.row, row, window)? + self.gradient.top as isize;
        let right = shift(phase.column, column, window)? + self.gradient.left as isize;
        debug_assert!(down >= 0 && right >= 0, "the halo covers every weight");
        Some(down as usize * self.gradient.pitch + right as usize)
    }
}

/// Output pixels from `pixel / stride` to the window whose tap `tap` reads an input pixel of phase `phase`.
fn shift(phase: usize, tap: usize, window: Window) -> Option<isize> {
    let distance = (phase + window.padding) as isize - tap as isize;
    let stride = window.stride as isize;
    (distance % stride == 0).then_some(distance / stride)
}

/// Zeros before the gradient of `out` pixels, and its length with the zeros on both sides, so that every tap
/// of every one of `pixels` input pixels finds a place.
fn halo(pixels: usize, out: usize, window: Window) -> (usize, usize) {
    let (mut first, mut last) = (0, out as isize - 1);
    for phase in 0..window.stride.min(pixels) {
        let furthest = ((pixels - 1 - phase) / window.stride) as isize;
        for distance in (0..window.kernel).filter_map(|tap| shift(phase, tap, window)) {
            first = first.min(distance);
            last = last.max(furthest + distance);
        }
    }
    // Every phase counts from the buffer's corner, whether or not a tap reaches it.
    let all = pixels.div_ceil(window.stride) as isize;
    ((-first) as usize, (last.max(all - 1) - first + 1) as usize)
}
