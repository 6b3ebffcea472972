//! An evaluation that goes on from any of its operations ends with the same bytes.

use std::sync::Arc;

use paf_engine_openfhe::{Ciphertext, OpenFheEngine, OpenFheEvaluator};
use paf_ir::tensor::Shape;
use paf_scheme::InsecureTestParameters;

use crate::Client;
use crate::common::{Case, arithmetic_case, exclusive, network_case, refreshing_case};
use crate::npy::Array;
use crate::samples::Samples;

use super::*;

type Party = (Server<OpenFheEngine>, EvaluationKeys<OpenFheEngine>);

/// A server of a case with a client's keys, and the client's inputs encrypted as `x.ct` in a folder.
fn set_up(case: &Case, folder: &Path) -> Party {
    let circuit = Arc::new(case.circuit.clone());
    let client = Client::<OpenFheEngine>::new(circuit.client(), InsecureTestParameters::Allow).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let keys = client.generate_evaluation_keys(&secret, &public, &mut |_, _| {}).unwrap();
    let mut shape = vec![case.samples.len()];
    shape.extend(&client.inputs()[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    let samples = Samples::new(client.inputs(), vec![array], None).unwrap();
    client.encrypt_file(&public, &samples, &folder.join("x.ct"), &mut |_, _| {}).unwrap();
    (Server::with_engine(circuit, Arc::clone(client.engine())).unwrap(), keys)
}

fn inputs((server, keys): &Party, folder: &Path) -> Vec<Vec<Ciphertext>> {
    server.open_inputs(keys, &folder.join("x.ct")).unwrap().next_sample().unwrap()
}

fn finished((server, keys): &Party, mut evaluation: Evaluation<'_, OpenFheEvaluator<'_>>) -> Vec<Vec<u8>> {
    while evaluation.next_step().is_some() {
        evaluation.step().unwrap();
    }
    let outputs = each(evaluation.outputs().unwrap(), |ciphertext| keys.set.release(ciphertext)).unwrap();
    bytes(server, &outputs)
}

fn bytes(server: &Server<OpenFheEngine>, ports: &[Vec<Ciphertext>]) -> Vec<Vec<u8>> {
    let bytes = |ciphertext| {
        let mut bytes = Vec::new();
        server.engine.write_ciphertext(ciphertext, &mut bytes).unwrap();
        bytes
    };
    ports.iter().flatten().map(bytes).collect()
}

/// Values of every kind pass through a checkpoint, products of three parts and results among them.
#[test]
fn an_encrypted_evaluation_goes_on_from_any_operation_bit_by_bit() {
    let _turn = exclusive();
    for case in [arithmetic_case(), network_case(), refreshing_case()] {
        let folder = tempfile::tempdir().unwrap();
        let party = set_up(&case, folder.path());
        let (server, keys) = &party;
        let checkpoints = Checkpoints::start(&folder.path().join("kept"), Duration::ZERO).unwrap();
        let evaluator = server.evaluator(keys);
        let session = Session::new(
            server,
            keys,
            &evaluator,
            server.check_inputs(keys, &folder.path().join("x.ct")).unwrap(),
            &checkpoints,
        )
        .unwrap();
        let whole = bytes(server, &server.evaluate(keys, inputs(&party, folder.path()), &mut |_| {}).unwrap());
        let mut evaluation = session.begin(0, inputs(&party, folder.path())).unwrap();
        for position in 0..=case.circuit.program.len() {
            session.save(0, &evaluation).unwrap();
            let resumed = session.begin(0, inputs(&party, folder.path())).unwrap();
            assert_eq!(resumed.position(), position);
            assert!(finished(&party, resumed) == whole, "{} from operation {position}", case.name);
            evaluation.step().unwrap();
        }
        assert!(bytes(server, &session.results(0).unwrap()) == whole, "{}", case.name);
    }
}

#[test]
fn checkpoints_are_as_far_apart_as_asked_and_as_their_cost_needs() {
    let mut pace = Pace::new(Duration::ZERO);
    pace.time(|| Ok(())).unwrap();
    assert!(pace.is_due());
    let mut pace = Pace::new(Duration::from_millis(1));
    let write = Duration::from_millis(30);
    let slow = || {
        std::thread::sleep(write);
        Ok(())
    };
    pace.time(slow).unwrap();
    assert!(pace.interval >= write.div_f64(LARGEST_SHARE) && !pace.is_due());
}

#[test]
fn places_that_were_cut_or_are_of_another_version_are_refused() {
    let run = Run { circuit: [1; 32], inputs: ContentId([2; 32]) };
    let place = file::Place { run, sample: 3, position: 4 };
    let bytes = place.to_bytes();
    assert_eq!(file::Place::from_bytes(&bytes), Some(place));
    assert_eq!(file::Place::from_bytes(&bytes[..bytes.len() - 1]), None);
    assert_eq!(file::Place::from_bytes(&[&bytes[..], &[0]].concat()), None);
    let other_version = [&2u32.to_le_bytes()[..], &bytes[4..]].concat();
    assert_eq!(file::Place::from_bytes(&other_version), None);
}
