//! Small programs built by hand, with parameters that are fast and protect nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::ckks::{CkksProgram, Level, Op, Verified};
use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientValue, ResultKind};
use paf_ir::diagonals::{Giant, PackedMap, Plan, diagonal_indices, folds};
use paf_ir::linear::{Conv, Window};
use paf_ir::program::{InputPort, InputScaling, MapId, OutputPort, ValueId};
use paf_ir::tensor::Tensor;
use paf_ir::{Bias, Constant, Layout, LinearMap, Primitive, Shape};
use paf_scheme::{EngineProfile, Parameters, Secret};

/// From a sample to its results.
pub type SampleFunction = Box<dyn Fn(&[f64]) -> Vec<f64> + Send + Sync>;

/// A program and what it must compute for one sample, values before post-processing.
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// Fast ones that protect nothing.
    pub parameters: Parameters,
    /// The program.
    pub program: Verified,
    /// Samples for its one input.
    pub samples: Vec<Vec<f64>>,
    /// What it computes of a sample, all outputs one after another.
    pub expected: SampleFunction,
}

impl Case {
    fn new(
        name: &'static str,
        parameters: Parameters,
        program: CkksProgram,
        samples: Vec<Vec<f64>>,
        expected: impl Fn(&[f64]) -> Vec<f64> + Send + Sync + 'static,
    ) -> Self {
        let program = program.verify().expect("the cases are valid programs");
        Case { name, parameters, program, samples, expected: Box::new(expected) }
    }
}

/// Reproducible numbers in (−1, 1): a linear congruential generator (Knuth's MMIX constants).
pub fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Test parameters: N = 2^11, scale 2^45, and bootstraps that give back some levels, of two iterations if the first
/// reaches some bits.
pub fn refreshing_parameters(slots: usize, usable_levels: u32, refinement_bits: u32) -> Parameters {
    let bootstrap = EngineProfile::openfhe().bootstrap.with_budget([2, 2]).refined(refinement_bits);
    let secret = Secret::UniformTernaryEncapsulated;
    Parameters { secret, bootstrap: Some(bootstrap), ..parameters(slots, bootstrap.depth + usable_levels) }
}

/// Test parameters: N = 2^11, scale 2^45.
pub fn parameters(slots: usize, levels: u32) -> Parameters {
    let (scale_bits, first_modulus_bits, digits) = (45, 55, 2);
    let levels = Level(levels);
    let special_primes = EngineProfile::openfhe().chain.special_primes(levels, scale_bits, first_modulus_bits, digits);
    let mut parameters = Parameters {
        ring_dimension: 1 << 11,
        slots,
        levels,
        scale_bits,
        first_modulus_bits,
        digits,
        special_primes,
        secret: Secret::UniformTernary,
        bootstrap: None,
        log_qp: 0,
        security_bits: 0,
    };
    parameters.log_qp = parameters.log_q() + EngineProfile::openfhe().chain.log_p(special_primes);
    parameters
}

/// An array of weights.
pub fn constant(shape: &[usize], data: Vec<f64>) -> Constant {
    Arc::new(Tensor::new(Shape(shape.to_vec()), data))
}

/// A port `x` of values in [−1, 1].
pub fn input(size: usize, layout: &Layout) -> InputPort {
    let scaling = InputScaling::shared(1.0, (-1.0, 1.0));
    InputPort { name: "x".into(), shape: Shape(vec![size]), layout: layout.clone(), scaling }
}

/// A port `y` without post-processing.
pub fn output(value: ValueId, size: usize, layout: &Layout) -> OutputPort {
    let (shape, layout) = (Shape(vec![size]), layout.clone());
    OutputPort { name: "y".into(), value, shape, layout, scale: 1.0 }
}

