//! The kinds of files, each with its reader.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ndarray::ArrayD;
use ndarray_npy::NpzWriter;
use paf_adapt::paf_file::PafFile;
use paf_circuit::container::{FileKind, SectionReader};
use paf_circuit::{Circuit, decode_circuit, decode_client, encode_circuit, encode_client};
use paf_engine::Engine as _;
use paf_engine_openfhe::OpenFheEngine;
use paf_files::{ScratchFile, npy, npz};
use paf_import::{ModelSource, import_source};
use paf_ir::ckks::{Kind, Level, Type};
use paf_passes::fold::fold;
use paf_passes::pack::check_sizes;
use paf_runtime::{
    Checkpoints, Client, EvaluationKeys, InsecureTestParameters, Passphrase, PublicKey, Samples, SecretKey, Server,
    check_security,
};
use paf_scheme::{ENCAPSULATION_RING, EngineProfile, Parameters, Secret, log_qp_limit_128};
use testkit::circuits::{rich_file, tiny, tiny_file};
use testkit::{entries, testdata};

use crate::{Bytes, Choices, Verdict, binary, container, protobuf, text};

/// A kind of file.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Valid files.
    pub seeds: fn() -> Vec<Bytes>,
    /// A change of a file.
    pub mutate: fn(Bytes, &mut Choices) -> Bytes,
    /// Reads a file, and says what is wrong with the reader.
    pub check: fn(&[u8]) -> Result<Verdict, String>,
    /// Whether what is accepted takes no more memory than what is refused: else work has begun.
    pub is_bounded_when_accepted: bool,
    /// How many cases there are of it in a run, in parts of all.
    pub share: u64,
}

/// All of them.
pub fn all() -> &'static [Target] {
    const {
        &[
            Target {
                name: "circuit",
                seeds: || vec![tiny_file(), rich_file()],
                mutate: |file, choices| container::mutate(file, choices, protobuf::mutate),
                check: circuit,
                is_bounded_when_accepted: true,
                share: 30,
            },
            Target {
                name: "client",
                seeds: client_files,
                mutate: |file, choices| container::mutate(file, choices, protobuf::mutate),
                check: client,
                is_bounded_when_accepted: true,
                share: 25,
            },
            Target {
                name: "secret-key",
                seeds: || vec![party().secret_file.clone()],
                mutate: container::mutate_bytes,
                check: secret_key,
                is_bounded_when_accepted: true,
                share: 6,
            },
            Target {
                name: "server-key",
                seeds: || vec![party().server_file.clone()],
                mutate: container::mutate_bytes,
                check: server_key,
                is_bounded_when_accepted: true,
                share: 6,
            },
            Target {
                name: "inputs",
                seeds: || vec![party().inputs_file.clone()],
                mutate: container::mutate_bytes,
                check: inputs,
                is_bounded_when_accepted: true,
                share: 6,
            },
            Target {
                name: "results",
                seeds: || vec![party().results_file.clone()],
                mutate: container::mutate_bytes,
                check: results,
                is_bounded_when_accepted: true,
                share: 6,
            },
            Target {
                name: "checkpoint",
                seeds: || vec![party().checkpoint_file.clone()],
                mutate: container::mutate_bytes,
                check: checkpoint,
                is_bounded_when_accepted: true,
                share: 1,
            },
            Target {
                name: "npy",
                seeds: arrays,
                mutate: text::mutate_npy,
                check: array,
                is_bounded_when_accepted: true,
                share: 10,
            },
            Target {
                name: "npz",
                seeds: archives,
                mutate: binary::mutate,
                check: archive,
                is_bounded_when_accepted: true,
                share: 2,
            },
            Target {
                name: "paf-file",
                seeds: || vec![PAF_FILE.as_bytes().to_vec()],
                mutate: text::mutate,
                check: paf_file,
                is_bounded_when_accepted: true,
                share: 3,
            },
            Target {
                name: "onnx",
                seeds: models,
                mutate: protobuf::mutate,
                check: model,
                is_bounded_when_accepted: false,
                share: 10,
            },
        ]
    }
}

fn circuit(file: &[u8]) -> Result<Verdict, String> {
    let Ok(circuit) = decode_circuit(file) else { return Ok(Verdict::Refused) };
    if encode_circuit(&circuit) != file {
        return Err("it is not written as the same bytes".into());
    }
    circuit.counts();
    judged(&circuit.parameters)
}

