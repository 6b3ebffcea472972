//! Small files that ask for much memory or time, each refused or read within the limits of every reader.

use std::sync::{Mutex, MutexGuard, PoisonError};

use paf_circuit::container::{Binding, FileKind, seal};
use paf_circuit::{Circuit, encode_circuit, encode_client};
use paf_fuzz::{Verdict, all, check};
use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::diagonals::{PackedMap, Plan, folds};
use paf_ir::linear::{Primitive, Window};
use paf_ir::program::MapId;
use paf_ir::{Layout, LinearMap};
use prost::Message as _;
use testkit::circuits::{circuit, input_port, insecure, output_port};
use testkit::onnx::{floats, input, integers, list, model, model_of, node};
use tract_onnx::pb::{ModelProto, NodeProto};

/// Memory is counted for the whole process, what a test builds included.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The verdict of a reader that kept the limits.
#[track_caller]
fn verdict(target: &str, file: &[u8]) -> Verdict {
    let target = all().iter().find(|known| known.name == target).expect("a target");
    let name = target.name;
    check(target, file).unwrap_or_else(|problem| panic!("{name}: {problem}: {}", file.escape_ascii())).0
}

#[track_caller]
fn refused(model: &ModelProto) {
    assert_eq!(verdict("onnx", &model.encode_to_vec()), Verdict::Refused);
}

#[test]
fn models_whose_tensors_fit_nowhere() {
    let _turn = alone();
    refused(&model(13, &[1, 1 << 27], vec![node("Relu", "x", "y", vec![])], vec![]));
    refused(&model(13, &[1, 1, 8192, 8192], vec![node("GlobalAveragePool", "x", "y", vec![])], vec![]));
    let strides = vec![integers("strides", &[1400, 1400])];
    let weight = floats("w", &[1, 1, 1, 1], &[1.0]);
    refused(&model(13, &[1, 1, 8, 8], vec![node("ConvTranspose", "x w", "y", strides)], vec![weight.clone()]));
    let pads = vec![integers("pads", &[4000; 4])];
    refused(&model(13, &[1, 1, 8, 8], vec![node("Conv", "x w", "y", pads)], vec![weight]));
    let padded = vec![list("pads", &[0, 0, 0, 1 << 26])];
    refused(&model(13, &[1, 4], vec![node("Pad", "x pads", "y", vec![])], padded));
    let shape = vec![list("shape", &[1 << 25, 4])];
    refused(&model(13, &[1, 4], vec![node("Expand", "x shape", "y", vec![])], shape));
    let sizes = vec![list("sizes", &[1, 1, 8000, 8000])];
    refused(&model(13, &[1, 1, 8, 8], vec![node("Resize", "x   sizes", "y", vec![])], sizes));
    let two = vec![input("a", &[2, 2]), input("b", &[1 << 24, 2])];
    refused(&model_of(
        13,
        two,
        vec![node("Concat", "a b", "y", vec![testkit::onnx::integer("axis", 0)])],
        vec![],
        &["y"],
    ));
}

#[test]
fn models_whose_constants_grow() {
    let _turn = alone();
    let doubling = |count: usize| -> Vec<NodeProto> {
        let axis = || vec![testkit::onnx::integer("axis", 0)];
        let doubled = |index: usize| node("Concat", &format!("t{index} t{index}"), &format!("t{}", index + 1), axis());
        let last = [node("ReduceSum", &format!("t{count}"), "s", vec![]), node("Add", "x s", "y", vec![])];
        (0..count).map(doubled).chain(last).collect()
    };
    refused(&model(13, &[1, 4], doubling(26), vec![floats("t0", &[4], &[1.0; 4])]));
    let mut nodes: Vec<NodeProto> = (0..16).map(|i| node("Expand", "one shape", &format!("c{i}"), vec![])).collect();
    nodes.extend((0..16).map(|i| node("ReduceSum", &format!("c{i}"), &format!("s{i}"), vec![])));
    nodes.push(node("Add", "x s0", "y0", vec![]));
    nodes.extend((1..16).map(|i| node("Add", &format!("y{} s{i}", i - 1), &format!("y{i}"), vec![])));
    for elements in [1 << 21, 1 << 27] {
        let weights = vec![floats("one", &[1], &[1.0]), list("shape", &[elements])];
        refused(&model_of(13, vec![input("x", &[1, 4])], nodes.clone(), weights, &["y15"]));
    }
}

