//! Messages that are whole and wrong: each must be refused for its own reason.

use prost::Message;

use testkit::circuits::{rich_file, tiny_file};

use super::{circuit, client};
use crate::schema::{self, FactorKind, LayoutPlaces, ValueOperation};
use crate::{Circuit, CircuitError, decode_circuit, encode};

fn rich() -> Circuit {
    decode_circuit(&rich_file()).unwrap()
}

fn tiny() -> Circuit {
    decode_circuit(&tiny_file()).unwrap()
}

/// Changes the message of [`rich`] and expects the decoder to say `reason`.
#[track_caller]
fn refused(reason: &str, change: impl FnOnce(&mut schema::Circuit)) {
    let mut message = schema::Circuit::decode(&encode::circuit_body(&rich())[..]).unwrap();
    change(&mut message);
    check(reason, circuit(&message.encode_to_vec()).err());
}

/// Changes the client message of [`rich`] and expects the decoder to say `reason`.
#[track_caller]
fn client_refused(reason: &str, change: impl FnOnce(&mut schema::ClientPart)) {
    let mut message = schema::ClientFile::decode(&encode::client_body(&rich().client())[..]).unwrap();
    change(message.part.as_mut().unwrap());
    check(reason, client(&message.encode_to_vec()).err());
}

#[track_caller]
fn check(reason: &str, error: Option<CircuitError>) {
    match error {
        Some(CircuitError::Malformed(message)) if message.contains(reason) => {}
        other => panic!("expected `{reason}`, got {other:?}"),
    }
}

fn parameters(message: &mut schema::Circuit) -> &mut schema::Parameters {
    message.parameters.as_mut().unwrap()
}

fn at_client(message: &mut schema::Circuit) -> &mut schema::ClientProgram {
    program(message).client.as_mut().unwrap()
}

fn program(message: &mut schema::Circuit) -> &mut schema::Program {
    message.program.as_mut().unwrap()
}

fn factor(message: &mut schema::Circuit, map: usize, factor: usize) -> &mut FactorKind {
    program(message).maps[map].factors[factor].kind.as_mut().unwrap()
}

fn window(message: &mut schema::Circuit) -> &mut schema::Window {
    match factor(message, 3, 0) {
        FactorKind::AveragePool(window) => window,
        other => panic!("map 3 is a pool, not {other:?}"),
    }
}

#[test]
fn parameters_must_be_consistent() {
    refused("no power of two", |m| parameters(m).ring_dimension = 100);
    refused("the ring dimension is 262144", |m| parameters(m).ring_dimension = 1 << 18);
    refused("the number of slots is 128", |m| parameters(m).slots = 128);
    refused("a program for 64 slots", |m| parameters(m).slots = 32);
    refused("1001 levels", |m| parameters(m).levels = 1001);
    refused("primes of 60 and 61 bits", |m| parameters(m).scale_bits = 61);
    refused("0 digits", |m| parameters(m).digits = 0);
    refused("19 digits for 18 primes", |m| parameters(m).digits = 19);
    refused("1 special primes where 13 are needed", |m| parameters(m).special_primes = 1);
    refused("log2(QP) is 1520, recorded is 1519", |m| parameters(m).log_qp = 1519);
    refused("unknown distribution 3", |m| parameters(m).secret = 3);
    refused("unknown security level of 80 bits", |m| parameters(m).security_bits = 80);
    refused("parameters missing", |m| m.parameters = None);
}

#[test]
fn bootstraps_must_fit_their_parameters() {
    let bootstrap = |m: &mut schema::Circuit, change: fn(&mut schema::Bootstrap)| {
        change(parameters(m).bootstrap.as_mut().unwrap());
    };
    refused("a bootstrap with 0 and 1 levels", |m| bootstrap(m, |b| b.encoding_levels = 0));
    refused("a bootstrap with 2 and 17 levels", |m| bootstrap(m, |b| b.decoding_levels = 17));
    refused("a bootstrap of depth 12 with the budgets [2, 1]", |m| bootstrap(m, |b| b.depth = 12));
    refused("a bootstrap of depth 13 with the budgets [2, 1]", |m| bootstrap(m, |b| b.refinement_bits = 12));
    refused("a bootstrap that refines 31 bits", |m| bootstrap(m, |b| (b.refinement_bits, b.depth) = (31, 14)));
    refused("17 levels for a bootstrap of depth 17", |m| {
        bootstrap(m, |b| (b.encoding_levels, b.decoding_levels, b.depth) = (4, 3, 17));
    });
    refused("an encapsulated secret without bootstraps", |m| parameters(m).bootstrap = None);
    refused("bootstraps without an encapsulated secret", |m| parameters(m).secret = 1);
    refused("a bootstrap without its parameters", |m| {
        parameters(m).bootstrap = None;
        parameters(m).secret = 1;
    });
    let refresh = |level, slots| {
        move |m: &mut schema::Circuit| {
            let refresh = schema::Refresh { input: 12, level, slots };
            program(m).values[13].operation = Some(ValueOperation::Bootstrap(refresh));
        }
    };
    refused("a bootstrap to level 5 of 4", refresh(5, 32));
    refused("of 128 slots in a program of 64", refresh(4, 128));
    refused("of 24 slots in a program of 64", refresh(4, 24));
}