fn client_files() -> Vec<Bytes> {
    let circuits = [tiny_file(), rich_file()].map(|file| decode_circuit(&file).expect("a circuit"));
    circuits.iter().map(|circuit| encode_client(&circuit.client())).collect()
}

fn client(file: &[u8]) -> Result<Verdict, String> {
    let Ok(client) = decode_client(file) else { return Ok(Verdict::Refused) };
    if encode_client(&client) != file {
        return Err("it is not written as the same bytes".into());
    }
    judged(&client.parameters)
}

/// Parameters that are taken without asking protect by the table, whatever the file says.
fn judged(parameters: &Parameters) -> Result<Verdict, String> {
    if check_security(parameters, InsecureTestParameters::Refuse).is_err() {
        return Ok(Verdict::Accepted);
    }
    let encapsulated = parameters.secret == Secret::UniformTernaryEncapsulated;
    let log_qp = parameters.log_q() + parameters.special_primes * 60;
    let protects = log_qp <= log_qp_limit_128(parameters.ring_dimension)
        && (!encapsulated || parameters.ring_dimension >= ENCAPSULATION_RING);
    if protects { Ok(Verdict::Accepted) } else { Err(format!("parameters that protect nothing: {parameters:?}")) }
}

/// Both sides of a tiny circuit, with all of their files.
struct Party {
    client: Client<OpenFheEngine>,
    server: Server<OpenFheEngine>,
    secret: SecretKey<OpenFheEngine>,
    keys: EvaluationKeys<OpenFheEngine>,
    secret_file: Bytes,
    server_file: Bytes,
    inputs_file: Bytes,
    results_file: Bytes,
    checkpoint_file: Bytes,
}

/// OpenFHE's contexts and keys are those of the process.
static TURN: Mutex<()> = Mutex::new(());

fn party() -> &'static Party {
    static PARTY: LazyLock<Party> = LazyLock::new(Party::new);
    &PARTY
}

impl Party {
    fn new() -> Self {
        let circuit: Arc<Circuit> = Arc::new(tiny());
        let client = Client::<OpenFheEngine>::new(circuit.client(), InsecureTestParameters::Allow).expect("a client");
        let server = Server::with_engine(Arc::clone(&circuit), Arc::clone(client.engine())).expect("a server");
        let (secret, public): (SecretKey<_>, PublicKey<_>) = client.generate_pair().expect("keys");
        let keys = client.generate_evaluation_keys(&secret, &public, &mut |_, _| {}).expect("keys");
        let (mut secret_file, mut server_file, mut inputs_file, mut results_file) = (vec![], vec![], vec![], vec![]);
        client.write_secret_key(&secret, &mut secret_file).expect("a file");
        client.generate_keys_to(&secret, &public, &mut server_file, &mut |_, _| {}).expect("a file");
        let arrays = client.inputs().iter().map(|port| {
            let shape = [&[2], &port.shape.0[..]].concat();
            let data = vec![0.25; shape.iter().product()];
            paf_runtime::npy::Array { shape: paf_ir::Shape(shape), data }
        });
        let samples = Samples::new(client.inputs(), arrays.collect(), None).expect("samples");
        client.encrypt_to(&public, &samples, &mut inputs_file, &mut |_, _| {}).expect("a file");
        server
            .evaluate_stream(
                &keys,
                &inputs_file[..],
                &mut results_file,
                &mut |_, _| std::ops::ControlFlow::Continue(()),
            )
            .expect("results");
        let checkpoint_file = Self::checkpoint(&server, &keys, &inputs_file);
        Party { client, server, secret, keys, secret_file, server_file, inputs_file, results_file, checkpoint_file }
    }

