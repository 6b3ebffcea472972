//! From the types of the IR to messages; total and deterministic.

use std::collections::BTreeMap;

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::client::{ClientProgram, ClientResult, ClientStep, ClientValue, ResultKind};
use paf_ir::diagonals::{PackedMap, Plan};
use paf_ir::layout::Gaps;
use paf_ir::linear::{Conv, Primitive, Window, ZERO};
use paf_ir::program::{InputPort, OutputPort, OwnColumn, OwnColumns, Value, ValueId};
use paf_ir::tensor::{Shape, Tensor};
use paf_ir::{Layout, linear};
use paf_scheme::{Parameters, Secret, Work, WorkKind};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::tables::{Constants, Layouts, Table};
use crate::{Circuit, ClientPart, Fingerprint, Model, Prediction, schema};

/// The body of a circuit file.
pub(crate) fn circuit_body(circuit: &Circuit) -> Vec<u8> {
    let client = circuit.client();
    let message = schema::Circuit {
        model: Some(model(&circuit.model)),
        parameters: Some(parameters(&circuit.parameters)),
        program: Some(program(&circuit.program)),
        prediction: Some(prediction(&circuit.prediction)),
        fingerprint: client.fingerprint.0.to_vec(),
        rotations: rotations(&client.rotations),
    };
    message.encode_to_vec()
}

/// The body of a client file.
pub(crate) fn client_body(client: &ClientPart) -> Vec<u8> {
    let message = schema::ClientFile {
        part: Some(client_part(client)),
        model_name: client.model_name.clone(),
        fingerprint: client.fingerprint.0.to_vec(),
        precision_bits: client.precision_bits,
    };
    message.encode_to_vec()
}

/// The fingerprint that belongs to the other fields of a client.
pub(crate) fn fingerprint(client: &ClientPart) -> Fingerprint {
    Fingerprint(Sha256::digest(client_part(client).encode_to_vec()).into())
}

fn client_part(client: &ClientPart) -> schema::ClientPart {
    let mut layouts = Layouts::new();
    schema::ClientPart {
        parameters: Some(parameters(&client.parameters)),
        rotations: rotations(&client.rotations),
        relinearization_level: client.relinearization.map_or(0, |level| level.0),
        inputs: client.inputs.iter().map(|port| input_port(port, &mut layouts)).collect(),
        outputs: client.outputs.iter().map(|port| output_port(port, &mut layouts)).collect(),
        input_levels: levels(client.input_levels.iter().copied()),
        output_levels: levels(client.outputs.iter().map(|port| port.value)),
        bootstrap_slots: sizes(&client.bootstrap_slots),
        client: client_program(&client.program),
        layouts: layouts.messages,
    }
}

/// Messages of rotations with the level that their keys reach up to.
pub(crate) fn rotations(rotations: &BTreeMap<i64, Level>) -> Vec<schema::Rotation> {
    rotations.iter().map(|(&steps, level)| schema::Rotation { steps, level: level.0 }).collect()
}

fn levels(levels: impl Iterator<Item = Level>) -> Vec<u32> {
    levels.map(|level| level.0).collect()
}

fn model(model: &Model) -> schema::Model {
    let paf = |paf: &crate::ReplacedNode| schema::NodePaf {
        node: paf.node.clone(),
        operator: paf.operator.clone(),
        paf: paf.paf.clone(),
        scale: paf.scale,
        max_error: paf.max_error,
    };
    schema::Model {
        name: model.name.clone(),
        source_sha256: model.source_sha256.to_vec(),
        compiler: model.compiler.clone(),
        pafs: model.pafs.iter().map(paf).collect(),
        notes: model.notes.clone(),
        fidelity: model.fidelity.map(|fidelity| schema::Fidelity {
            same: fidelity.same,
            samples: fidelity.samples,
            outside: fidelity.outside,
            expected: fidelity.expected,
        }),
    }
}

