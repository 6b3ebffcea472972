//! Circuit and client files: their bytes, and their reading and writing, as files and through streams.

use std::io::{Read, Write};
use std::path::Path;

use crate::container::{self, Binding, FileKind, KeyId, SectionReader};
use crate::{Circuit, CircuitError, ClientPart, Fingerprint, decode, encode};

/// The bytes of a circuit file.
pub fn encode_circuit(circuit: &Circuit) -> Vec<u8> {
    container::seal(FileKind::Circuit, unkeyed(circuit.fingerprint()), &encode::circuit_body(circuit))
}

/// The bytes of a client file.
pub fn encode_client(client: &ClientPart) -> Vec<u8> {
    container::seal(FileKind::Client, unkeyed(client.fingerprint), &encode::client_body(client))
}

/// Reads a circuit from the bytes of its file.
///
/// # Errors
/// [`CircuitError`] for bytes that [`encode_circuit`] does not give for any valid circuit.
pub fn decode_circuit(bytes: &[u8]) -> Result<Circuit, CircuitError> {
    let (binding, body) = container::open(bytes, FileKind::Circuit)?;
    circuit_of(binding, &body)
}

/// Reads a client from the bytes of its file.
///
/// # Errors
/// [`CircuitError`] for bytes that [`encode_client`] does not give for any valid client.
pub fn decode_client(bytes: &[u8]) -> Result<ClientPart, CircuitError> {
    let (binding, body) = container::open(bytes, FileKind::Client)?;
    client_of(binding, &body)
}

/// Writes a circuit file, all of it or nothing.
///
/// # Errors
/// [`CircuitError::Io`]; [`CircuitError::Malformed`] for a circuit that readers would refuse, before anything is
/// written.
pub fn write_circuit(path: &Path, circuit: &Circuit) -> Result<(), CircuitError> {
    let body = encode::circuit_body(circuit);
    let binding = unkeyed(circuit.fingerprint());
    circuit_of(binding, &body).map_err(|error| error.in_file(path))?;
    container::write_file(path, FileKind::Circuit, binding, &body)
}

/// Writes a client file, all of it or nothing.
///
/// # Errors
/// As [`write_circuit`].
pub fn write_client(path: &Path, client: &ClientPart) -> Result<(), CircuitError> {
    let body = encode::client_body(client);
    let binding = unkeyed(client.fingerprint);
    client_of(binding, &body).map_err(|error| error.in_file(path))?;
    container::write_file(path, FileKind::Client, binding, &body)
}

/// Reads a circuit file.
///
/// # Errors
/// Any [`CircuitError`], with the path.
pub fn read_circuit(path: &Path) -> Result<Circuit, CircuitError> {
    let (binding, body) = container::read_file(path, FileKind::Circuit)?;
    circuit_of(binding, &body).map_err(|error| error.in_file(path))
}

/// Reads a client file.
///
/// # Errors
/// Any [`CircuitError`], with the path.
pub fn read_client(path: &Path) -> Result<ClientPart, CircuitError> {
    let (binding, body) = container::read_file(path, FileKind::Client)?;
    client_of(binding, &body).map_err(|error| error.in_file(path))
}

/// Reads a client file, or the client's part of a circuit file.
///
/// # Errors
/// Any [`CircuitError`], with the path.
pub fn read_client_or_circuit(path: &Path) -> Result<ClientPart, CircuitError> {
    let (file, length) = container::open_file(path)?;
    client_or_circuit(file, length, path)
}

/// Writes what a circuit file holds.
///
/// # Errors
/// As [`write_circuit`]; what was written before an error is of no use.
pub fn write_circuit_to(out: impl Write, circuit: &Circuit) -> Result<(), CircuitError> {
    let (binding, body) = (unkeyed(circuit.fingerprint()), encode::circuit_body(circuit));
    circuit_of(binding, &body).map_err(|error| error.in_file(FileKind::Circuit.thing()))?;
    container::write_to(out, FileKind::Circuit, binding, &body)
}

/// Writes what a client file holds.
///
/// # Errors
/// As [`write_circuit_to`].
pub fn write_client_to(out: impl Write, client: &ClientPart) -> Result<(), CircuitError> {
    let (binding, body) = (unkeyed(client.fingerprint), encode::client_body(client));
    client_of(binding, &body).map_err(|error| error.in_file(FileKind::Client.thing()))?;
    container::write_to(out, FileKind::Client, binding, &body)
}

/// Reads what a circuit file holds, to the end of the stream.
///
/// # Errors
/// Any [`CircuitError`].
pub fn read_circuit_from(stream: impl Read) -> Result<Circuit, CircuitError> {
    let (binding, body) = container::read_from(stream, FileKind::Circuit)?;
    circuit_of(binding, &body).map_err(|error| error.in_file(FileKind::Circuit.thing()))
}

/// Reads what a client file holds, or the client's part of what a circuit file holds, to the end of the stream.
///
/// # Errors
/// Any [`CircuitError`].
pub fn read_client_or_circuit_from(stream: impl Read) -> Result<ClientPart, CircuitError> {
    client_or_circuit(stream, None, FileKind::Client.thing())
}

fn client_or_circuit(stream: impl Read, length: Option<u64>, path: &Path) -> Result<ClientPart, CircuitError> {
    let kinds = [FileKind::Client, FileKind::Circuit];
    let reader = SectionReader::of_kinds(stream, length, path, &kinds, "a client or circuit file")?;
    let kind = reader.header().kind;
    let client = container::read_body(reader).and_then(|(binding, body)| match kind {
        FileKind::Circuit => Ok(circuit_of(binding, &body)?.client()),
        _ => client_of(binding, &body),
    });
    client.map_err(|error| error.in_file(path))
}

fn unkeyed(fingerprint: Fingerprint) -> Binding {
    Binding { fingerprint, key: KeyId::default() }
}

fn circuit_of(binding: Binding, body: &[u8]) -> Result<Circuit, CircuitError> {
    let circuit = decode::circuit(body)?;
    check_binding(binding, circuit.fingerprint())?;
    Ok(circuit)
}

fn client_of(binding: Binding, body: &[u8]) -> Result<ClientPart, CircuitError> {
    let client = decode::client(body)?;
    check_binding(binding, client.fingerprint)?;
    Ok(client)
}

fn check_binding(binding: Binding, fingerprint: Fingerprint) -> Result<(), CircuitError> {
    if binding == unkeyed(fingerprint) {
        return Ok(());
    }
    Err(CircuitError::malformed("the header's fingerprint is not that of the content"))
}