#[test]
fn security_must_be_what_is_recorded() {
    refused("log2(QP) is 1520, 128-bit security allows 0", |m| parameters(m).security_bits = 128);
    let claim = |ring_dimension| {
        move |m: &mut schema::Circuit| {
            parameters(m).ring_dimension = ring_dimension;
            parameters(m).security_bits = 128;
        }
    };
    refused("log2(QP) is 1520, 128-bit security allows 430", claim(1 << 14));
    refused("the fingerprint is not that of the content", claim(1 << 16));
}

#[test]
fn tables_and_enums_must_be_known() {
    refused("no layout 9", |m| program(m).inputs[0].layout = 9);
    refused("no constant 99", |m| match factor(m, 0, 0) {
        FactorKind::Conv(conv) => conv.weight = 99,
        other => panic!("{other:?}"),
    });
    refused("no name 99", |m| program(m).values[0].name = 99);
    refused("unknown kind 7 of gaps", |m| program(m).layouts[0].gaps = 7);
    refused("unknown kind 0 of gaps", |m| program(m).layouts[0].gaps = 0);
    refused("a layout's places missing", |m| program(m).layouts[0].places = None);
    refused("kind of factor missing", |m| program(m).maps[0].factors[0].kind = None);
    refused("operation missing", |m| program(m).values[3].operation = None);
    refused("a plan missing", |m| program(m).maps[0].plan = None);
    refused("not in the canonical encoding", |m| program(m).names.push("unused".into()));
}

#[test]
fn layouts_must_fit() {
    refused("a layout's slots is 18446744073709551615", |m| program(m).layouts[0].ciphertexts = 1 << 60);
    refused("a layout does not fit", |m| program(m).layouts[0].period = 48);
    refused("a layout does not fit", |m| {
        program(m).layouts[0].places = Some(LayoutPlaces::Table(schema::Table { slots: vec![1, 1] }));
    });
    let digits = |sizes: Vec<u64>, strides: Vec<i64>| {
        move |m: &mut schema::Circuit| {
            let digits = schema::Digits { first: 0, sizes, strides };
            program(m).layouts[0].places = Some(LayoutPlaces::Digits(digits));
        }
    };
    refused("not regular", digits(vec![2, 64], vec![1]));
    refused("not regular", digits(vec![2, 1], vec![1, 2]));
    refused("not regular", digits(vec![2, 2], vec![1, i64::MIN]));
    refused("a layout's size", digits(vec![1 << 40, 1 << 40], vec![1, 1]));
    refused("a layout does not fit", digits(vec![2, 2], vec![1, -5]));
    refused("a layout's slots", |m| {
        let most = schema::Layout { period: 1 << 20, ciphertexts: 16, ..program(m).layouts[0].clone() };
        program(m).layouts = vec![most; 9];
    });
}

#[test]
fn linear_maps_must_fit() {
    refused("a size of a window is above 131072", |m| window(m).pads[2] = 1 << 40);
    refused("3 sizes, not 4", |m| window(m).pads.truncate(3));
    refused("a kernel is larger", |m| window(m).kernel[1] = 9);
    refused("a size is zero", |m| window(m).strides[0] = 0);
    refused("the size of a factor", |m| window(m).output = vec![1 << 17, 1 << 17]);
    refused("outputs declared", |m| window(m).output = vec![3, 3]);
    refused("the repeat count of a bias is 0", |m| program(m).maps[0].bias.as_mut().unwrap().repeat = 0);
    refused("is no permutation", |m| match factor(m, 4, 1) {
        FactorKind::Permute(permute) => permute.permutation = vec![0, 1, 1],
        other => panic!("{other:?}"),
    });
    refused("select index 2", |m| match factor(m, 4, 0) {
        FactorKind::Select(select) => select.indices[0].plus_one[0] = 3,
        other => panic!("{other:?}"),
    });
    refused("the scale is not finite", |m| program(m).maps[0].scale = f64::INFINITY);
}

#[test]
fn weights_must_fit_their_shape_and_be_finite() {
    refused("a weight is not finite", |m| program(m).constants[0].doubles[0] = f64::NAN);
    refused("with 18 values", |m| program(m).constants[0].shape = vec![2, 1, 3, 2]);
    refused("both kinds of numbers", |m| program(m).constants[0].floats.push(1.0));
    refused("a shape of 9 axes", |m| program(m).constants[0].shape = vec![1; 9]);
    refused("a shape's size", |m| program(m).constants[0].shape = vec![1 << 63, 2]);
    refused("not in the canonical encoding", |m| {
        let floats = program(m).constants.iter_mut().find(|constant| !constant.floats.is_empty()).unwrap();
        floats.doubles = floats.floats.drain(..).map(f64::from).collect();
    });
}

