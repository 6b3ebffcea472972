//! Every case on both engines: clear against direct arithmetic, encrypted against clear.

mod common;

use std::sync::Arc;

use common::{Case, cases, exclusive};
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, EvaluationKeys, Noise, Output, Samples, Server, agreement_bits, simulate};

/// What a comparison allows.
enum Agreement {
    /// The same real numbers, computed in another order.
    Exact,
    /// Two rounding errors at the scale 2^45 and N = 2^11, and what a few products make of them.
    Encrypted,
}

fn check(case: &Case, what: &str, agreement: Agreement, got: &[f64], expected: &[f64]) {
    let bits = agreement_bits(got, expected);
    let needed = match agreement {
        Agreement::Exact => 40.0,
        Agreement::Encrypted => 28.0,
    };
    assert_eq!(got.len(), expected.len(), "{}: {what}", case.name);
    assert!(bits >= needed, "{}: {what} agrees to {bits:.1} bits, needs {needed}", case.name);
    println!("{}: {what} agrees to {bits:.1} bits", case.name);
}

fn samples(case: &Case) -> Samples {
    let port = &case.circuit.program.inputs[0];
    let mut shape = vec![case.samples.len()];
    shape.extend(&port.shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

fn raw(outputs: &[Output]) -> Vec<f64> {
    outputs.iter().flat_map(|output| output.raw.iter().copied()).collect()
}

fn clear(case: &Case) -> Vec<Vec<f64>> {
    simulate(&case.circuit, &samples(case), Noise::Off).unwrap().iter().map(|outputs| raw(outputs)).collect()
}

fn encrypted(case: &Case, prepare_budget: u64) -> Vec<Vec<f64>> {
    let client = Client::new(case.circuit.client()).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let keys = EvaluationKeys::generate(&secret, &client.key_list().unwrap(), &mut |_, _| {}).unwrap();
    let mut server = Server::new(Arc::new(case.circuit.clone()), Arc::clone(client.scheme()), keys).unwrap();
    server.prepare(prepare_budget, &mut |_, _| {}).unwrap();
    let samples = samples(case);
    let run = |sample| {
        let inputs = client.encrypt(&public, &samples, sample).unwrap();
        let results = server.evaluate(inputs, &mut |_| {}).unwrap();
        raw(&client.decrypt(&secret, sample, &results).unwrap())
    };
    (0..samples.count()).map(run).collect()
}

#[test]
fn clear_equals_direct_arithmetic() {
    for case in cases() {
        for (sample, got) in case.samples.iter().zip(clear(&case)) {
            check(&case, "clear", Agreement::Exact, &got, &(case.expected)(sample));
        }
    }
}

#[test]
fn encrypted_equals_clear() {
    let _turn = exclusive();
    for case in cases() {
        for (got, clear) in encrypted(&case, u64::MAX).iter().zip(clear(&case)) {
            check(&case, "encrypted", Agreement::Encrypted, got, &clear);
        }
    }
}

#[test]
fn plaintexts_encoded_at_use_give_the_same() {
    let _turn = exclusive();
    for case in cases() {
        for (got, clear) in encrypted(&case, 0).iter().zip(clear(&case)) {
            check(&case, "encrypted, nothing prepared", Agreement::Encrypted, got, &clear);
        }
    }
}

#[test]
fn simulated_noise_is_about_that_of_encryption() {
    let _turn = exclusive();
    let case = common::network_case();
    let (exact, clear) = (clear(&case).concat(), simulate(&case.circuit, &samples(&case), Noise::Seed(1)).unwrap());
    let noisy: Vec<f64> = clear.iter().flat_map(|outputs| raw(outputs)).collect();
    let again = simulate(&case.circuit, &samples(&case), Noise::Seed(1)).unwrap();
    assert_eq!(again, clear, "equal seeds give equal results");
    let (simulated, real) = (agreement_bits(&noisy, &exact), agreement_bits(&encrypted(&case, 0).concat(), &exact));
    println!("simulated {simulated:.1} bits, encrypted {real:.1} bits");
    assert!(simulated < real + 2.0 && simulated > real - 8.0, "simulated {simulated:.1}, encrypted {real:.1}");
}