fn prediction(prediction: &Prediction) -> schema::Prediction {
    let Prediction { peak_bytes, seconds, precision_bits, work, machine, key_memory } = prediction.clone();
    let work = (!work.is_empty()).then(|| self::work(&work));
    schema::Prediction { peak_bytes, seconds, precision_bits, work, machine, key_memory }
}

fn work(work: &Work) -> schema::Work {
    schema::Work {
        key_switch: work[WorkKind::KeySwitch],
        plaintext_product: work[WorkKind::PlaintextProduct],
        encoding: work[WorkKind::Encoding],
        product: work[WorkKind::Product],
        rescale: work[WorkKind::Rescale],
        addition: work[WorkKind::Addition],
        bootstrap: work[WorkKind::Bootstrap],
        key_loading: work[WorkKind::KeyLoading],
    }
}

fn parameters(parameters: &Parameters) -> schema::Parameters {
    let secret = match parameters.secret {
        Secret::UniformTernary => schema::Secret::UniformTernary,
        Secret::UniformTernaryEncapsulated => schema::Secret::UniformTernaryEncapsulated,
    };
    schema::Parameters {
        ring_dimension: parameters.ring_dimension as u64,
        slots: parameters.slots as u64,
        levels: parameters.levels.0,
        scale_bits: parameters.scale_bits,
        first_modulus_bits: parameters.first_modulus_bits,
        digits: parameters.digits,
        special_primes: parameters.special_primes,
        secret: secret.into(),
        log_qp: parameters.log_qp,
        security_bits: parameters.security_bits,
        bootstrap: parameters.bootstrap.map(|bootstrap| schema::Bootstrap {
            encoding_levels: bootstrap.level_budget[0],
            decoding_levels: bootstrap.level_budget[1],
            depth: bootstrap.depth,
            refinement_bits: bootstrap.refinement_bits,
        }),
    }
}

pub(crate) fn sizes(list: &[usize]) -> Vec<u64> {
    list.iter().map(|&size| size as u64).collect()
}

fn shape(shape: &Shape) -> Vec<u64> {
    sizes(&shape.0)
}

fn input_port(port: &InputPort, layouts: &mut Layouts) -> schema::InputPort {
    schema::InputPort {
        name: port.name.clone(),
        shape: shape(&port.shape),
        layout: layouts.layout(&port.layout),
        scale: port.scaling.scale,
        range_low: port.scaling.range.0,
        range_high: port.scaling.range.1,
        own: own_columns(&port.scaling.own),
    }
}

fn output_port<V>(port: &OutputPort<V>, layouts: &mut Layouts) -> schema::OutputPort {
    schema::OutputPort {
        name: port.name.clone(),
        shape: shape(&port.shape),
        layout: layouts.layout(&port.layout),
        scale: port.scale,
    }
}

fn own_columns(own: &OwnColumns) -> Option<schema::OwnColumns> {
    let column = |own: &OwnColumn| schema::OwnColumn {
        column: own.column as u64,
        offset: own.offset,
        scale: own.scale,
        range_low: own.range.0,
        range_high: own.range.1,
    };
    (*own != OwnColumns::default()).then(|| schema::OwnColumns {
        repeat: own.repeat as u64,
        count: own.count as u64,
        columns: own.columns.iter().map(column).collect(),
    })
}

/// What the client computes, if that is anything.
fn client_program(program: &ClientProgram) -> Option<schema::ClientProgram> {
    let sizes = |shape: &Shape| schema::Shape { sizes: self::shape(shape) };
    let value = |value: ClientValue| match value {
        ClientValue::Port(port) => port as u32,
        ClientValue::Step(step) => (program.ports.len() + step) as u32,
    };
    let step = |step: &ClientStep| {
        let (operation, integers, table) = step.op.parts();
        schema::ClientStep {
            operation: operation.into(),
            integers,
            constant: table.map(|table| constant(table)),
            operands: step.operands.iter().map(|&operand| value(operand)).collect(),
            shape: Some(sizes(&step.shape)),
        }
    };
    let result = |result: &ClientResult| schema::ClientResult {
        name: result.name.clone(),
        value: value(result.value),
        shape: Some(sizes(&result.shape)),
        kind: result_kind(&result.kind).into(),
        texts: if let ResultKind::Text(texts) = &result.kind { texts.to_vec() } else { vec![] },
    };
    (!program.is_empty()).then(|| schema::ClientProgram {
        ports: program.ports.iter().map(sizes).collect(),
        steps: program.steps.iter().map(step).collect(),
        results: program.results.iter().map(result).collect(),
    })
}

