//! From messages to the types of the IR; every number is checked before it is used.
//!
//! Nothing here trusts the bytes: no size is allocated that the bytes present or [`limits`](crate::limits) do not
//! bound, and no arithmetic can overflow. At the end the result is encoded again and must give the same bytes, so
//! that unknown fields, unused table rows and other spellings of the same content are refused.

mod linear;
mod parameters;
mod ports;
mod program;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use paf_ir::ckks::Level;
use paf_ir::printable::printable;
use paf_scheme::{Work, WorkKind};
use prost::Message;

use crate::limits::Budget;
use crate::{
    Circuit, CircuitError, ClientPart, Fidelity, Fingerprint, Model, Prediction, ReplacedNode, encode, schema,
};

type Result<T> = std::result::Result<T, CircuitError>;

/// A circuit from the body of its file.
pub(crate) fn circuit(body: &[u8]) -> Result<Circuit> {
    let message = schema::Circuit::decode(body).map_err(|error| malformed(error.to_string()))?;
    let circuit = circuit_of(message, &mut Budget::of(body.len()))?;
    if encode::circuit_body(&circuit) == body { Ok(circuit) } else { Err(not_canonical()) }
}

/// A client from the body of its file.
pub(crate) fn client(body: &[u8]) -> Result<ClientPart> {
    let message = schema::ClientFile::decode(body).map_err(|error| malformed(error.to_string()))?;
    let client = client_of(message, &mut Budget::of(body.len()))?;
    if encode::client_body(&client) == body { Ok(client) } else { Err(not_canonical()) }
}

fn not_canonical() -> CircuitError {
    malformed("the content is not in the canonical encoding")
}

fn circuit_of(message: schema::Circuit, budget: &mut Budget) -> Result<Circuit> {
    let parameters = parameters::parameters(&required(message.parameters, "parameters")?)?;
    let circuit = Circuit {
        model: model(required(message.model, "model")?)?,
        program: program::program(required(message.program, "program")?, &parameters, budget)?,
        parameters,
        prediction: prediction(&required(message.prediction, "prediction")?)?,
    };
    let client = circuit.client();
    if encode::rotations(&client.rotations) != message.rotations {
        return Err(malformed("the list of rotation keys is not what the program needs"));
    }
    parameters::rotations(&message.rotations, &circuit.parameters)?;
    parameters::bootstrap_slots(&encode::sizes(&client.bootstrap_slots), &circuit.parameters)?;
    check_fingerprint(&message.fingerprint, client.fingerprint)?;
    Ok(circuit)
}

fn client_of(message: schema::ClientFile, budget: &mut Budget) -> Result<ClientPart> {
    let part = required(message.part, "client part")?;
    let parameters = parameters::parameters(&required(part.parameters, "parameters")?)?;
    let layouts = ports::layouts(&part.layouts, budget)?;
    let mut client = ClientPart {
        rotations: parameters::rotations(&part.rotations, &parameters)?,
        bootstrap_slots: parameters::bootstrap_slots(&part.bootstrap_slots, &parameters)?,
        relinearization: Some(Level(part.relinearization_level)).filter(|level| level.0 > 0),
        inputs: ports::inputs(part.inputs, &layouts, parameters.slots)?,
        outputs: ports::outputs(part.outputs, &levels(&part.output_levels), &layouts, parameters.slots)?,
        input_levels: levels(&part.input_levels),
        program: ports::client_program(part.client)?,
        fingerprint: Fingerprint::default(),
        model_name: name(message.model_name)?,
        precision_bits: message.precision_bits,
        parameters,
    };
    if client.precision_bits.is_nan() {
        return Err(malformed("the precision is not a number"));
    }
    parameters::check_levels(&client)?;
    let sizes: Vec<usize> = client.outputs.iter().map(|port| port.shape.size()).collect();
    client.program.check(&sizes).map_err(|error| malformed(error.to_string()))?;
    client.fingerprint = encode::fingerprint(&client);
    check_fingerprint(&message.fingerprint, client.fingerprint)?;
    Ok(client)
}