#[test]
fn models_with_names_that_no_exporter_gives() {
    let _turn = alone();
    let mut long = model(13, &[1, 4], vec![node("Relu", "x", "y", vec![])], vec![]);
    long.graph.as_mut().expect("a graph").node[0].name = "n".repeat(10_000_000);
    refused(&long);
}

/// A pool of a circuit's own words, with a plan that takes no diagonal.
fn pooling(side: usize, kernel: [usize; 2], slots: usize) -> Circuit {
    let output = [side + 1 - kernel[0], side + 1 - kernel[1]];
    let window = Window {
        input: [1, side, side],
        kernel,
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        output,
        count_include_pad: false,
    };
    let (layout, result) = (Layout::dense(side * side, slots), Layout::dense(output[0] * output[1], slots));
    let (input_period, modulus) = (layout.period, layout.period);
    let plan = Plan { modulus, giants: vec![], outer_stride: 0, folds: folds(input_period, modulus) };
    let map = LinearMap::of(Primitive::AveragePool(window), None);
    let packed =
        PackedMap { name: "pool".into(), map: map.into(), input: layout.clone(), output: result.clone(), plan };
    let mut program = CkksProgram::new(slots, vec![packed], vec![input_port("x", &[side, side], layout)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(1) }).expect("an input");
    let y = program.push("pool", Op::Linear { map: MapId(0), input: x, level: Level(0) }).expect("a map");
    program.outputs.push(output_port("y", y, &output, result));
    circuit("pool", program, insecure(slots, 1))
}

#[test]
fn circuits_whose_maps_have_more_entries_than_their_files_say() {
    let _turn = alone();
    for (side, kernel, slots, expected) in [
        (512, [129, 257], 1 << 15, Verdict::Refused),
        (1024, [500, 500], 1 << 15, Verdict::Refused),
        (181, [90, 90], 1 << 15, Verdict::Accepted),
        (64, [3, 3], 1 << 12, Verdict::Accepted),
    ] {
        let file = encode_circuit(&pooling(side, kernel, slots));
        assert_eq!(verdict("circuit", &file), expected, "{side}, {kernel:?}");
    }
}

#[test]
fn clients_whose_layouts_are_larger_than_any_tensor() {
    let _turn = alone();
    let elements = 1 << 22;
    let layout = |gaps| {
        let whole = Layout::dense(elements, 1 << 15);
        Layout::new(whole.table().to_vec(), whole.period, whole.ciphertexts, gaps).expect("a layout")
    };
    let mut client = testkit::circuits::tiny().client();
    client.parameters = insecure(1 << 15, 2);
    let inputs = [paf_ir::layout::Gaps::Zero, paf_ir::layout::Gaps::Leftover]
        .map(|gaps| input_port("x", &[elements], layout(gaps)));
    client.inputs = inputs.to_vec();
    client.input_levels = vec![Level(2); 2];
    verdict("client", &encode_client(&client));
    client.inputs = inputs.iter().cycle().take(8).cloned().collect();
    client.input_levels = vec![Level(2); 8];
    verdict("client", &encode_client(&client));
}

#[test]
fn arrays_whose_headers_promise_more_than_there_is() {
    let _turn = alone();
    assert_eq!(verdict("npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"), Verdict::Refused);
    let promise = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (34359738368,), }   \n";
    assert_eq!(verdict("npy", promise), Verdict::Refused);
}

/// A body of no sense under a right frame.
#[test]
fn bodies_of_any_bytes() {
    let _turn = alone();
    for kind in [FileKind::Circuit, FileKind::Client] {
        let target = if kind == FileKind::Circuit { "circuit" } else { "client" };
        for body in [vec![], vec![0; 1000], vec![0xff; 1000], vec![0x0a; 100_000]] {
            assert_eq!(verdict(target, &seal(kind, Binding::default(), &body)), Verdict::Refused);
        }
    }
}
