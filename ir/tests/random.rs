//! Random graphs and programs through their text, and damaged texts through the readers.

mod common;

use std::sync::Arc;

use common::{constant, name, numbers};
use paf_ir::ckks::{self, CkksProgram, Level};
use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientValue, Reduction, ResultKind};
use paf_ir::diagonals::PackedMap;
use paf_ir::linear::{Conv, Window, ZERO};
use paf_ir::program::{InputPort, InputScaling, MapId, Operation, OutputPort, OwnColumn, OwnColumns, Program, ValueId};
use paf_ir::slots::{self, SlotProgram};
use paf_ir::tensor::{self, BatchAxis, BatchNorm, Graph, NodeId, Output};
use paf_ir::{Bias, LinearMap, Primitive, Shape};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;

const SLOTS: usize = 16;

/// What a client computes from some tensors: of each a choice.
fn client(ports: Vec<Shape>, choices: &[usize]) -> ClientProgram {
    let mut client = ClientProgram { ports, ..ClientProgram::default() };
    for (port, choice) in choices.iter().enumerate().take(client.ports.len()) {
        let x = ClientValue::Port(port);
        let (op, kind) = match choice {
            0 => (ClientOp::Softmax(0), ResultKind::Real),
            1 => {
                (ClientOp::ArgMax { axis: 0, last: true }, ResultKind::Text(Arc::new(vec!["\"a\\".into(), "é".into()])))
            }
            2 => (ClientOp::Select(vec![vec![0, ZERO]; client.ports[port].0.len()]), ResultKind::Integer),
            _ => (ClientOp::Reduce(Reduction::L2, vec![0]), ResultKind::Boolean),
        };
        let value = client.push(op, vec![x]).unwrap();
        let shape = client.shape(value).unwrap().clone();
        client.results.push(ClientResult { name: format!("result {port}"), value, shape, kind });
    }
    client
}

/// Any finite number, subnormal ones and the two zeros included.
fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |value| value.is_finite())
}

/// What one more node of a random graph is made of.
#[derive(Debug, Clone)]
struct Recipe {
    name: String,
    kind: usize,
    operands: [Index; 2],
    weights: Vec<f64>,
    constant: f64,
    pair: [usize; 2],
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let operands = [any::<Index>(), any::<Index>()];
    (name(), 0usize..16, operands, numbers(8), finite(), [1usize..4, 1usize..4]).prop_map(
        |(name, kind, operands, weights, constant, pair)| Recipe { name, kind, operands, weights, constant, pair },
    )
}

fn window(input: [usize; 3], kernel: [usize; 2], pads: [usize; 4]) -> Window {
    let (strides, dilations) = ([kernel[1], 1], [1, kernel[0]]);
    let mut window = Window { input, kernel, strides, pads, dilations, output: [0; 2], count_include_pad: pads[0] > 0 };
    window.output = window.floor_output();
    window
}

impl Recipe {
    fn weight(&self, shape: &[usize]) -> paf_ir::Constant {
        let data = self.weights.iter().copied().cycle().take(shape.iter().product());
        constant(shape, data.collect())
    }

    /// A factor that takes a tensor of this shape.
    fn factor(&self, shape: &Shape) -> Primitive {
        let (size, [a, b]) = (shape.size(), self.pair);
        let plane = |shape: &Shape| [shape.0[1], shape.0[2], shape.0[3]];
        match self.kind {
            0 if shape.0.len() == 4 => {
                let (input, groups) = (plane(shape), if a == 1 { shape.0[1] } else { 1 });
                let weight = self.weight(&[groups * b, input[0] / groups, a, b]);
                Primitive::Conv(Conv { weight, window: window(input, [a, b], [a / 2, 0, b / 2, 1]), groups })
            }
            1 if shape.0.len() == 4 => Primitive::AveragePool(window(plane(shape), [a, b], [b / 2; 4])),
            2 => {
                let kept = |axis: &usize| (0..*axis as u32).rev().chain((*axis == a).then_some(ZERO)).collect();
                Primitive::Select { input: shape.clone(), indices: shape.0.iter().map(kept).collect() }
            }
            3 => Primitive::Permute { input: shape.clone(), permutation: (0..shape.0.len()).rev().collect() },
            4 => Primitive::Diagonal { values: self.weight(&[a]), repeat: b, size },
            _ => Primitive::Dense { weight: self.weight(&[b, size]), left: 1, right: 1 },
        }
    }

