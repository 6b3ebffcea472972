//! What the client's operations mean.

use super::{Binary, ClientOp, ClientProgram, ClientResult, ClientValue, Reduction, Unary};
use crate::linear::ZERO;
use crate::tensor::Shape;

impl ClientProgram {
    /// Each result's elements from those of the decrypted tensors, row-major. A place that no table has gives NaN.
    pub fn evaluate(&self, ports: &[Vec<f64>]) -> Vec<Vec<f64>> {
        if self.is_empty() {
            return ports.to_vec();
        }
        let mut steps: Vec<Vec<f64>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let operand = |&value: &ClientValue| {
                let data = match value {
                    ClientValue::Port(port) => &ports[port],
                    ClientValue::Step(step) => &steps[step],
                };
                Operand { shape: self.shape(value).expect("the program was verified"), data }
            };
            let operands: Vec<Operand<'_>> = step.operands.iter().map(operand).collect();
            steps.push(evaluate(&step.op, &operands, &step.shape));
        }
        let result = |result: &ClientResult| match result.value {
            ClientValue::Port(port) => ports[port].clone(),
            ClientValue::Step(step) => steps[step].clone(),
        };
        self.results.iter().map(result).collect()
    }
}

/// A tensor that a step reads.
struct Operand<'t> {
    shape: &'t Shape,
    data: &'t [f64],
}