#[test]
fn plans_must_be_sound() {
    fn plan(message: &mut schema::Circuit) -> &mut schema::Plan {
        program(message).maps[0].plan.as_mut().unwrap()
    }
    refused("the plan rotates by", |m| plan(m).giants[0].rotation = i64::MAX);
    refused("the plan rotates by", |m| plan(m).giants[0].babies[0] = i64::MIN);
    refused("twice", |m| {
        let giant = plan(m).giants[0].clone();
        plan(m).giants.push(giant);
    });
    refused("a plan's modulus", |m| plan(m).modulus = 1 << 40);
    refused("modulus does not fit", |m| plan(m).modulus = 8);
    refused("modulus does not fit", |m| {
        plan(m).giants.clear();
        plan(m).modulus = 48;
    });
    refused("folds do not fit", |m| plan(m).folds.push(1));
}

#[test]
fn programs_must_pass_the_verifier_and_fit_their_ports() {
    refused("does not come before", |m| {
        program(m).values[5].operation = Some(ValueOperation::Rescale(schema::Single { input: 5 }));
    });
    refused("no map #17", |m| {
        let linear = schema::Linear { map: 17, input: 0, level: 5 };
        program(m).values[2].operation = Some(ValueOperation::Linear(linear));
    });
    refused("constant NaN", |m| {
        let constant = schema::AddConstant { constant: f64::NAN, input: 9 };
        program(m).values[10].operation = Some(ValueOperation::AddConstant(constant));
    });
    refused("the inputs are read [2, 0] times", |m| {
        program(m).values[1].operation = Some(ValueOperation::Input(schema::Input { port: 0, level: 5 }));
    });
    refused("the parameters have 17", |m| {
        program(m).values[0].operation = Some(ValueOperation::Input(schema::Input { port: 0, level: 18 }));
    });
    refused("no value %99", |m| program(m).output_values[0] = 99);
    refused("2 ciphertexts, not 1", |m| program(m).output_values[0] = 2);
    refused("must be at rest", |m| program(m).output_values[0] = 6);
    refused("there is no input", |m| program(m).inputs.clear());
    refused("0 outputs with 1 values", |m| program(m).outputs.clear());
    refused("range (NaN", |m| program(m).inputs[0].range_low = f64::NAN);
    refused("softmax: not defined for operands of shapes [1, 2, 4]", |m| at_client(m).steps[0].integers = vec![3]);
    refused("no operation \"soft\" of the client", |m| at_client(m).steps[0].operation = "soft".into());
    refused("no operand $9 before it", |m| at_client(m).steps[1].operands = vec![10]);
    refused("result `place`: no tensor", |m| at_client(m).results[2].value = 99);
    refused("a result is of no known kind", |m| at_client(m).results[0].kind = 0);
    refused("a result is of no known kind", |m| at_client(m).results[1].texts.clear());
    refused("the client's program takes", |m| drop(at_client(m).ports.pop()));
    refused("a shape's size is", |m| at_client(m).steps[0].shape = Some(schema::Shape { sizes: vec![1 << 40] }));
    refused("rotation keys", |m| m.rotations.retain(|rotation| rotation.steps != -5));
    refused("not ascending, non-zero and below", |m| {
        program(m).values[14].operation = Some(ValueOperation::Rotate(schema::Rotate { steps: 64, input: 13 }));
        m.rotations.retain(|rotation| rotation.steps != -5);
        m.rotations.push(schema::Rotation { steps: 64, level: 4 });
    });
}

#[test]
fn clients_must_be_consistent() {
    client_refused("not ascending", |part| part.rotations.reverse());
    client_refused("not ascending", |part| part.rotations.push(schema::Rotation { steps: 64, level: 0 }));
    client_refused("at level 18 of 17", |part| part.rotations[0].level = 18);
    client_refused("level 18 of 17", |part| part.relinearization_level = 18);
    client_refused("bootstraps of [48] slots", |part| part.bootstrap_slots = vec![48]);
    client_refused("bootstraps of [128] slots", |part| part.bootstrap_slots = vec![128]);
    client_refused("bootstraps of [32, 16] slots", |part| part.bootstrap_slots = vec![32, 16]);
    client_refused("are missing", |part| part.bootstrap_slots.clear());
    client_refused("1 levels for 2 inputs", |part| part.input_levels.truncate(1));
    client_refused("1 outputs with 0 values", |part| part.output_levels.clear());
    client_refused("level 18 of 17", |part| part.output_levels[0] = 18);
    client_refused("shape [2, 8, 9]", |part| part.inputs[0].shape[2] = 9);
    client_refused("layout and scale 0", |part| part.inputs[0].scale = 0.0);
    client_refused("do not agree", |part| {
        part.rotations.clear();
        part.parameters.as_mut().unwrap().slots = 32;
    });
    client_refused("the fingerprint is not", |part| part.relinearization_level = 0);
    client_refused("128-bit security allows 0", |part| part.parameters.as_mut().unwrap().security_bits = 128);
}

#[test]
fn fields_of_a_later_version_are_refused() {
    let mut body = encode::circuit_body(&tiny());
    body.extend([0x7a, 1, 0]);
    check("not in the canonical encoding", circuit(&body).err());
}