fn result_kind(kind: &ResultKind) -> schema::ResultKind {
    match kind {
        ResultKind::Real => schema::ResultKind::Real,
        ResultKind::Integer => schema::ResultKind::Integer,
        ResultKind::Boolean => schema::ResultKind::Boolean,
        ResultKind::Text(_) => schema::ResultKind::Text,
    }
}

/// A layout as digits if it is regular, else as a table.
pub(crate) fn layout(layout: &Layout) -> schema::Layout {
    let gaps = match layout.gaps {
        Gaps::Zero => schema::Gaps::Zero,
        Gaps::Leftover => schema::Gaps::Leftover,
    };
    schema::Layout {
        period: layout.period as u64,
        ciphertexts: layout.ciphertexts as u64,
        gaps: gaps.into(),
        places: Some(places(layout)),
    }
}

fn places(layout: &Layout) -> schema::LayoutPlaces {
    match (layout.table().first(), layout.digits()) {
        (Some(&first), Some(digits)) => schema::LayoutPlaces::Digits(schema::Digits {
            first,
            sizes: digits.iter().map(|digit| digit.size as u64).collect(),
            strides: digits.iter().map(|digit| digit.stride).collect(),
        }),
        _ => schema::LayoutPlaces::Table(schema::Table { slots: layout.table().to_vec() }),
    }
}

/// Weights as f32 if that loses nothing, else as f64.
pub(crate) fn constant(tensor: &Tensor) -> schema::Constant {
    let is_float = |value: &f64| f64::from(*value as f32).to_bits() == value.to_bits();
    let mut message = schema::Constant { shape: shape(&tensor.shape), floats: vec![], doubles: vec![] };
    if tensor.data.iter().all(is_float) {
        message.floats = tensor.data.iter().map(|&value| value as f32).collect();
    } else {
        message.doubles = tensor.data.clone();
    }
    message
}

/// The tables of a program while it is encoded.
struct Tables {
    constants: Constants,
    layouts: Layouts,
    names: Table<String, String>,
}

impl Tables {
    fn name(&mut self, name: &str) -> u32 {
        self.names.id(name.to_owned(), || name.to_owned())
    }
}

fn program(program: &CkksProgram) -> schema::Program {
    let mut tables = Tables { constants: Table::new(), layouts: Table::new(), names: Table::new() };
    schema::Program {
        slots: program.slots as u64,
        maps: program.maps.iter().map(|packed| map(packed, &mut tables)).collect(),
        inputs: program.inputs.iter().map(|port| input_port(port, &mut tables.layouts)).collect(),
        outputs: program.outputs.iter().map(|port| output_port(port, &mut tables.layouts)).collect(),
        output_values: program.outputs.iter().map(|port| port.value.0).collect(),
        values: program.values().map(|(_, value)| operation(value, &mut tables)).collect(),
        client: client_program(&program.client),
        constants: tables.constants.messages,
        layouts: tables.layouts.messages,
        names: tables.names.messages,
    }
}

fn map(packed: &PackedMap, tables: &mut Tables) -> schema::Map {
    let bias = packed.map.bias.as_ref();
    schema::Map {
        name: tables.name(&packed.name),
        factors: packed.map.factors.iter().map(|primitive| factor(primitive, &mut tables.constants)).collect(),
        scale: packed.map.scale,
        bias: bias.map(|bias: &linear::Bias| schema::Bias {
            constant: tables.constants.tensor(&bias.values),
            repeat: bias.repeat as u64,
        }),
        input_layout: tables.layouts.layout(&packed.input),
        output_layout: tables.layouts.layout(&packed.output),
        plan: Some(plan(&packed.plan)),
    }
}