fn evaluate(op: &ClientOp, operands: &[Operand<'_>], shape: &Shape) -> Vec<f64> {
    let x = || operands[0].data.iter().copied();
    match op {
        ClientOp::Constant(constant) => constant.data.clone(),
        ClientOp::Unary(unary) => x().map(|x| unary.eval(x)).collect(),
        ClientOp::Function(function) => x().map(|x| function.eval(x)).collect(),
        ClientOp::Binary(binary) => {
            let (a, b) = (operands[0].expanded(shape), operands[1].expanded(shape));
            a.zip(b).map(|(a, b)| binary.eval(a, b)).collect()
        }
        ClientOp::Choose => {
            let (a, b) = (operands[1].expanded(shape), operands[2].expanded(shape));
            let condition = operands[0].expanded(shape);
            condition.zip(a.zip(b)).map(|(condition, (a, b))| if condition != 0.0 { a } else { b }).collect()
        }
        ClientOp::Softmax(axis) => operands[0].along(*axis, |lane| log_softmax(lane).map(f64::exp).collect()),
        ClientOp::LogSoftmax(axis) => operands[0].along(*axis, |lane| log_softmax(lane).collect()),
        ClientOp::Reduce(reduction, axes) => reduced(*reduction, axes, &operands[0]),
        ClientOp::ArgMax { axis, last } => operands[0].along(*axis, |lane| vec![place_of_largest(lane, *last)]),
        ClientOp::TopK { axis, count, largest } => {
            operands[0].along(*axis, |lane| ordered(lane, *largest).take(*count).collect())
        }
        ClientOp::TakeAlong(axis) => operands[0].taken_along(*axis, &operands[1]),
        ClientOp::Reshape => x().collect(),
        ClientOp::Transpose(permutation) => {
            let strides = operands[0].shape.strides();
            let place = |axis: usize, index: usize| Some(index * strides[permutation[axis]]);
            operands[0].gathered(shape, place)
        }
        ClientOp::Select(indices) => {
            let strides = operands[0].shape.strides();
            let place = |axis: usize, index: usize| {
                let source = indices[axis][index];
                (source != ZERO).then(|| source as usize * strides[axis])
            };
            operands[0].gathered(shape, place)
        }
        ClientOp::Concat(axis) => joined(*axis, operands),
        ClientOp::Expand => operands[0].expanded(shape).collect(),
        ClientOp::Gather(axis) => slices(*axis, &operands[0], operands[1].data),
    }
}

impl<'t> Operand<'t> {
    /// The elements of a result, each at a sum of offsets along the axes, or zero where an axis has none.
    fn gathered(&self, shape: &Shape, offset: impl Fn(usize, usize) -> Option<usize>) -> Vec<f64> {
        let element = |number: usize| {
            let coordinates = shape.coordinates(number);
            let place: Option<usize> = coordinates.iter().enumerate().map(|(axis, &index)| offset(axis, index)).sum();
            place.map_or(0.0, |place| self.data[place])
        };
        (0..shape.size()).map(element).collect()
    }

    /// Broadcast to a shape.
    fn expanded(&self, shape: &Shape) -> std::vec::IntoIter<f64> {
        let (strides, missing) = (self.shape.strides(), shape.0.len() - self.shape.0.len());
        let offset = |axis: usize, index: usize| match axis.checked_sub(missing) {
            Some(axis) if self.shape.0[axis] > 1 => Some(index * strides[axis]),
            _ => Some(0),
        };
        self.gathered(shape, offset).into_iter()
    }

    /// Applies `f` to each lane along an axis; lanes may become shorter.
    fn along(&self, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let length = self.shape.0[axis];
        let inner: usize = self.shape.0[axis + 1..].iter().product();
        let outer: usize = self.shape.0[..axis].iter().product();
        let lane = |lane: usize| -> Vec<f64> {
            let start = lane / inner * length * inner + lane % inner;
            f(&(0..length).map(|i| self.data[start + i * inner]).collect::<Vec<_>>())
        };
        let lanes: Vec<Vec<f64>> = (0..outer * inner).map(lane).collect();
        let kept = lanes.first().map_or(0, Vec::len);
        let element = |index: usize| lanes[index / (kept * inner) * inner + index % inner][index / inner % kept];
        (0..outer * kept * inner).map(element).collect()
    }

    fn taken_along(&self, axis: usize, places: &Operand<'_>) -> Vec<f64> {
        let strides = self.shape.strides();
        let element = |(number, &place): (usize, &f64)| {
            let mut coordinates = places.shape.coordinates(number);
            coordinates[axis] = place_in(place, self.shape.0[axis])?;
            Some(self.data[coordinates.iter().zip(&strides).map(|(index, stride)| index * stride).sum::<usize>()])
        };
        places.data.iter().enumerate().map(|place| element(place).unwrap_or(f64::NAN)).collect()
    }
}

/// A number as a place in a list; negative ones count from its end.
fn place_in(place: f64, length: usize) -> Option<usize> {
    let counted = if place < 0.0 { place + length as f64 } else { place };
    (counted >= 0.0 && counted < length as f64).then_some(counted as usize)
}

fn slices(axis: usize, data: &Operand<'_>, places: &[f64]) -> Vec<f64> {
    let length = data.shape.0[axis];
    let inner: usize = data.shape.0[axis + 1..].iter().product();
    let slice = |block: &[f64], place: f64| match place_in(place, length) {
        Some(place) => block[place * inner..][..inner].to_vec(),
        None => vec![f64::NAN; inner],
    };
    let blocks = data.data.chunks(length * inner);
    blocks.flat_map(|block| places.iter().flat_map(move |&place| slice(block, place))).collect()
}

fn joined(axis: usize, operands: &[Operand<'_>]) -> Vec<f64> {
    let outer: usize = operands[0].shape.0[..axis].iter().product();
    let part = |operand: &Operand<'_>, block: usize| {
        let size = operand.data.len() / outer;
        operand.data[block * size..][..size].to_vec()
    };
    (0..outer).flat_map(|block| operands.iter().flat_map(move |operand| part(operand, block))).collect()
}

fn reduced(reduction: Reduction, axes: &[usize], x: &Operand<'_>) -> Vec<f64> {
    let (mut shape, strides) = (x.shape.clone(), x.shape.strides());
    axes.iter().for_each(|&axis| shape.0[axis] = 1);
    let window =
        Shape((0..x.shape.0.len()).map(|axis| if axes.contains(&axis) { x.shape.0[axis] } else { 1 }).collect());
    let place = |coordinates: Vec<usize>| coordinates.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>();
    let offsets: Vec<usize> = (0..window.size()).map(|number| place(window.coordinates(number))).collect();
    let element = |number: usize| {
        let start = place(shape.coordinates(number));
        reduction.eval(&offsets.iter().map(|offset| x.data[start + offset]).collect::<Vec<_>>())
    };
    (0..shape.size()).map(element).collect()
}

/// Stable for large values: the largest is subtracted first.
fn log_softmax(lane: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let top = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = lane.iter().map(|value| (value - top).exp()).sum();
    lane.iter().map(move |value| value - top - sum.ln())
}

fn place_of_largest(lane: &[f64], last: bool) -> f64 {
    let better = |best: (usize, f64), next: (usize, f64)| {
        if next.1 > best.1 || (last && next.1 == best.1) { next } else { best }
    };
    lane.iter().copied().enumerate().fold((0, f64::NEG_INFINITY), better).0 as f64
}

/// Places of a lane's elements, the largest or the smallest first.
fn ordered(lane: &[f64], largest: bool) -> impl Iterator<Item = f64> {
    let mut places: Vec<usize> = (0..lane.len()).collect();
    places.sort_by(|&a, &b| if largest { lane[b].total_cmp(&lane[a]) } else { lane[a].total_cmp(&lane[b]) });
    places.into_iter().map(|place| place as f64)
}

impl Unary {
    fn eval(self, x: f64) -> f64 {
        match self {
            Unary::Negate => -x,
            Unary::Abs => x.abs(),
            Unary::Sign if x == 0.0 => 0.0,
            Unary::Sign => x.signum(),
            Unary::Floor => x.floor(),
            Unary::Ceil => x.ceil(),
            Unary::Round => x.round_ties_even(),
            Unary::Truncate => x.trunc(),
            Unary::Not => truth(x == 0.0),
        }
    }
}

impl Binary {
    fn eval(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Pow => a.powf(b),
            Binary::Min => a.min(b),
            Binary::Max => a.max(b),
            Binary::Equal => truth(a == b),
            Binary::Greater => truth(a > b),
            Binary::GreaterOrEqual => truth(a >= b),
            Binary::Less => truth(a < b),
            Binary::LessOrEqual => truth(a <= b),
            Binary::And => truth(a != 0.0 && b != 0.0),
            Binary::Or => truth(a != 0.0 || b != 0.0),
            Binary::Xor => truth((a != 0.0) != (b != 0.0)),
        }
    }
}