/// How a test map is evaluated.
#[derive(Debug, Clone, Copy)]
pub enum Steps {
    /// Giants are multiples of this, babies below it.
    BabyGiant(i64),
    /// As [`Steps::BabyGiant`], with babies and giants around zero.
    Centred(i64),
    /// Every diagonal is a giant step.
    OnlyGiants,
    /// Every diagonal is a baby step.
    OnlyBabies,
}

/// A linear map between two layouts, with a plan.
pub fn packed(name: &str, map: LinearMap, input: &Layout, output: &Layout, steps: Steps) -> PackedMap {
    let modulus = input.period.min(output.period);
    let mut giants: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for diagonal in diagonal_indices(&map.matrix(), input, output, modulus) {
        let (giant, baby) = split(diagonal as i64, modulus as i64, steps);
        giants.entry(giant).or_default().push(baby);
    }
    let giants = giants.into_iter().map(|(rotation, babies)| Giant { rotation, babies }).collect();
    let plan = Plan { modulus, giants, outer_stride: 0, folds: folds(input.period, modulus) };
    PackedMap { name: name.into(), map: Arc::new(map), input: input.clone(), output: output.clone(), plan }
}

fn split(diagonal: i64, modulus: i64, steps: Steps) -> (i64, i64) {
    match steps {
        Steps::OnlyGiants => (diagonal, 0),
        Steps::OnlyBabies => (0, diagonal),
        Steps::BabyGiant(n) => (diagonal / n * n, diagonal % n),
        Steps::Centred(n) => {
            let centred = if diagonal > modulus / 2 { diagonal - modulus } else { diagonal };
            let baby = (centred + n / 2).rem_euclid(n) - n / 2;
            (centred - baby, baby)
        }
    }
}

/// A dense layer of seeded weights with a bias.
pub fn dense(outputs: usize, inputs: usize, seed: u64) -> LinearMap {
    let scale = 1.0 / (inputs as f64).sqrt();
    let weight = constant(&[outputs, inputs], numbers(seed, outputs * inputs).iter().map(|w| w * scale).collect());
    let bias = Bias { values: constant(&[outputs], numbers(seed + 1, outputs)), repeat: 1 };
    LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, Some(bias))
}

/// A 3×3 convolution of one image with a bias.
pub fn conv(channels: usize, size: usize, seed: u64) -> LinearMap {
    let window = Window {
        input: [1, size, size],
        kernel: [3, 3],
        strides: [1, 1],
        pads: [1, 1, 1, 1],
        dilations: [1, 1],
        output: [size, size],
        count_include_pad: false,
    };
    let weight = constant(&[channels, 1, 3, 3], numbers(seed, channels * 9).iter().map(|w| w / 3.0).collect());
    let bias = Bias { values: constant(&[channels], numbers(seed + 1, channels)), repeat: size * size };
    LinearMap::of(Primitive::Conv(Conv { weight, window, groups: 1 }), Some(bias))
}

/// One linear map from a fresh input at `from` to level `to`.
pub fn linear_case(name: &'static str, map: PackedMap, slots: usize, from: u32, to: u32) -> Case {
    let (inputs, outputs) = (map.map.inputs, map.map.outputs);
    let port = input(inputs, &map.input);
    let mut program = CkksProgram::new(slots, vec![map.clone()], vec![port]);
    let x = program.push("x", Op::Input { port: 0, level: Level(from) }).expect("a valid operation");
    let y = program.push(name, Op::Linear { map: MapId(0), input: x, level: Level(to) }).expect("a valid operation");
    program.outputs.push(output(y, outputs, &map.output));
    let linear = Arc::clone(&map.map);
    Case::new(name, parameters(slots, from), program, vec![numbers(91, inputs), numbers(92, inputs)], move |x| {
        linear.apply(x)
    })
}

fn product(program: &mut CkksProgram, name: &str, a: ValueId, b: ValueId) -> ValueId {
    let product = program.push(name, Op::Mul(a, b)).expect("a valid operation");
    let product = program.push(name, Op::Relinearize(product)).expect("a valid operation");
    program.push(name, Op::Rescale(product)).expect("a valid operation")
}