    /// What an evaluation that was stopped has left.
    fn checkpoint(server: &Server<OpenFheEngine>, keys: &EvaluationKeys<OpenFheEngine>, inputs: &[u8]) -> Bytes {
        let folder = paf_files::TemporaryFolder::new().expect("a folder");
        let (x, y, kept) = (folder.path().join("x.ct"), folder.path().join("y.ct"), folder.path().join("kept"));
        std::fs::write(&x, inputs).expect("a file");
        let checkpoints = Checkpoints::start(&kept, std::time::Duration::ZERO).expect("a folder");
        let stop = &mut |sample: usize, _: paf_runtime::executor::Step<'_>| match sample {
            0 => std::ops::ControlFlow::Continue(()),
            _ => std::ops::ControlFlow::Break(()),
        };
        let stopped = server.evaluate_file_with_checkpoints(keys, &x, &y, &checkpoints, stop);
        assert!(stopped.is_err());
        std::fs::read(kept.join(CHECKPOINT)).expect("a checkpoint")
    }
}

const CHECKPOINT: &str = "sample-0.checkpoint";

fn secret_key(file: &[u8]) -> Result<Verdict, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let client = &party().client;
    let ask = || Passphrase::new("any");
    let Ok(key) = client.read_protected_key(file, ask) else { return Ok(Verdict::Refused) };
    let mut again = vec![];
    client.write_secret_key(&key, &mut again).map_err(|error| error.to_string())?;
    if again == file { Ok(Verdict::Accepted) } else { Err("it is not written as the same bytes".into()) }
}

fn server_key(file: &[u8]) -> Result<Verdict, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let party = party();
    let public = party.client.read_public_key(file).is_ok();
    if party.server.read_keys(file, &mut |_, _| {}).is_err() {
        return Ok(Verdict::Refused);
    }
    let engine = &**party.client.engine();
    each_section(file, FileKind::ServerKey, |number, body, again| match number {
        0 => {
            let key = engine.read_public_key(body).map_err(|error| error.to_string())?;
            *again = engine.write_public_key(&key).map_err(|error| error.to_string())?;
            Ok(())
        }
        _ => {
            let key = engine.read_evaluation_key(body).map_err(|error| error.to_string())?;
            engine.write_evaluation_key(&key, again).map_err(|error| error.to_string())
        }
    })?;
    Ok(if public { Verdict::Accepted } else { Verdict::Refused })
}

fn inputs(file: &[u8]) -> Result<Verdict, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (party, scratch) = (party(), scratch(file)?);
    if party.server.check_inputs(&party.keys, &scratch.path()).is_err() {
        return Ok(Verdict::Refused);
    }
    let level = party.server.circuit().input_levels()[0];
    each_section(file, FileKind::Ciphertexts, |_, body, again| rewritten(level, body, again))?;
    Ok(Verdict::Accepted)
}

fn results(file: &[u8]) -> Result<Verdict, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let party = party();
    match party.client.decrypt_from(&party.secret, file, &mut |_, _| {}) {
        Ok(_) => Ok(Verdict::Accepted),
        Err(_) => Ok(Verdict::Refused),
    }
}

fn checkpoint(file: &[u8]) -> Result<Verdict, String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (party, inputs) = (party(), scratch(&party().inputs_file)?);
    let io = |error: std::io::Error| error.to_string();
    let folder = paf_files::TemporaryFolder::new().map_err(io)?;
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).map_err(io)?;
    std::fs::write(kept.join(CHECKPOINT), file).map_err(io)?;
    let checkpoints = Checkpoints::resume(&kept, std::time::Duration::from_secs(60)).map_err(|e| e.to_string())?;
    let results = folder.path().join("y.ct");
    let done = party.server.evaluate_file_with_checkpoints(
        &party.keys,
        &inputs.path(),
        &results,
        &checkpoints,
        &mut |_, _| std::ops::ControlFlow::Continue(()),
    );
    Ok(if done.is_ok() { Verdict::Accepted } else { Verdict::Refused })
}

/// A ciphertext, read and written.
fn rewritten(level: Level, body: &[u8], again: &mut Bytes) -> Result<(), String> {
    let engine = &**party().client.engine();
    let ty = Type { ciphertexts: 1, level, parts: 2, kind: Kind::Rest };
    let ciphertext = engine.read_ciphertext(body, ty).map_err(|error| error.to_string())?;
    engine.write_ciphertext(&ciphertext, again).map_err(|error| error.to_string())
}