impl Reduction {
    fn eval(self, values: &[f64]) -> f64 {
        let (all, count) = (|| values.iter().copied(), values.len() as f64);
        match self {
            Reduction::Sum => all().sum(),
            Reduction::Mean => all().sum::<f64>() / count,
            Reduction::Prod => all().product(),
            Reduction::Max => all().fold(f64::NEG_INFINITY, f64::max),
            Reduction::Min => all().fold(f64::INFINITY, f64::min),
            Reduction::L1 => all().map(f64::abs).sum(),
            Reduction::L2 => all().map(|x| x * x).sum::<f64>().sqrt(),
            Reduction::SumSquare => all().map(|x| x * x).sum(),
            Reduction::LogSum => all().sum::<f64>().ln(),
            Reduction::LogSumExp => {
                let top = all().fold(f64::NEG_INFINITY, f64::max);
                top + all().map(|x| (x - top).exp()).sum::<f64>().ln()
            }
        }
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::ResultKind;
    use crate::tensor::{Function, Tensor};

    /// The result of one operation on tensors.
    fn eval(op: ClientOp, operands: &[(&[usize], &[f64])], wanted: Option<&[usize]>) -> (Shape, Vec<f64>) {
        let ports = operands.iter().map(|(shape, _)| Shape(shape.to_vec())).collect();
        let mut program = ClientProgram { ports, ..ClientProgram::default() };
        let ids: Vec<ClientValue> = (0..operands.len()).map(ClientValue::Port).collect();
        let value = match wanted {
            Some(shape) => program.push_to(op, ids[0], Shape(shape.to_vec())).unwrap(),
            None => program.push(op, ids).unwrap(),
        };
        let shape = program.shape(value).unwrap().clone();
        program.results.push(ClientResult { name: "y".into(), value, shape: shape.clone(), kind: ResultKind::Real });
        let sizes: Vec<usize> = operands.iter().map(|(_, data)| data.len()).collect();
        assert_eq!(program.problems(&sizes), Vec::<String>::new());
        let data: Vec<Vec<f64>> = operands.iter().map(|(_, data)| data.to_vec()).collect();
        (shape, program.evaluate(&data).remove(0))
    }

    #[test]
    fn softmax_runs_along_its_axis() {
        let x: &[(&[usize], &[f64])] = &[(&[2, 2], &[0.0, 1000.0, 0.0, 1000.0])];
        assert_eq!(eval(ClientOp::Softmax(0), x, None).1, [0.5; 4]);
        assert_eq!(eval(ClientOp::Softmax(1), x, None).1, [0.0, 1.0, 0.0, 1.0]);
        assert!(eval(ClientOp::LogSoftmax(0), x, None).1.iter().all(|value| (value - 0.5f64.ln()).abs() < 1e-12));
    }

    #[test]
    fn places_of_the_largest() {
        let x: &[(&[usize], &[f64])] = &[(&[2, 3], &[1.0, 5.0, 5.0, 7.0, 0.0, 9.0])];
        assert_eq!(eval(ClientOp::ArgMax { axis: 1, last: false }, x, None), (Shape(vec![2, 1]), vec![1.0, 2.0]));
        assert_eq!(eval(ClientOp::ArgMax { axis: 1, last: true }, x, None).1, [2.0, 2.0]);
        assert_eq!(eval(ClientOp::ArgMax { axis: 0, last: false }, x, None).1, [1.0, 0.0, 1.0]);
        let two = ClientOp::TopK { axis: 1, count: 2, largest: true };
        assert_eq!(eval(two, x, None), (Shape(vec![2, 2]), vec![1.0, 2.0, 2.0, 0.0]));
        let least = ClientOp::TopK { axis: 1, count: 1, largest: false };
        assert_eq!(eval(least, x, None).1, [0.0, 1.0]);
        let taken = eval(ClientOp::TakeAlong(1), &[x[0], (&[2, 1], &[2.0, -3.0])], None);
        assert_eq!(taken.1, [5.0, 7.0]);
    }

    #[test]
    fn shapes_broadcast() {
        let sum = eval(ClientOp::Binary(Binary::Add), &[(&[2, 1], &[1.0, 2.0]), (&[3], &[10.0, 20.0, 30.0])], None);
        assert_eq!(sum, (Shape(vec![2, 3]), vec![11.0, 21.0, 31.0, 12.0, 22.0, 32.0]));
        let wide = eval(ClientOp::Expand, &[(&[2, 1], &[1.0, 2.0])], Some(&[2, 2]));
        assert_eq!(wide.1, [1.0, 1.0, 2.0, 2.0]);
        let chosen = eval(ClientOp::Choose, &[(&[2], &[1.0, 0.0]), (&[], &[5.0]), (&[2], &[7.0, 8.0])], None);
        assert_eq!(chosen.1, [5.0, 8.0]);
    }

    #[test]
    fn elements_move() {
        let x: (&[usize], &[f64]) = (&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(eval(ClientOp::Transpose(vec![1, 0]), &[x], None).1, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(eval(ClientOp::Select(vec![vec![1], vec![2, ZERO]]), &[x], None).1, [5.0, 0.0]);
        let joined = eval(ClientOp::Concat(1), &[x, (&[2, 1], &[7.0, 8.0])], None);
        assert_eq!(joined, (Shape(vec![2, 4]), vec![0.0, 1.0, 2.0, 7.0, 3.0, 4.0, 5.0, 8.0]));
        let rows = eval(ClientOp::Gather(0), &[x, (&[1, 2], &[1.0, 0.0])], None);
        assert_eq!(rows, (Shape(vec![1, 2, 3]), vec![3.0, 4.0, 5.0, 0.0, 1.0, 2.0]));
        assert!(eval(ClientOp::Gather(1), &[x, (&[1], &[7.0])], None).1.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn axes_are_reduced() {
        let x: &[(&[usize], &[f64])] = &[(&[2, 2], &[3.0, 4.0, 0.0, 2.0])];
        assert_eq!(eval(ClientOp::Reduce(Reduction::L2, vec![1]), x, None), (Shape(vec![2, 1]), vec![5.0, 2.0]));
        assert_eq!(eval(ClientOp::Reduce(Reduction::Mean, vec![0, 1]), x, None).1, [2.25]);
        assert_eq!(eval(ClientOp::Reduce(Reduction::Prod, vec![0]), x, None).1, [0.0, 8.0]);
        let sum = eval(ClientOp::Reduce(Reduction::LogSumExp, vec![1]), x, None).1;
        assert!((sum[0] - (3f64.exp() + 4f64.exp()).ln()).abs() < 1e-12);
    }

    #[test]
    fn every_operation_is_made_again_from_its_parts() {
        let table = Arc::new(Tensor::new(Shape(vec![2]), vec![1.0, 2.0]));
        let ops = [
            ClientOp::Constant(table),
            ClientOp::Unary(Unary::Round),
            ClientOp::Function(Function::Sigmoid),
            ClientOp::Binary(Binary::GreaterOrEqual),
            ClientOp::Choose,
            ClientOp::Softmax(1),
            ClientOp::LogSoftmax(0),
            ClientOp::Reduce(Reduction::SumSquare, vec![0, 2]),
            ClientOp::ArgMax { axis: 1, last: true },
            ClientOp::TopK { axis: 1, count: 5, largest: false },
            ClientOp::TakeAlong(1),
            ClientOp::Reshape,
            ClientOp::Transpose(vec![1, 0]),
            ClientOp::Select(vec![vec![0, ZERO], vec![]]),
            ClientOp::Concat(2),
            ClientOp::Expand,
            ClientOp::Gather(0),
        ];
        for op in ops {
            let (name, integers, constant) = op.parts();
            assert_eq!(ClientOp::from_parts(name, &integers, constant.cloned()), Some(op));
        }
        assert_eq!(ClientOp::from_parts("softmax", &[-1], None), None);
        assert_eq!(ClientOp::from_parts("select", &[3, 0], None), None);
        assert_eq!(ClientOp::from_parts("nothing", &[], None), None);
    }
}
