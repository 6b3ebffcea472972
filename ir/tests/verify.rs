//! One broken program for each rule of the verifiers.

mod common;

use common::constant;
use paf_ir::ckks::CkksProgram;
use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientStep, ClientValue, ResultKind};
use paf_ir::layout::Gaps;
use paf_ir::program::ValueId;
use paf_ir::program::{OwnColumn, OwnColumns};
use paf_ir::slots::{self, SlotProgram};
use paf_ir::tensor::{BatchAxis, BatchNorm, Graph, MAX_ELEMENTS, NodeId, Op};
use paf_ir::{IrError, Layout, LinearMap, Primitive, Shape};

const TENSOR: &str = include_str!("data/tensor.txt");
const SLOTS: &str = include_str!("data/slots.txt");
const CKKS: &str = include_str!("data/ckks.txt");

#[track_caller]
fn check(result: Result<(), IrError>, expected: &[&str]) {
    let Err(IrError::Invalid(problems)) = result else { panic!("{result:?}") };
    let matches = problems.len() == expected.len() && problems.iter().zip(expected).all(|(a, b)| a.contains(b));
    assert!(matches, "{problems:#?} instead of {expected:#?}");
}

#[track_caller]
fn tensor<R>(change: impl FnOnce(&mut Graph) -> R, expected: &[&str]) {
    let mut graph = Graph::from_text(TENSOR).unwrap();
    change(&mut graph);
    check(graph.verify(), expected);
}

#[track_caller]
fn slots(change: impl FnOnce(&mut SlotProgram), expected: &[&str]) {
    let mut program = SlotProgram::from_text(SLOTS).unwrap();
    change(&mut program);
    check(program.verify(), expected);
}

#[track_caller]
fn ckks(change: impl FnOnce(&mut CkksProgram), expected: &[&str]) {
    let mut program = CkksProgram::from_text(CKKS).unwrap();
    change(&mut program);
    check(program.verify().map(|_| ()), expected);
}

/// A slots program after one replacement in its text.
#[track_caller]
fn slots_text(from: &str, to: &str, expected: &[&str]) {
    assert!(SLOTS.contains(from), "`{from}` is not in the text");
    check(SlotProgram::from_text(&SLOTS.replacen(from, to, 1)).unwrap().verify(), expected);
}

#[test]
fn tensors_have_possible_shapes() {
    let wide = Shape(vec![1 << 40, 1 << 40]);
    tensor(
        |graph| graph.input("wide", wide, BatchAxis::Absent),
        &["no tensor has the shape [1099511627776, 1099511627776]"],
    );
    let most = Shape(vec![MAX_ELEMENTS + 1]);
    tensor(|graph| graph.input("most", most, BatchAxis::Absent), &["no tensor has the shape [4294967296]"]);
    tensor(|graph| graph.input("none", Shape(vec![3, 0]), BatchAxis::Absent), &["no tensor has the shape [3, 0]"]);
}

#[test]
fn tensor_weights_are_finite() {
    let map = |weight, size| LinearMap::of(Primitive::Diagonal { values: weight, repeat: 1, size }, None);
    let nan = map(constant(&[2], vec![1.0, f64::NAN]), 6);
    let add = |graph: &mut Graph| graph.linear("nan", nan, NodeId(12), Shape(vec![6])).unwrap();
    tensor(add, &["%14 linear `nan`: linear: a weight is NaN or infinite"]);
    let bias = paf_ir::Bias { values: constant(&[1], vec![f64::INFINITY]), repeat: 1 };
    let map = LinearMap { bias: Some(bias), ..LinearMap::identity(6) };
    let add = |graph: &mut Graph| graph.linear("inf", map, NodeId(12), Shape(vec![6])).unwrap();
    tensor(add, &["%14 linear `inf`: linear: a weight is NaN or infinite"]);
}