/// `x · (½ + a·x + c·x³)` with the coefficients at the level of x²: depth 3.
pub fn push_relu(program: &mut CkksProgram, name: &str, x: ValueId, a: f64, c: f64) -> ValueId {
    let Level(top) = program.value(x).ty.level;
    let square = product(program, name, x, x);
    let cx =
        program.push(name, Op::MulConstant { constant: c, input: x, level: Level(top) }).expect("a valid operation");
    let cx = program.push(name, Op::Rescale(cx)).expect("a valid operation");
    let cube = program.push(name, Op::Mul(square, cx)).expect("a valid operation");
    let ax = program
        .push(name, Op::MulConstant { constant: a, input: x, level: Level(top - 1) })
        .expect("a valid operation");
    let sum = program.push(name, Op::Add(cube, ax)).expect("a valid operation");
    let sum = program.push(name, Op::AddConstant { constant: 0.5, input: sum }).expect("a valid operation");
    let sum = program.push(name, Op::Relinearize(sum)).expect("a valid operation");
    let step = program.push(name, Op::Rescale(sum)).expect("a valid operation");
    let lowered = program.push(name, Op::Drop { input: x, level: Level(top - 2) }).expect("a valid operation");
    product(program, name, lowered, step)
}

/// What [`push_relu`] computes.
pub fn relu(x: f64, a: f64, c: f64) -> f64 {
    x * (0.5 + a * x + c * x * x * x)
}

/// Every operation that works slot by slot, constants at several levels, negative rotations, an output used twice.
pub fn arithmetic_case() -> Case {
    let layout = Layout::dense(16, 1024);
    let mut program = CkksProgram::new(1024, vec![], vec![input(16, &layout)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(4) }).expect("a valid operation");
    let add = |program: &mut CkksProgram, op| program.push("arithmetic", op).expect("a valid operation");
    let twice = add(&mut program, Op::Add(x, x));
    let left = add(&mut program, Op::Rotate { steps: 3, input: twice });
    let right = add(&mut program, Op::Rotate { steps: -2, input: x });
    let difference = add(&mut program, Op::Sub(left, right));
    let shifted = add(&mut program, Op::AddConstant { constant: -0.25, input: difference });
    let negated = add(&mut program, Op::MulConstant { constant: -1.75, input: shifted, level: Level(2) });
    let negated = add(&mut program, Op::Rescale(negated));
    let dropped = add(&mut program, Op::Drop { input: x, level: Level(1) });
    let y = product(&mut program, "arithmetic", negated, dropped);
    let z = add(&mut program, Op::Sub(y, y));
    let z = add(&mut program, Op::Add(y, z));
    program.outputs.push(output(y, 16, &layout));
    program.outputs.push(OutputPort { name: "z".into(), scale: 2.0, ..output(z, 16, &layout) });
    program.outputs.push(OutputPort { name: "w".into(), scale: -1.0, ..output(y, 16, &layout) });
    let expected = |x: &[f64]| {
        let y = (0..16).map(|t| -1.75 * (2.0 * x[(t + 3) % 16] - x[(t + 14) % 16] - 0.25) * x[t]);
        let y: Vec<f64> = y.collect();
        [y.clone(), y.iter().map(|y| 2.0 * y).collect(), y.iter().map(|y| -y).collect()].concat()
    };
    Case::new("arithmetic", parameters(1024, 4), program, vec![numbers(5, 16), numbers(6, 16)], expected)
}

/// One activation.
pub fn relu_case() -> Case {
    let layout = Layout::dense(32, 1024);
    let mut program = CkksProgram::new(1024, vec![], vec![input(32, &layout)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(3) }).expect("a valid operation");
    let y = push_relu(&mut program, "relu", x, 0.8, -0.3);
    program.outputs.push(output(y, 32, &layout));
    Case::new("relu", parameters(1024, 3), program, vec![numbers(3, 32)], |x| {
        x.iter().map(|&x| relu(x, 0.8, -0.3)).collect()
    })
}

