//! Circuits made by hand, small and with every kind of operation and factor.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_circuit::{Circuit, Fidelity, Model, Prediction, ReplacedNode, encode_circuit};
use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::client::{Binary, ClientOp, ClientProgram, ClientResult, ClientValue, ResultKind};
use paf_ir::diagonals::{Giant, PackedMap, Plan, diagonal_indices, folds};
use paf_ir::layout::Gaps;
use paf_ir::linear::{Conv, Primitive, Window, ZERO};
use paf_ir::program::{InputPort, InputScaling, MapId, OutputPort, ValueId};
use paf_ir::tensor::Tensor;
use paf_ir::{Bias, Layout, LinearMap, Shape};
use paf_scheme::{EngineProfile, Parameters, Secret, Work, WorkKind};

/// Parameters without security for a ring of dimension `2 * slots`.
pub fn insecure(slots: usize, levels: u32) -> Parameters {
    let (scale_bits, first_modulus_bits) = (40, 60);
    let special_primes =
        EngineProfile::openfhe().chain.special_primes(Level(levels), scale_bits, first_modulus_bits, 1);
    Parameters {
        ring_dimension: 2 * slots,
        slots,
        levels: Level(levels),
        scale_bits,
        first_modulus_bits,
        digits: 1,
        special_primes,
        secret: Secret::UniformTernary,
        bootstrap: None,
        log_qp: first_modulus_bits + levels * scale_bits + special_primes * 60,
        security_bits: 0,
    }
}

/// Parameters without security whose bootstraps give back some levels.
pub fn insecure_refreshing(slots: usize, usable_levels: u32) -> Parameters {
    let bootstrap = EngineProfile::openfhe().bootstrap.with_budget([2, 1]);
    Parameters {
        secret: Secret::UniformTernaryEncapsulated,
        bootstrap: Some(bootstrap),
        ..insecure(slots, bootstrap.depth + usable_levels)
    }
}

/// A linear map with a plan of giant steps of four diagonals.
pub fn packed(name: &str, map: LinearMap, input: Layout, output: Layout) -> PackedMap {
    let modulus = input.period;
    let mut giants: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for diagonal in diagonal_indices(&map.matrix(), &input, &output, modulus) {
        let diagonal = diagonal as i64;
        giants.entry(diagonal / 4 * 4).or_default().push(diagonal % 4);
    }
    let giants = giants.into_iter().map(|(rotation, babies)| Giant { rotation, babies }).collect();
    let plan = Plan { modulus, giants, outer_stride: 0, folds: folds(input.period, modulus) };
    PackedMap { name: name.into(), map: Arc::new(map), input, output, plan }
}

/// A tensor from a formula.
pub fn tensor(shape: &[usize], value: impl Fn(usize) -> f64) -> Arc<Tensor> {
    let shape = Shape(shape.to_vec());
    let data = (0..shape.size()).map(value).collect();
    Arc::new(Tensor::new(shape, data))
}

/// An input port without scaling.
pub fn input_port(name: &str, shape: &[usize], layout: Layout) -> InputPort {
    InputPort {
        name: name.into(),
        shape: Shape(shape.to_vec()),
        layout,
        scaling: InputScaling::shared(1.0, (-1.0, 1.0)),
    }
}

/// An output port without post-processing.
pub fn output_port(name: &str, value: ValueId, shape: &[usize], layout: Layout) -> OutputPort {
    OutputPort { name: name.into(), value, shape: Shape(shape.to_vec()), layout, scale: 1.0 }
}

/// A circuit around a program.
pub fn circuit(name: &str, program: CkksProgram, parameters: Parameters) -> Circuit {
    let model = Model {
        name: name.into(),
        source_sha256: [7; 32],
        compiler: "0.1.0".into(),
        pafs: vec![ReplacedNode {
            node: "/relu".into(),
            operator: "Relu".into(),
            paf: "alpha7".into(),
            scale: 4.5,
            max_error: 0.03125,
        }],
        notes: vec!["a note".into()],
        fidelity: Some(Fidelity { same: 0.99, samples: 200, outside: 1, expected: 0.98 }),
    };
    let work = Work::of(WorkKind::KeySwitch, 0.75) + Work::of(WorkKind::Bootstrap, 2.25);
    let machine = "a fast one".to_owned();
    let prediction =
        Prediction { peak_bytes: 1 << 30, seconds: 1.5, precision_bits: 14.25, work, machine, key_memory: 1 << 28 };
    Circuit { model, parameters, program: program.verify().expect("a valid program"), prediction }
}