#[test]
fn normalizations_are_finite() {
    let norm = |variance: f64, mean: f64| {
        let values = |value| constant(&[2], vec![1.0, value]);
        let (scale, bias) = (values(1.0), values(1.0));
        Op::BatchNorm(BatchNorm { scale, bias, mean: values(mean), variance: values(variance), epsilon: 1e-5 })
    };
    for op in [norm(-1.0, 0.0), norm(-1e-5, 0.0), norm(f64::NAN, 0.0), norm(1.0, f64::INFINITY)] {
        let add = |graph: &mut Graph| graph.add("norm", op, &[NodeId(3)]).unwrap();
        tensor(add, &["%14 batch_norm `norm`: batch_norm: the factor or offset of a channel is not finite"]);
    }
}

#[test]
fn inputs_are_the_input_nodes() {
    tensor(|graph| graph.inputs.truncate(1), &["inputs [NodeId(0)] are listed"]);
    tensor(|graph| graph.inputs.reverse(), &["inputs [NodeId(13), NodeId(0)] are listed"]);
    tensor(|graph| graph.inputs.push((NodeId(0), BatchAxis::First)), &["are listed, the input nodes are"]);
    tensor(|graph| graph.inputs[0].0 = NodeId(99), &["are listed, the input nodes are"]);
}

#[test]
fn tensor_outputs_are_there() {
    tensor(|graph| graph.outputs.clear(), &["the graph has no output"]);
    tensor(|graph| graph.outputs[1].node = NodeId(14), &["output `class`: no node %14"]);
}

