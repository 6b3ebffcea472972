//! Every case through client and server, encrypted against clear, and the noise that the clear engine adds.

mod common;

use std::sync::Arc;

use common::{Case, cases, exclusive};
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, InsecureTestParameters, LocalKeys, Noise, Samples, Server, agreement_bits, simulate};

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

fn clear(case: &Case) -> Vec<Vec<f64>> {
    simulate(&case.circuit, &samples(case), Noise::Off).unwrap().iter().map(|output| output.ports.concat()).collect()
}

fn encrypted(case: &Case, prepare_budget: u64) -> Vec<Vec<f64>> {
    let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let circuit = Arc::new(case.circuit.clone());
    let mut server = Server::with_engine(circuit, Arc::clone(client.engine())).unwrap();
    server.prepare(prepare_budget, &mut |_, _| {}).unwrap();
    let keys = LocalKeys::make(&client, &server, 0, &mut |_, _| {}).unwrap();
    let samples = samples(case);
    let run = |sample| {
        let inputs = client.encrypt(&keys.public, &samples, sample).unwrap();
        let results = server.evaluate(&keys.evaluation, inputs, &mut |_| {}).unwrap();
        client.decrypt(&keys.secret, sample, &results).unwrap().ports.concat()
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

/// Root mean square of the difference, in bits.
fn error_bits(values: &[f64], exact: &[f64]) -> f64 {
    assert_eq!(values.len(), exact.len());
    let squares: f64 = values.iter().zip(exact).map(|(value, exact)| (value - exact).powi(2)).sum();
    (squares / values.len() as f64).sqrt().log2()
}

fn simulated(case: &Case, seed: u64) -> Vec<f64> {
    let outputs = simulate(&case.circuit, &samples(case), Noise::Seed(seed)).unwrap();
    outputs.iter().flat_map(|output| output.ports.concat()).collect()
}

/// The size of an error depends on the secret's values at the ten slots read, so some keys are noisier than others: 200
/// simulated keys give the spread, and a real key must not be far outside it.
#[test]
fn simulated_noise_is_about_that_of_encryption() {
    let _turn = exclusive();
    let case = common::network_case();
    let exact = clear(&case).concat();
    assert_eq!(simulated(&case, 1), simulated(&case, 1), "equal seeds give equal results");
    let keys: Vec<f64> = (0..200).map(|key| error_bits(&simulated(&case, 1000 * key), &exact)).collect();
    let (least, most) = keys.iter().fold((f64::MAX, f64::MIN), |(least, most), bits| (bits.min(least), bits.max(most)));
    let real = error_bits(&encrypted(&case, 0).concat(), &exact);
    println!("simulated {least:.1} to {most:.1} bits, encrypted {real:.1} bits");
    assert!(least - 1.5 < real && real < most + 1.5, "simulated {least:.1} to {most:.1}, encrypted {real:.1}");
}