    fn map(&self, shape: &Shape) -> LinearMap {
        let bias = (self.pair[0] > 1).then(|| Bias { values: self.weight(&[self.pair[1]]), repeat: self.pair[0] });
        let scale = self.constant;
        LinearMap { scale, ..LinearMap::of(self.factor(shape), bias) }
    }

    /// Adds a node, or nothing where the operation is not defined for the operands.
    fn add_to(self, graph: &mut Graph) {
        let [a, b] = self.operands.map(|operand| NodeId(operand.index(graph.len()) as u32));
        let shape = graph.node(a).shape.clone();
        let op = match self.kind {
            0..6 => {
                let map = self.map(&shape);
                let outputs = Shape(vec![1, map.outputs]);
                let _ = graph.linear(self.name, map, a, outputs);
                return;
            }
            6 => {
                let _ = graph.reshape(self.name, a, Shape(vec![1, shape.size()]));
                return;
            }
            7 => {
                let [scale, bias, mean, variance] = [&shape.0[1..2]; 4].map(|axis| self.weight(axis));
                let epsilon = 3.0;
                tensor::Op::BatchNorm(BatchNorm { scale, bias, mean, variance, epsilon })
            }
            8 if shape.0.len() == 4 => {
                tensor::Op::MaxPool(window([shape.0[1], shape.0[2], shape.0[3]], self.pair, [0; 4]))
            }
            9 => tensor::Op::Add,
            10 => tensor::Op::Sub,
            11 => tensor::Op::Mul,
            12 => tensor::Op::Scale(self.constant),
            13 => tensor::Op::AddConstant(self.constant),
            _ => tensor::Op::Relu,
        };
        let operands = [a, b];
        let _ = graph.add(self.name, op.clone(), &operands[..op.arity()]);
    }
}

prop_compose! {
    fn graph()(
        names in [name(), name(), name()],
        shape in [1usize..4, 2usize..6, 2usize..6],
        recipes in prop::collection::vec(recipe(), 1..10),
        outputs in prop::collection::vec((any::<Index>(), 0usize..4), 1..3),
        has_client in any::<bool>(),
        batch in prop::sample::select(vec![BatchAxis::First, BatchAxis::Absent]),
    ) -> Graph {
        let mut graph = Graph::default();
        let [x, mask, y] = names;
        let _ = graph.input(x, Shape([&[1], &shape[..]].concat()), batch);
        let _ = graph.input(mask, Shape(vec![1, shape[0]]), BatchAxis::Absent);
        recipes.into_iter().for_each(|recipe| recipe.add_to(&mut graph));
        let choices: Vec<usize> = outputs.iter().map(|(_, choice)| *choice).collect();
        for (node, _) in outputs {
            let node = NodeId(node.index(graph.len()) as u32);
            graph.outputs.push(Output { name: y.clone(), node });
        }
        if has_client {
            let shapes = graph.outputs.iter().map(|output| graph.node(output.node).shape.clone()).collect();
            graph.client = client(shapes, &choices);
        }
        graph
    }
}

type Choice = (String, usize, [Index; 3], f64, i64);

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let operands = [any::<Index>(), any::<Index>(), any::<Index>()];
    prop::collection::vec((name(), 0usize..12, operands, finite(), -20i64..20), 1..16)
}

