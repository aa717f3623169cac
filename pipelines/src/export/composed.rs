//! Operations of a network that are several of ONNX, all of version 13.

use super::onnx::{Nodes, int, ints};
use super::protobuf as proto;

/// What layer norms add to a variance.
const EPSILON: f32 = 1e-5;

/// The shape of an image or a value: channels, rows, columns.
pub(super) type Extents = [usize; 3];

impl Nodes {
    /// x · Φ(x), Φ the normal distribution's share below x, which the kernels approximate within 1.5e-7.
    pub(super) fn gelu(&mut self, value: &str, named: &dyn Fn(&str) -> String) -> String {
        let [slope, one, half] =
            [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5].map(|number| self.number(number));
        let scaled = self.push("Mul", &[value, &slope], named("scaled"), vec![]);
        let error = self.push("Erf", &[&scaled], named("error"), vec![]);
        let sum = self.push("Add", &[&error, &one], named("sum"), vec![]);
        let share = self.push("Mul", &[&sum, &half], named("share"), vec![]);
        self.push("Mul", &[value, &share], named("gelu"), vec![])
    }

    /// Mean 0 and variance 1 of the channels of each pixel.
    pub(super) fn layer_norm(&mut self, value: &str, named: &dyn Fn(&str) -> String) -> String {
        let epsilon = self.number(EPSILON);
        let channels = || vec![ints("axes", vec![1]), int("keepdims", 1)];
        let mean = self.push("ReduceMean", &[value], named("mean"), channels());
        let distance = self.push("Sub", &[value, &mean], named("distance"), vec![]);
        let square = self.push("Mul", &[&distance, &distance], named("square"), vec![]);
        let variance = self.push("ReduceMean", &[&square], named("variance"), channels());
        let kept = self.push("Add", &[&variance, &epsilon], named("kept"), vec![]);
        let deviation = self.push("Sqrt", &[&kept], named("deviation"), vec![]);
        self.push("Div", &[&distance, &deviation], named("norm"), vec![])
    }

    /// Squares of pixels as the channels of one, in the order (channel, row, column): `input` is the shape of
    /// the value, `output` that of what comes of it.
    pub(super) fn patches(
        &mut self,
        value: &str,
        [channels, height, width]: Extents,
        output: Extents,
        side: usize,
        named: &dyn Fn(&str) -> String,
    ) -> String {
        let [_, rows, columns] = output;
        let mut value = value.to_owned();
        if [height, width] != [rows * side, columns * side] {
            // Pixels that are in no patch.
            let ends = [rows * side, columns * side].map(|end| end as i64);
            let starts = self.whole(named("starts"), vec![2], &[0, 0]);
            let ends = self.whole(named("ends"), vec![2], &ends);
            let axes = self.whole(named("axes"), vec![2], &[2, 3]);
            value = self.push("Slice", &[&value, &starts, &ends, &axes], named("whole"), vec![]);
        }
        let cut = self.shape(named("cut"), &[channels, rows, side, columns, side]);
        let joined = self.shape(named("joined"), &output);
        let value = self.push("Reshape", &[&value, &cut], named("squares"), vec![]);
        let order = vec![ints("perm", vec![0, 1, 3, 5, 2, 4])];
        let value = self.push("Transpose", &[&value], named("turned"), order);
        self.push("Reshape", &[&value, &joined], named("patches"), vec![])
    }

    /// Attention of so many heads: `shape` is that of its output.
    pub(super) fn attention(
        &mut self,
        value: &str,
        [channels, rows, columns]: Extents,
        heads: usize,
        named: &dyn Fn(&str) -> String,
    ) -> String {
        let own = channels / heads;
        let parts = self.shape(named("parts"), &[3, heads, own, rows * columns]);
        let image = self.shape(named("image"), &[channels, rows, columns]);
        let scale = self.number(1.0 / (own as f32).sqrt());
        let turned = || vec![ints("perm", vec![0, 1, 3, 2])];
        let all = self.push("Reshape", &[value, &parts], named("all"), vec![]);
        let [queries, keys, values] = [(0, "queries"), (1, "keys"), (2, "values")].map(|(number, part)| {
            let place = self.whole(named(&format!("{part}.place")), vec![], &[number]);
            self.push("Gather", &[&all, &place], named(part), vec![int("axis", 1)])
        });
        let queries = self.push("Transpose", &[&queries], named("by_query"), turned());
        let products = self.push("MatMul", &[&queries, &keys], named("products"), vec![]);
        let scores = self.push("Mul", &[&products, &scale], named("scores"), vec![]);
        let shares = self.push("Softmax", &[&scores], named("shares"), vec![int("axis", -1)]);
        let shares = self.push("Transpose", &[&shares], named("by_key"), turned());
        let means = self.push("MatMul", &[&values, &shares], named("means"), vec![]);
        self.push("Reshape", &[&means, &image], named("attention"), vec![])
    }

    /// A value as a list of features.
    pub(super) fn flat(&mut self, (value, is_flat): &(String, bool), name: String) -> String {
        match is_flat {
            true => value.clone(),
            false => self.push("Flatten", &[value], name, vec![int("axis", 1)]),
        }
    }

    /// A list of features as channels of one pixel, for operations on pixels.
    pub(super) fn pixel(&mut self, value: &str, channels: usize, named: &dyn Fn(&str) -> String) -> String {
        let shape = self.shape(named("one"), &[channels, 1, 1]);
        self.push("Reshape", &[value, &shape], named("pixel"), vec![])
    }

    /// A number as an array of the graph.
    fn number(&mut self, number: f32) -> String {
        let name = format!("constant{}", self.constants.len());
        let (data_type, raw_data) = (proto::ELEMENT_FLOAT, number.to_le_bytes().to_vec());
        self.constants.push(proto::Tensor { dims: vec![], data_type, name: name.clone(), raw_data });
        name
    }

    /// The shape of so many images: 0 keeps the first extent, their number.
    fn shape(&mut self, name: String, extents: &[usize]) -> String {
        let extents: Vec<i64> =
            std::iter::once(0).chain(extents.iter().map(|extent| *extent as i64)).collect();
        self.whole(name, vec![extents.len() as i64], &extents)
    }

    /// Whole numbers as an array of the graph.
    fn whole(&mut self, name: String, dims: Vec<i64>, numbers: &[i64]) -> String {
        let raw_data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constants.push(proto::Tensor {
            dims,
            data_type: proto::ELEMENT_WHOLE,
            name: name.clone(),
            raw_data,
        });
        name
    }
}