/// Checks that what is read of each section is written as the same bytes.
fn each_section(
    file: &[u8],
    kind: FileKind,
    mut rewrite: impl FnMut(usize, &[u8], &mut Bytes) -> Result<(), String>,
) -> Result<(), String> {
    let reader = SectionReader::new(file, Some(file.len() as u64), Path::new("file"), kind);
    let mut reader = reader.map_err(|error| error.to_string())?;
    let (mut body, mut again, mut number) = (vec![], vec![], 0);
    while reader.next_section(&mut body).map_err(|error| error.to_string())?.is_some() {
        rewrite(number, &body, &mut again)?;
        if again != body {
            return Err(format!("section {number} is not written as the same bytes"));
        }
        number += 1;
    }
    Ok(())
}

fn scratch(file: &[u8]) -> Result<ScratchFile, String> {
    let scratch = ScratchFile::new().map_err(|error| error.to_string())?;
    scratch.file().write_all(file).map_err(|error| error.to_string())?;
    Ok(scratch)
}

fn arrays() -> Vec<Bytes> {
    let mut floats = vec![];
    npy::write(&mut floats, &[2, 3], &[0.5f32, 1.0, -1.0, 2.0, 0.0, 3.5]).expect("an array");
    let mut integers = vec![];
    npy::write(&mut integers, &[3], &[1i64, 2, 3]).expect("an array");
    let mut texts = vec![];
    npy::write_texts(&mut texts, &[2], &["cat", "dog"]).expect("an array");
    vec![floats, integers, texts]
}

fn array(file: &[u8]) -> Result<Verdict, String> {
    let taken = [npy::floats(file).is_ok(), npy::samples(file).is_ok(), npy::integers(file).is_ok()];
    let _ = npy::classes(file);
    Ok(if taken.contains(&true) { Verdict::Accepted } else { Verdict::Refused })
}

fn archives() -> Vec<Bytes> {
    let archive = |mut writer: NpzWriter<Cursor<Bytes>>| {
        writer.add_array("x", &ArrayD::<f32>::ones(vec![3, 20])).expect("an array");
        writer.add_array("y", &ArrayD::<i64>::ones(vec![3])).expect("an array");
        writer.finish().expect("an archive").into_inner()
    };
    let memory = || Cursor::new(vec![]);
    vec![archive(NpzWriter::new(memory())), archive(NpzWriter::new_compressed(memory()))]
}

fn archive(file: &[u8]) -> Result<Verdict, String> {
    let Ok(mut archive) = npz::Npz::open(Cursor::new(file)) else { return Ok(Verdict::Refused) };
    let names: Vec<String> = archive.names().into_iter().map(str::to_owned).collect();
    let mut verdict = Verdict::Refused;
    for name in names {
        if let Ok(Some(array)) = archive.array(&name)
            && npy::floats(&array).is_ok()
        {
            verdict = Verdict::Accepted;
        }
    }
    Ok(verdict)
}

/// A PAF file with every kind of entry.
const PAF_FILE: &str = include_str!("../seeds/model.paf.json");

fn paf_file(file: &[u8]) -> Result<Verdict, String> {
    let Ok(text) = str::from_utf8(file) else { return Ok(Verdict::Refused) };
    Ok(if PafFile::parse(text).is_ok() { Verdict::Accepted } else { Verdict::Refused })
}

/// The models of the repository and, where they are, the shared ones of ONNX's operator tests.
fn models() -> Vec<Bytes> {
    let here = entries(&testdata("")).into_iter().chain(entries(&testdata("ops")));
    let shared = testkit::shared_if_there("data/node").map(|folder| models_below(&folder)).unwrap_or_default();
    here.filter(|path| path.extension().is_some_and(|end| end == "onnx"))
        .chain(shared)
        .map(|path| std::fs::read(path).expect("a model"))
        .filter(|bytes| bytes.len() < 1 << 18)
        .collect()
}

fn models_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder).into_iter().partition(|path| path.is_dir());
    let own = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "onnx"));
    own.chain(folders.iter().flat_map(|folder| models_below(folder))).collect()
}

fn model(file: &[u8]) -> Result<Verdict, String> {
    let Ok(imported) = import_source(&ModelSource::from_bytes("model", file.to_vec())) else {
        return Ok(Verdict::Refused);
    };
    // What no layout holds is refused before anything is folded.
    if check_sizes(&imported.graph, EngineProfile::openfhe().chain.most_slots()).is_err() {
        return Ok(Verdict::Refused);
    }
    Ok(if fold(&imported.graph).is_ok() { Verdict::Accepted } else { Verdict::Refused })
}