fn factor(primitive: &Primitive, constants: &mut Constants) -> schema::Factor {
    use schema::FactorKind;
    let kind = match primitive {
        Primitive::Conv(conv) => FactorKind::Conv(convolution(conv, constants)),
        Primitive::Dense { weight, left, right } => {
            let weight = constants.tensor(weight);
            FactorKind::Dense(schema::Dense { weight, left: *left as u64, right: *right as u64 })
        }
        Primitive::AveragePool(pool) => FactorKind::AveragePool(window(pool)),
        Primitive::Select { input, indices } => FactorKind::Select(schema::Select {
            input: shape(input),
            indices: indices.iter().map(|list| select_indices(list)).collect(),
        }),
        Primitive::Permute { input, permutation } => {
            FactorKind::Permute(schema::Permute { input: shape(input), permutation: sizes(permutation) })
        }
        Primitive::Diagonal { values, repeat, size } => {
            let values = constants.tensor(values);
            FactorKind::Diagonal(schema::Diagonal { values, repeat: *repeat as u64, size: *size as u64 })
        }
    };
    schema::Factor { kind: Some(kind) }
}

fn convolution(conv: &Conv, constants: &mut Constants) -> schema::Conv {
    schema::Conv {
        weight: constants.tensor(&conv.weight),
        window: Some(window(&conv.window)),
        groups: conv.groups as u64,
    }
}

/// [`ZERO`] is the largest index, so that the sum wraps it, and only it, to 0.
fn select_indices(list: &[u32]) -> schema::Indices {
    const { assert!(ZERO == u32::MAX) }
    schema::Indices { plus_one: list.iter().map(|index| index.wrapping_add(1)).collect() }
}

fn window(window: &Window) -> schema::Window {
    schema::Window {
        input: sizes(&window.input),
        kernel: sizes(&window.kernel),
        strides: sizes(&window.strides),
        pads: sizes(&window.pads),
        dilations: sizes(&window.dilations),
        output: sizes(&window.output),
        count_include_pad: window.count_include_pad,
    }
}

fn plan(plan: &Plan) -> schema::Plan {
    let giants = plan.giants.iter();
    schema::Plan {
        modulus: plan.modulus as u64,
        giants: giants.map(|giant| schema::Giant { rotation: giant.rotation, babies: giant.babies.clone() }).collect(),
        folds: plan.folds.clone(),
        outer_stride: plan.outer_stride,
    }
}

fn operation(value: &Value<Op>, tables: &mut Tables) -> schema::Value {
    use schema::ValueOperation as Message;
    let pair = |left: ValueId, right: ValueId| schema::Pair { left: left.0, right: right.0 };
    let operation = match value.op {
        Op::Input { port, level } => Message::Input(schema::Input { port, level: level.0 }),
        Op::Linear { map, input, level } => {
            Message::Linear(schema::Linear { map: map.0, input: input.0, level: level.0 })
        }
        Op::Rotate { steps, input } => Message::Rotate(schema::Rotate { steps, input: input.0 }),
        Op::Add(left, right) => Message::Add(pair(left, right)),
        Op::Sub(left, right) => Message::Sub(pair(left, right)),
        Op::Mul(left, right) => Message::Mul(pair(left, right)),
        Op::MulConstant { constant, input, level } => {
            Message::MulConstant(schema::MulConstant { constant, input: input.0, level: level.0 })
        }
        Op::AddConstant { constant, input } => Message::AddConstant(schema::AddConstant { constant, input: input.0 }),
        Op::Relinearize(input) => Message::Relinearize(schema::Single { input: input.0 }),
        Op::Rescale(input) => Message::Rescale(schema::Single { input: input.0 }),
        Op::Drop { input, level } => Message::Drop(schema::ToLevel { input: input.0, level: level.0 }),
        Op::Bootstrap { input, slots, level } => {
            Message::Bootstrap(schema::Refresh { input: input.0, level: level.0, slots: slots as u64 })
        }
    };
    schema::Value { name: tables.name(&value.name), operation: Some(operation) }
}