/// Conv, activation, dense, softmax at the client; input and output scales that are not 1.
pub fn network_case() -> Case {
    let (image, planes, classes) = (Layout::dense(64, 1024), Layout::dense(128, 1024), Layout::dense(10, 1024));
    let (conv, dense) = (conv(2, 8, 20), dense(10, 128, 30));
    let maps = vec![
        packed("conv", conv.clone(), &image, &planes, Steps::Centred(8)),
        packed("dense", dense.clone(), &planes, &classes, Steps::BabyGiant(4)),
    ];
    let scaling = InputScaling::shared(0.5, (-1.0, 1.0));
    let port = InputPort { shape: Shape(vec![1, 8, 8]), scaling, ..input(64, &image) };
    let mut program = CkksProgram::new(1024, maps, vec![port]);
    let x = program.push("x", Op::Input { port: 0, level: Level(5) }).expect("a valid operation");
    let h = program.push("conv", Op::Linear { map: MapId(0), input: x, level: Level(4) }).expect("a valid operation");
    let h = push_relu(&mut program, "relu", h, 0.5, -0.1);
    let y = program.push("dense", Op::Linear { map: MapId(1), input: h, level: Level(0) }).expect("a valid operation");
    program.outputs.push(OutputPort { scale: 4.0, ..output(y, 10, &classes) });
    program.client = softmax(10);
    let expected = move |x: &[f64]| {
        let x: Vec<f64> = x.iter().map(|x| x * 0.5).collect();
        let h: Vec<f64> = conv.apply(&x).into_iter().map(|x| relu(x, 0.5, -0.1)).collect();
        dense.apply(&h).into_iter().map(|y| 4.0 * y).collect()
    };
    Case::new("network", parameters(1024, 5), program, vec![numbers(1, 64), numbers(2, 64), numbers(4, 64)], expected)
}

/// Softmax of so many classes, at the client.
fn softmax(classes: usize) -> ClientProgram {
    let shape = Shape(vec![classes]);
    let mut client = ClientProgram { ports: vec![shape.clone()], ..ClientProgram::default() };
    let value = client.push(ClientOp::Softmax(0), vec![ClientValue::Port(0)]).expect("a valid operation");
    client.results = vec![ClientResult { name: "y".into(), value, shape, kind: ResultKind::Real }];
    client
}

/// Two bootstraps of different slot counts, one to all usable levels, with an activation and a layer between them.
pub fn refreshing_case() -> Case {
    refined_case(0)
}

/// [`refreshing_case`] with two iterations of each bootstrap, the first of which reaches some bits.
pub fn refined_case(refinement_bits: u32) -> Case {
    let (slots, few_slots, usable) = (256, 64, 5);
    let (wide, narrow) = (Layout::dense(100, slots), Layout::dense(10, few_slots));
    let scaling = Primitive::Diagonal { values: constant(&[10], numbers(3, 10)), repeat: 1, size: 10 };
    let (dense, scaling) = (dense(10, 100, 30), LinearMap::of(scaling, None));
    let maps = vec![
        packed("dense", dense.clone(), &wide, &narrow, Steps::BabyGiant(4)),
        packed("scale", scaling.clone(), &narrow, &narrow, Steps::OnlyBabies),
    ];
    let mut program = CkksProgram::new(slots, maps, vec![input(100, &wide)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(1) }).expect("a valid operation");
    let x =
        program.push("bootstrap", Op::Bootstrap { input: x, slots, level: Level(usable) }).expect("a valid operation");
    let x = push_relu(&mut program, "relu", x, 0.5, -0.1);
    let x = program.push("dense", Op::Linear { map: MapId(0), input: x, level: Level(1) }).expect("a valid operation");
    let refresh = Op::Bootstrap { input: x, slots: few_slots, level: Level(usable - 2) };
    let x = program.push("second bootstrap", refresh).expect("a valid operation");
    let x = program.push("scale", Op::Linear { map: MapId(1), input: x, level: Level(0) }).expect("a valid operation");
    program.outputs.push(output(x, 10, &narrow));
    let expected = move |x: &[f64]| {
        let h: Vec<f64> = x.iter().map(|&x| relu(x, 0.5, -0.1)).collect();
        scaling.apply(&dense.apply(&h))
    };
    Case::new(
        "refreshing",
        refreshing_parameters(slots, usable, refinement_bits),
        program,
        (11..13).map(|seed| numbers(seed, 100)).collect(),
        expected,
    )
}