/// A program of an input each for the operands of the maps, of whichever choices make sense, and of two outputs.
fn program<O: Operation>(
    maps: Vec<PackedMap>,
    choices: Vec<Choice>,
    port: (String, f64, f64, usize),
    op: impl Fn(&Choice, &dyn Fn(usize) -> ValueId) -> O,
    input: impl Fn(u32) -> O,
) -> Program<O> {
    let (name, scale, range, choice) = port;
    let own = OwnColumn { column: 0, offset: range, scale: scale.abs(), range: (-range.abs(), range.abs()) };
    let own = OwnColumns { repeat: 1, count: 1, columns: vec![own] };
    let inputs = maps.iter().map(|map| InputPort {
        name: name.clone(),
        shape: Shape(vec![1, map.input.size()]),
        layout: map.input.clone(),
        scaling: InputScaling {
            scale,
            range: (-range.abs(), range.abs()),
            own: if choice % 2 == 0 { own.clone() } else { OwnColumns::default() },
        },
    });
    let layouts: Vec<_> = maps.iter().map(|map| map.input.clone()).collect();
    let mut program = Program::new(SLOTS, maps.clone(), inputs.collect());
    for port in 0..maps.len() as u32 {
        program.push(name.as_str(), input(port)).unwrap();
    }
    for choice in choices {
        let length = program.len();
        let operand = |which: usize| ValueId(choice.2[which].index(length) as u32);
        let op = op(&choice, &operand);
        let _ = program.push(choice.0.as_str(), op);
    }
    for (value, layout) in layouts.into_iter().enumerate() {
        let shape = Shape(vec![layout.size(), 1]);
        let value = ValueId(value as u32);
        program.outputs.push(OutputPort { name: name.clone(), value, shape, layout, scale });
    }
    if choice > 0 {
        let shapes: Vec<Shape> = program.outputs.iter().map(|port| port.shape.clone()).collect();
        program.client = client(shapes, &[choice; 3]);
    }
    program
}

fn maps() -> impl Strategy<Value = Vec<PackedMap>> {
    prop::collection::vec(common::packed(SLOTS), 1..3)
}

fn port() -> impl Strategy<Value = (String, f64, f64, usize)> {
    let scale = finite().prop_filter("scales are not zero", |scale| *scale != 0.0);
    (name(), scale, finite(), 0usize..4)
}

prop_compose! {
    fn slot_program()(maps in maps(), choices in choices(), port in port()) -> SlotProgram {
        let op = |(_, kind, _, constant, steps): &Choice, operand: &dyn Fn(usize) -> ValueId| match kind {
            0..4 => slots::Op::Linear { map: MapId(steps.unsigned_abs() as u32 % 3), input: operand(0) },
            4 => slots::Op::Rotate { steps: *steps, input: operand(0) },
            5 | 6 => slots::Op::Add(operand(0), operand(1)),
            7 => slots::Op::Sub(operand(0), operand(1)),
            8 | 9 => slots::Op::Mul(operand(0), operand(1)),
            10 => slots::Op::Scale(*constant, operand(0)),
            _ => slots::Op::AddConstant(*constant, operand(0)),
        };
        program(maps, choices, port, op, slots::Op::Input)
    }
}

prop_compose! {
    fn ckks_program()(maps in maps(), choices in choices(), port in port()) -> CkksProgram {
        let op = |(_, kind, _, constant, steps): &Choice, operand: &dyn Fn(usize) -> ValueId| {
            let (input, steps, constant, level) = (operand(0), *steps, *constant, Level(steps.unsigned_abs() as u32 % 8));
            match kind {
                0 => ckks::Op::Linear { map: MapId(steps.unsigned_abs() as u32 % 3), input, level },
                1 => ckks::Op::Rotate { steps, input },
                2 => ckks::Op::Add(input, operand(1)),
                3 => ckks::Op::Sub(input, operand(1)),
                4 | 5 => ckks::Op::Mul(input, input),
                6 => ckks::Op::MulConstant { constant, input, level },
                7 => ckks::Op::AddConstant { constant, input },
                8 => ckks::Op::Relinearize(input),
                9 => ckks::Op::Rescale(input),
                10 => ckks::Op::Drop { input, level },
                _ => ckks::Op::Bootstrap { input, slots: 8, level },
            }
        };
        program(maps, choices, port, op, |port| ckks::Op::Input { port, level: Level(6) })
    }
}