#[test]
fn the_client_computes_from_what_it_decrypts() {
    let result = |value| ClientResult { name: "p".into(), value, shape: Shape(vec![2, 3]), kind: ResultKind::Real };
    let client = |step: ClientStep| ClientProgram {
        ports: vec![Shape(vec![2, 3]), Shape(vec![2, 3])],
        results: vec![result(ClientValue::Step(0))],
        steps: vec![step],
    };
    let softmax =
        |axis, operand| ClientStep { op: ClientOp::Softmax(axis), operands: vec![operand], shape: Shape(vec![2, 3]) };
    let sizes = [6, 6];
    assert_eq!(client(softmax(1, ClientValue::Port(1))).check(&sizes), Ok(()));
    let refused = |client: ClientProgram, part: &str| {
        let error = client.check(&sizes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(
        client(softmax(2, ClientValue::Port(0))),
        "step 0 of the client: softmax: not defined for operands of shapes [2, 3]",
    );
    refused(client(softmax(1, ClientValue::Port(2))), "step 0 of the client: softmax: no operand port 2 before it");
    refused(client(softmax(1, ClientValue::Step(0))), "no operand $0 before it");
    let wide = ClientStep { shape: Shape(vec![3, 2]), ..softmax(1, ClientValue::Port(0)) };
    refused(client(wide), "step 0 of the client: its shape must be [2, 3]");
    let mut missing = client(softmax(1, ClientValue::Port(0)));
    missing.results[0].value = ClientValue::Step(1);
    refused(missing, "result `p`: no tensor of shape [2, 3]");
    let mut other = client(softmax(1, ClientValue::Port(0)));
    other.ports.pop();
    refused(other, "the client's program takes");
    let mut idle = client(softmax(1, ClientValue::Port(0)));
    idle.results.clear();
    refused(idle, "the client's program has no result");
    tensor(|graph| graph.client.ports[0] = Shape(vec![1]), &["the client's program takes [Shape([1]), "]);
}

#[test]
fn tensor_operations_refuse_what_is_not_defined() {
    let mut graph = Graph::from_text(TENSOR).unwrap();
    let mut refused = |op: Op, inputs: &[u32], reason: &str| {
        let inputs: Vec<NodeId> = inputs.iter().map(|&id| NodeId(id)).collect();
        let error = graph.add("", op, &inputs).unwrap_err().to_string();
        assert_eq!(error, reason);
    };
    refused(Op::Relu, &[], "relu: takes 1 operands, got 0");
    refused(Op::Mul, &[1], "mul: takes 2 operands, got 1");
    refused(Op::Mul, &[1, 14], "mul: no operand %14");
    refused(Op::Add, &[0, 1], "add: operands have shapes [1, 2, 4, 4] and [1, 2, 4, 2]");
    refused(Op::Scale(f64::NAN), &[0], "scale: constant NaN");
    refused(Op::Reshape, &[0], "reshape: has a method of its own, its shape cannot be inferred");
    let one = constant(&[1], vec![1.0]);
    let (scale, bias, mean, variance) = (one.clone(), one.clone(), one.clone(), one);
    let norm = Op::BatchNorm(BatchNorm { scale, bias, mean, variance, epsilon: 0.0 });
    refused(norm.clone(), &[0], "batch_norm: 1 parameters for 2 channels");
    refused(norm, &[11], "batch_norm: [6] has no channel axis");
}

#[test]
fn slots_are_a_power_of_two() {
    for count in [0, 12, 1 << 40] {
        slots(|program| program.slots = count, &["slots: not a power of two up to 16777216"]);
    }
}

#[test]
fn layouts_of_maps_fit() {
    slots_text(
        "period=2 ciphertexts=1 gaps=leftover first=1 digits=[2, -1] plan",
        "period=2 ciphertexts=1 gaps=zero first=0 digits=[] plan",
        &["map #0 `/fc`: linear: the layouts do not fit the map"],
    );
    slots(|program| program.slots = 16, &["map #1 `/wide`: linear: a layout does not fit the slots"]);
    let map = |map: usize| move |program: &mut SlotProgram| program.maps[map].output.period = 0;
    slots(map(0), &["map #0 `/fc`: linear: a layout does not fit the slots"]);
}

#[test]
fn plans_fit_their_periods() {
    for modulus in [0, 1, 3, 8, usize::MAX] {
        let change = |program: &mut SlotProgram| program.maps[0].plan.modulus = modulus;
        slots(change, &["map #0 `/fc`: linear: the plan's modulus does not fit the periods"]);
    }
    for folds in [vec![], vec![1], vec![2, 1]] {
        let change = |program: &mut SlotProgram| program.maps[0].plan.folds = folds;
        slots(change, &["map #0 `/fc`: linear: the plan's folds do not fit its modulus"]);
    }
}

#[test]
fn plans_take_short_steps_and_each_diagonal_once() {
    for (giants, reason) in [
        ("{-8: [0]}", "the plan rotates by -8 and 0 in 8 slots"),
        ("{0: [9223372036854775807]}", "the plan rotates by 0 and 9223372036854775807"),
        ("{-9223372036854775808: [-1]}", "the plan rotates by -9223372036854775808"),
        ("{0: [0, 1]; 2: [1]}", "the plan takes diagonal 1 twice"),
        ("{0: [0, 0]}", "the plan takes diagonal 0 twice"),
    ] {
        slots_text("{-3: [4]; 0: [0]}", giants, &[reason]);
    }
}

#[test]
fn plans_leave_out_no_diagonal() {
    let program = SlotProgram::from_text(&SLOTS.replacen("{-3: [4]; 0: [0]}", "{-3: [4]}", 1)).unwrap();
    program.verify().unwrap();
    let error = program.maps[0].check_complete().unwrap_err().to_string();
    assert!(error.contains("the plan leaves out diagonal 0"), "{error}");
}

#[test]
fn map_weights_are_finite() {
    for number in ["NaN", "inf", "1e999"] {
        slots_text(
            "[0.125, -1.0]",
            &format!("[0.125, {number}]"),
            &["map #0 `/fc`: linear: a weight is NaN or infinite"],
        );
    }
}

#[test]
fn types_follow_from_operands() {
    let change = |program: &mut SlotProgram| {
        program.inputs[1].layout = Layout::dense(10, 16);
        program.outputs.truncate(1);
    };
    slots(
        change,
        &[
            "%7 \"y\" = input port=1 : vec<2, 8>: its type must be vec<1, 16>",
            "input `y`: a layout of 1 times 16 in 8 slots",
        ],
    );
    let change = |program: &mut SlotProgram| program.maps.truncate(1);
    slots(change, &["%6 \"/wide\" = linear #1 %5 : vec<2, 8>: linear: no map #1"]);
}

#[test]
fn inputs_are_read_once_each() {
    slots(
        |program| program.inputs.push(program.inputs[0].clone()),
        &["the inputs are read [1, 1, 0] times, not once each"],
    );
    let again = |program: &mut SlotProgram| drop(program.push("again", slots::Op::Input(0)));
    slots(again, &["the inputs are read [2, 1] times, not once each"]);
}

#[test]
fn ports_fit_their_layouts() {
    let shape = |program: &mut SlotProgram| program.inputs[0].shape = Shape(vec![1 << 40, 1 << 40, 3]);
    slots(shape, &["input `x`: shape [1099511627776, 1099511627776, 3] under a layout of 3 elements"]);
    let shape = |program: &mut SlotProgram| program.outputs[1].shape = Shape(vec![5, 1]);
    slots(shape, &["output `wide`: shape [5, 1] under a layout of 10 elements"]);
    let empty = Layout::new(vec![], 2, 1, Gaps::Zero).unwrap();
    let change = |program: &mut SlotProgram| {
        program.outputs[0].layout = empty;
        program.outputs[0].shape = Shape(vec![0]);
    };
    slots(change, &["output `small`: shape [0] under a layout of 0 elements"]);
}

#[test]
fn ports_have_usable_numbers() {
    for scale in [0.0, f64::NAN, f64::INFINITY] {
        slots(|program| program.inputs[0].scaling.scale = scale, &["input `x`: scale"]);
        slots(|program| program.outputs[1].scale = scale, &["output `wide`: scale"]);
    }
    for range in [(1.0, -1.0), (f64::NAN, 1.0), (0.0, f64::NAN)] {
        slots(|program| program.inputs[1].scaling.range = range, &["input `y`: range ("]);
    }
    let column = OwnColumn { column: 0, offset: 1.0, scale: 0.5, range: (-1.0, 3.0) };
    let fits = OwnColumns { repeat: 1, count: 1, columns: vec![column] };
    assert_eq!(fits.problem(3), None);
    let unfit = [
        OwnColumns { count: 2, ..fits.clone() },
        OwnColumns { repeat: 0, ..fits.clone() },
        OwnColumns { columns: vec![OwnColumn { column: 1, ..column }], ..fits.clone() },
        OwnColumns { columns: vec![column, column], ..fits.clone() },
        OwnColumns { columns: vec![OwnColumn { scale: f64::NAN, ..column }], ..fits.clone() },
        OwnColumns { columns: vec![OwnColumn { range: (3.0, 1.0), ..column }], ..fits },
    ];
    for own in unfit {
        assert!(own.problem(3).is_some(), "{own:?}");
    }
    let own = OwnColumns { repeat: 0, count: 1, columns: vec![] };
    slots(|program| program.inputs[0].scaling.own = own, &["input `x`: columns that do not fit it"]);
}

#[test]
fn outputs_are_there_and_fit_their_values() {
    slots(|program| program.outputs.clear(), &["there is no output"]);
    slots(|program| program.outputs[0].value = ValueId(10), &["output `small`: no value %10"]);
    slots(|program| program.outputs[0].value = ValueId(6), &["output `small`: 2 ciphertexts, not 1"]);
    let change = |program: &mut SlotProgram| program.outputs[0].value = ValueId(0);
    slots(change, &["output `small`: a value of period 4 under a layout of period 2"]);
    slots(|program| program.client.results.clear(), &["the client's program has no result"]);
}

#[test]
fn all_problems_are_reported() {
    let change = |program: &mut SlotProgram| {
        program.inputs[0].scaling.scale = 0.0;
        program.inputs[0].scaling.range = (1.0, 0.0);
        program.outputs[0].value = ValueId(10);
    };
    slots(change, &["input `x`: scale 0.0", "input `x`: range (1.0, 0.0)", "output `small`: no value %10"]);
}

#[test]
fn results_are_at_rest_with_two_parts() {
    let output = |value| move |program: &mut CkksProgram| program.outputs[0].value = ValueId(value);
    ckks(output(2), &["output `y` is ct<1, level 4, 3 parts, product>, must be at rest with two parts"]);
    ckks(output(3), &["output `y` is ct<1, level 4, 2 parts, product>, must be at rest with two parts"]);
    ckks(output(12), &["output `y`: no value %12"]);
}
