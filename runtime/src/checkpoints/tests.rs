use std::sync::Arc;

use crate::common::{Case, arithmetic_case, exclusive, network_case, refreshing_case};
use crate::keys::EvaluationKeys;
use crate::npy::Array;
use crate::samples::Samples;
use crate::{Client, ciphertexts};
use paf_ir::tensor::Shape;

use super::*;

/// A server of a case, and its inputs encrypted as `x.ct` in a folder.
fn set_up(case: &Case, folder: &Path) -> Server {
    let circuit = Arc::new(case.circuit.clone());
    let client = Client::new(circuit.client()).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let keys = EvaluationKeys::generate(&secret, &client.key_list().unwrap(), &mut |_, _| {}).unwrap();
    let mut shape = vec![case.samples.len()];
    shape.extend(&client.inputs()[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    let samples = Samples::new(client.inputs(), vec![array], None).unwrap();
    client.encrypt_file(&public, &samples, &folder.join("x.ct"), &mut |_, _| {}).unwrap();
    Server::new(circuit, Arc::clone(client.scheme()), keys).unwrap()
}

fn inputs(server: &Server, folder: &Path) -> Vec<Vec<Ciphertext>> {
    server.open_inputs(&folder.join("x.ct")).unwrap().next_sample().unwrap()
}

fn finished(mut evaluation: Evaluation<'_, OpenFheEngine>) -> Vec<Vec<u8>> {
    while evaluation.next_step().is_some() {
        evaluation.step().unwrap();
    }
    bytes(&evaluation.outputs().unwrap())
}

fn bytes(ports: &[Vec<Ciphertext>]) -> Vec<Vec<u8>> {
    ports.iter().flatten().map(|ciphertext| ciphertexts::encode(ciphertext).unwrap()).collect()
}

/// Values of every kind pass through a checkpoint, products of three parts and results among them.
#[test]
fn an_encrypted_evaluation_goes_on_from_any_operation_bit_by_bit() {
    let _turn = exclusive();
    for case in [arithmetic_case(), network_case(), refreshing_case()] {
        let folder = tempfile::tempdir().unwrap();
        let server = set_up(&case, folder.path());
        let checkpoints = Checkpoints::start(&folder.path().join("kept"), Duration::ZERO).unwrap();
        let session = Session::new(&server, &folder.path().join("x.ct"), &checkpoints).unwrap();
        let whole = bytes(&server.evaluate(inputs(&server, folder.path()), &mut |_| {}).unwrap());
        let mut evaluation = session.begin(0, inputs(&server, folder.path())).unwrap();
        for position in 0..=case.circuit.program.len() {
            session.save(0, &evaluation).unwrap();
            let resumed = session.begin(0, inputs(&server, folder.path())).unwrap();
            assert_eq!(resumed.position(), position);
            assert!(finished(resumed) == whole, "{} from operation {position}", case.name);
            evaluation.step().unwrap();
        }
        assert!(bytes(&session.results(0).unwrap()) == whole, "{}", case.name);
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
    let run = Run { circuit: [1; 32], inputs: [2; 32] };
    let place = file::Place { run, sample: 3, position: 4 };
    let bytes = place.to_bytes();
    assert_eq!(file::Place::from_bytes(&bytes), Some(place));
    assert_eq!(file::Place::from_bytes(&bytes[..bytes.len() - 1]), None);
    assert_eq!(file::Place::from_bytes(&[&bytes[..], &[0]].concat()), None);
    let other_version = [&2u32.to_le_bytes()[..], &bytes[4..]].concat();
    assert_eq!(file::Place::from_bytes(&other_version), None);
}