/// All cases without bootstraps.
pub fn cases() -> Vec<Case> {
    let layout = |size: usize, slots: usize| Layout::dense(size, slots);
    let dense_map = |name, outputs, inputs, slots, steps| {
        packed(name, dense(outputs, inputs, 40), &layout(inputs, slots), &layout(outputs, slots), steps)
    };
    let scaling = Primitive::Diagonal { values: constant(&[4], vec![0.5, -2.0, 0.25, 1.0]), repeat: 8, size: 32 };
    let scaling =
        packed("scaling", LinearMap::of(scaling, None), &layout(32, 1024), &layout(32, 1024), Steps::OnlyBabies);
    let mut zero = dense(8, 16, 50).scaled(0.0, 1.0);
    zero.scale = 0.0;
    let zero = packed("zero", zero, &layout(16, 1024), &layout(8, 1024), Steps::BabyGiant(2));
    let outer = |mut map: PackedMap, outer_stride: i64| {
        map.plan.outer_stride = outer_stride;
        map
    };
    let dense_on_a_grid = outer(dense_map("dense", 16, 64, 1024, Steps::BabyGiant(2)), 8);
    let giants_on_a_grid = outer(dense_map("dense", 8, 32, 1024, Steps::OnlyGiants), 4);
    let blocks_on_a_grid = outer(dense_map("blocks", 100, 96, 64, Steps::Centred(8)), 16);
    let image = layout(64, 1024);
    let conv_map = packed("conv", conv(2, 8, 60), &image, &layout(128, 1024), Steps::BabyGiant(8));
    vec![
        linear_case("dense with folds", dense_map("dense", 16, 64, 1024, Steps::BabyGiant(4)), 1024, 1, 0),
        linear_case("dense that widens", dense_map("dense", 64, 10, 1024, Steps::BabyGiant(4)), 1024, 2, 1),
        linear_case("dense in all slots", dense_map("dense", 1024, 24, 1024, Steps::BabyGiant(4)), 1024, 1, 0),
        linear_case("only giants", dense_map("dense", 8, 32, 1024, Steps::OnlyGiants), 1024, 2, 0),
        linear_case("only babies", dense_map("dense", 8, 32, 1024, Steps::OnlyBabies), 1024, 3, 0),
        linear_case("no rotations", scaling, 1024, 1, 0),
        linear_case("all weights zero", zero, 1024, 1, 0),
        linear_case("convolution", conv_map, 1024, 2, 1),
        linear_case("two blocks to two", dense_map("blocks", 100, 96, 64, Steps::Centred(8)), 64, 2, 1),
        linear_case("two blocks to one", dense_map("blocks", 10, 96, 64, Steps::OnlyGiants), 64, 1, 0),
        linear_case("giants on a grid", dense_on_a_grid, 1024, 2, 1),
        linear_case("only giants, on a grid", giants_on_a_grid, 1024, 2, 0),
        linear_case("two blocks to two, on a grid", blocks_on_a_grid, 64, 2, 1),
        arithmetic_case(),
        relu_case(),
        network_case(),
    ]
}