/// A dense layer of 3 to 2 elements and a square: a file of some hundred bytes.
pub fn tiny() -> Circuit {
    let (input, output) = (Layout::dense(3, 8), Layout::dense(2, 8));
    let weight = tensor(&[2, 3], |i| 0.5 + i as f64);
    let bias = Bias { values: tensor(&[2], |i| 0.25 - i as f64), repeat: 1 };
    let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, Some(bias));
    let maps = vec![packed("/fc", map, input.clone(), output.clone())];
    let mut program = CkksProgram::new(8, maps, vec![input_port("x", &[3], input)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(2) }).unwrap();
    let y = program.push("/fc", Op::Linear { map: MapId(0), input: x, level: Level(1) }).unwrap();
    let square = square(&mut program, y);
    program.outputs.push(output_port("y", square, &[2], output));
    circuit("tiny", program, insecure(8, 2))
}

fn square(program: &mut CkksProgram, x: ValueId) -> ValueId {
    let product = program.push("/square", Op::Mul(x, x)).unwrap();
    let product = program.push("/square", Op::Relinearize(product)).unwrap();
    program.push("/square", Op::Rescale(product)).unwrap()
}

/// Weights that are no f32 and look like nothing else.
pub fn odd_weight(seed: u64, index: usize) -> f64 {
    let mixed = (seed << 32 | index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 0.73
}

fn window(input: [usize; 3], kernel: usize, stride: usize, pad: usize, output: usize) -> Window {
    Window {
        input,
        kernel: [kernel; 2],
        strides: [stride; 2],
        pads: [pad; 4],
        dilations: [1; 2],
        output: [output; 2],
        count_include_pad: false,
    }
}

/// Two inputs, several ciphertexts, every operation, every factor, digits and tables as layouts.
pub fn rich() -> Circuit {
    let image = Layout::dense(2 * 8 * 8, 64);
    let shuffled = Layout::new((0..128u32).map(|e| e * 37 % 128).collect(), 64, 2, Gaps::Leftover).unwrap();
    let small = Layout::new((0..8u32).map(|e| 2 * e).collect(), 16, 1, Gaps::Leftover).unwrap();
    let inputs = vec![
        InputPort {
            scaling: InputScaling::shared(0.125, (0.0, 255.0)),
            ..input_port("image", &[2, 8, 8], image.clone())
        },
        input_port("mask", &[2, 64], image.clone()),
    ];
    let mut program = CkksProgram::new(64, rich_maps(&image, &shuffled, &small), inputs);
    let small_value = rich_values(&mut program);
    let port = output_port("probabilities", small_value, &[2, 4], small);
    program.outputs.push(OutputPort { scale: 2.5, ..port });
    program.client = rich_client();
    circuit("rich", program, insecure_refreshing(64, 4))
}

/// Probabilities, the best class by its name, and whether the first class is likely.
fn rich_client() -> ClientProgram {
    let mut client = ClientProgram { ports: vec![Shape(vec![1, 2, 4])], ..ClientProgram::default() };
    let probabilities = client.push(ClientOp::Softmax(2), vec![ClientValue::Port(0)]).unwrap();
    let class = client.push(ClientOp::ArgMax { axis: 2, last: false }, vec![probabilities]).unwrap();
    let half = client.push(ClientOp::Constant(tensor(&[1], |_| 0.5)), vec![]).unwrap();
    let likely = client.push(ClientOp::Binary(Binary::Greater), vec![probabilities, half]).unwrap();
    let names = Arc::new(["cat", "dog", "\"mouse\"", "\u{fc}"].map(str::to_owned).to_vec());
    let result = |name: &str, value, shape: &[usize], kind| ClientResult {
        name: name.into(),
        value,
        shape: Shape(shape.to_vec()),
        kind,
    };
    client.results = vec![
        result("probabilities", probabilities, &[2, 4], ResultKind::Real),
        result("class", class, &[2], ResultKind::Text(names)),
        result("place", class, &[2, 1], ResultKind::Integer),
        result("likely", likely, &[2, 4], ResultKind::Boolean),
    ];
    client
}

fn rich_maps(image: &Layout, shuffled: &Layout, small: &Layout) -> Vec<PackedMap> {
    let kernel = |seed| tensor(&[2, 1, 3, 3], move |i| odd_weight(seed, i));
    let conv = |seed| {
        let bias = Bias { values: tensor(&[2], |i| odd_weight(77, i)), repeat: 64 };
        let conv = Conv { weight: kernel(seed), window: window([2, 8, 8], 3, 1, 1, 8), groups: 2 };
        LinearMap::of(Primitive::Conv(conv), Some(bias))
    };
    let pool = LinearMap::of(Primitive::AveragePool(window([2, 8, 8], 4, 4, 0, 2)), None);
    let select = LinearMap::of(
        Primitive::Select { input: Shape(vec![2, 2, 2]), indices: vec![vec![1, ZERO], vec![0, 1], vec![1, 0]] },
        None,
    );
    let permute = Primitive::Permute { input: Shape(vec![2, 2, 2]), permutation: vec![0, 2, 1] };
    let diagonal = Primitive::Diagonal { values: tensor(&[4], |i| i as f64 - 1.5), repeat: 2, size: 8 };
    let weight = tensor(&[2, 4], |i| odd_weight(5, i));
    let dense = Primitive::Dense { weight, left: 1, right: 4 };
    let spread = Primitive::Dense { weight: tensor(&[4, 2], |i| odd_weight(6, i)), left: 1, right: 4 };
    let tail = LinearMap::of(permute, None)
        .then(&LinearMap::of(diagonal, None))
        .then(&LinearMap::of(spread, None))
        .then(&LinearMap::of(dense, None))
        .scaled(0.75, 1.0);
    vec![
        packed("/conv1", conv(1), image.clone(), shuffled.clone()),
        packed("/conv2", conv(1), shuffled.clone(), image.clone()),
        packed("/conv3", conv(3), image.clone(), image.clone()),
        packed("/pool", pool, image.clone(), small.clone()),
        packed("/select", select.then(&tail), small.clone(), small.clone()),
    ]
}

fn rich_values(program: &mut CkksProgram) -> ValueId {
    let mut push = |name: &str, op: Op| program.push(name, op).unwrap();
    let linear = |map, input, level| Op::Linear { map: MapId(map), input, level: Level(level) };
    let image = push("image", Op::Input { port: 0, level: Level(6) });
    let mask = push("mask", Op::Input { port: 1, level: Level(5) });
    let first = push("/conv1", linear(0, image, 5));
    let second = push("/conv2", linear(1, first, 4));
    let mask = push("/mask", linear(2, mask, 4));
    let sum = push("/sum", Op::Add(second, mask));
    let product = push("/paf", Op::Mul(sum, mask));
    let relinearized = push("/paf", Op::Relinearize(product));
    let scaled = push("/paf", Op::MulConstant { constant: 0.123456789, input: sum, level: Level(4) });
    let difference = push("/paf", Op::Sub(relinearized, scaled));
    let shifted = push("/paf", Op::AddConstant { constant: -0.987654321, input: difference });
    let rest = push("/paf", Op::Rescale(shifted));
    let low = push("/paf", Op::Drop { input: rest, level: Level(1) });
    let refreshed = push("/refresh", Op::Bootstrap { input: low, slots: 32, level: Level(4) });
    let rotated = push("/shift", Op::Rotate { steps: -5, input: refreshed });
    let pooled = push("/pool", linear(3, rotated, 2));
    push("/select", linear(4, pooled, 1))
}

/// The file of [`tiny`], for the unit tests of the crate whose type a circuit is.
pub fn tiny_file() -> Vec<u8> {
    encode_circuit(&tiny())
}

/// The file of [`rich`].
pub fn rich_file() -> Vec<u8> {
    encode_circuit(&rich())
}

/// Every weight and constant of a circuit.
pub fn weights(circuit: &Circuit) -> Vec<f64> {
    let maps = circuit.program.maps.iter();
    let factors = maps.clone().flat_map(|map| map.map.factors.iter().filter_map(Primitive::constant));
    let biases = maps.filter_map(|map| map.map.bias.as_ref().map(|bias| &bias.values));
    let constants = circuit.program.values().filter_map(|(_, value)| match value.op {
        Op::MulConstant { constant, .. } | Op::AddConstant { constant, .. } => Some(constant),
        _ => None,
    });
    factors.chain(biases).flat_map(|tensor| tensor.data.iter().copied()).chain(constants).collect()
}

/// Hexadecimal digits of bytes.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