/// A change to a text: at a place, some characters give way to others.
type Damage = (Index, usize, String);

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let numbers = ["0", "-1", "99999999999", "18446744073709551615", "-9223372036854775808", "1e999", "NaN", "3", "64"];
    let other = ["[", "]", ", ", "\"", "\\", "@0", "%0", "\n", "{", " then ", "=", ":", "é"];
    let words = prop::sample::select([&numbers[..], &other[..]].concat());
    prop::collection::vec((any::<Index>(), 0usize..3, words.prop_map(str::to_owned)), 1..4)
}

/// The text with damages applied; numbers are preferred places.
fn damaged(text: &str, damages: Vec<Damage>) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (place, length, with) in damages {
        let digits: Vec<usize> = (0..chars.len()).filter(|&at| chars[at].is_ascii_digit()).collect();
        let at =
            if length == 0 || digits.is_empty() { place.index(chars.len()) } else { digits[place.index(digits.len())] };
        let end = match length {
            1 => (at..chars.len()).find(|&at| !chars[at].is_ascii_digit()).unwrap_or(chars.len()),
            _ => (at + length).min(chars.len()),
        };
        chars.splice(at..end, with.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #[test]
    fn graphs_read_back(graph in graph()) {
        let text = graph.to_text();
        match graph.verify() {
            Ok(()) => prop_assert_eq!(Graph::from_text(&text).unwrap(), graph),
            Err(_) => prop_assert!(Graph::from_text(&text).is_err()),
        }
    }

    #[test]
    fn slot_programs_read_back(program in slot_program()) {
        prop_assert_eq!(SlotProgram::from_text(&program.to_text()).unwrap(), program);
    }

    #[test]
    fn ckks_programs_read_back(program in ckks_program()) {
        prop_assert_eq!(CkksProgram::from_text(&program.to_text()).unwrap(), program);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_graphs_are_read_or_refused(graph in graph(), damages in damage()) {
        if let Ok(read) = Graph::from_text(&damaged(&graph.to_text(), damages)) {
            prop_assert_eq!(Graph::from_text(&read.to_text()).unwrap(), read);
        }
    }

    #[test]
    fn damaged_slot_programs_are_read_or_refused(program in slot_program(), damages in damage()) {
        if let Ok(read) = SlotProgram::from_text(&damaged(&program.to_text(), damages)) {
            let _ = read.verify();
            prop_assert_eq!(SlotProgram::from_text(&read.to_text()).map(|_| ()), Ok(()));
        }
    }

    #[test]
    fn damaged_ckks_programs_are_read_or_refused(program in ckks_program(), damages in damage()) {
        if let Ok(read) = CkksProgram::from_text(&damaged(&program.to_text(), damages)) {
            prop_assert_eq!(CkksProgram::from_text(&read.to_text()).map(|_| ()), Ok(()));
            let _ = read.verify();
        }
    }
}

/// Verified programs evaluate: the generators make programs that do something.
#[test]
fn random_programs_are_not_trivial() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut verified, mut nodes, mut values) = (0, 0, 0);
    for _ in 0..200 {
        let graph = graph().new_tree(&mut runner).unwrap().current();
        nodes += graph.len();
        verified += usize::from(graph.verify().is_ok());
        values += ckks_program().new_tree(&mut runner).unwrap().current().len();
    }
    assert!(
        verified > 60 && nodes > 200 * 5 && values > 200 * 4,
        "{verified} verified, {nodes} nodes, {values} values"
    );
}