fn levels(levels: &[u32]) -> Vec<Level> {
    levels.iter().map(|&level| Level(level)).collect()
}

fn check_fingerprint(found: &[u8], computed: Fingerprint) -> Result<()> {
    if found == computed.0 { Ok(()) } else { Err(malformed("the fingerprint is not that of the content")) }
}

fn model(message: schema::Model) -> Result<Model> {
    let source_sha256 = message.source_sha256.try_into();
    Ok(Model {
        name: name(message.name)?,
        source_sha256: source_sha256.map_err(|_| malformed("the model's SHA-256 does not have 32 bytes"))?,
        compiler: name(message.compiler)?,
        pafs: message.pafs.into_iter().map(node_paf).collect::<Result<_>>()?,
        notes: message.notes.into_iter().map(name).collect::<Result<_>>()?,
        fidelity: message.fidelity.map(fidelity).transpose()?,
    })
}

fn fidelity(message: schema::Fidelity) -> Result<Fidelity> {
    let schema::Fidelity { same, samples, outside, expected } = message;
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    if !is_share(same) || !is_share(expected) || outside > samples {
        return Err(malformed("the fidelity is no share of its samples"));
    }
    Ok(Fidelity { same, samples, outside, expected })
}

fn node_paf(message: schema::NodePaf) -> Result<ReplacedNode> {
    let schema::NodePaf { node, operator, paf, scale, max_error } = message;
    if !scale.is_finite() || max_error.is_nan() {
        return Err(malformed(format!("node `{node}`: scale {scale}, error {max_error}")));
    }
    Ok(ReplacedNode { node: name(node)?, operator: name(operator)?, paf: name(paf)?, scale, max_error })
}

fn prediction(message: &schema::Prediction) -> Result<Prediction> {
    let schema::Prediction { peak_bytes, seconds, precision_bits, work, machine, key_memory } = message.clone();
    let work = work.map_or_else(Work::default, |message| self::work(&message));
    if seconds.is_nan() || precision_bits.is_nan() || work.total().is_nan() {
        return Err(malformed("a prediction is not a number"));
    }
    Ok(Prediction { peak_bytes, seconds, precision_bits, work, machine: name(machine)?, key_memory })
}

fn work(message: &schema::Work) -> Work {
    let mut work = Work::default();
    work[WorkKind::KeySwitch] = message.key_switch;
    work[WorkKind::PlaintextProduct] = message.plaintext_product;
    work[WorkKind::Encoding] = message.encoding;
    work[WorkKind::Product] = message.product;
    work[WorkKind::Rescale] = message.rescale;
    work[WorkKind::Addition] = message.addition;
    work[WorkKind::Bootstrap] = message.bootstrap;
    work[WorkKind::KeyLoading] = message.key_loading;
    work
}

/// A name that a terminal shows as it is.
fn name(name: String) -> Result<String> {
    match printable(&name) {
        Cow::Borrowed(_) => Ok(name),
        Cow::Owned(escaped) => Err(malformed(format!("the name `{escaped}` has control characters"))),
    }
}

fn malformed(message: impl Into<String>) -> CircuitError {
    CircuitError::malformed(message)
}

fn required<T>(message: Option<T>, what: &str) -> Result<T> {
    message.ok_or_else(|| malformed(format!("{what} missing")))
}

/// A table's row.
fn row<'t, T>(table: &'t [T], index: u32, what: &str) -> Result<&'t T> {
    table.get(index as usize).ok_or_else(|| malformed(format!("no {what} {index}")))
}

/// A size from 1 to `limit`.
fn size(value: u64, limit: u64, what: &str) -> Result<usize> {
    if value == 0 || value > limit {
        return Err(malformed(format!("{what} is {value}, must be from 1 to {limit}")));
    }
    Ok(value as usize)
}

/// The product of sizes, at most `limit`.
fn product(sizes: impl IntoIterator<Item = u64>, limit: u64, what: &str) -> Result<usize> {
    let product = sizes.into_iter().try_fold(1u64, u64::checked_mul).filter(|&product| product <= limit);
    size(product.unwrap_or(u64::MAX), limit, what)
}
