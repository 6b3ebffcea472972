//! Operators on columns of samples, and ZipMap.

use std::collections::BTreeSet;

use super::super::nodes::{integer, integers, wholes};
use super::Rewriting;
use crate::onnx::GraphProto;
use crate::site::Refusal;
use crate::tail;
use crate::walk::name;

/// ArrayFeatureExtractor: columns at constant places. Where places depend on the input the client looks them up.
pub(super) fn array_feature_extractor(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let (data, places) = (it.to.input(0), it.to.input(1));
    let Some(places) = it.flow.values(places).filter(|_| it.ranks.of_value(data) != Some(1)) else { return Ok(false) };
    let places = it.to.constant(wholes(places.into_iter().map(|place| place as i64).collect()));
    it.to.finish("Gather", &[data, &places], &[it.to.output(0)], vec![integer("axis", -1)]);
    Ok(true)
}

/// FeatureVectorizer: columns beside each other.
pub(super) fn feature_vectorizer(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let parts: Vec<String> = (0..it.to.node.input.len()).map(|index| it.real(index)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    it.to.finish("Concat", &parts, &[it.to.output(0)], vec![integer("axis", 1)]);
    Ok(true)
}

/// Imputer of missing values: no sample has any, for encrypted inputs are numbers.
pub(super) fn imputer(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let of_floats = it.attributes().float("replaced_value_float")?;
    let of_integers = it.attributes().integer("replaced_value_int64")?;
    let replaced = match (of_floats, of_integers) {
        (Some(value), _) if value.is_nan() => {
            let name = name(it.to.node);
            it.warnings.push(format!("`{name}`: missing values must be replaced before inputs are encrypted"));
            let x = it.real(0);
            return it.finish("Identity", &[&x]);
        }
        (Some(value), _) => value,
        (None, integer) => integer.unwrap_or(0) as f64,
    };
    Err(Refusal::unsupported(
        format!("it replaces the value {replaced} of inputs, and encrypted numbers cannot be compared yet"),
        "replace values before, and export the model without this step",
    ))
}

/// Normalizer: rows over their sum of magnitudes, their length or their largest value (not magnitude: so ONNX and onnxruntime
/// have it). The last one is left to the client where layers do not follow.
pub(super) fn normalizer(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let p = match it.attributes().text("norm")?.as_deref() {
        Some("L1") => 1,
        Some("L2") => 2,
        None | Some("MAX") if is_followed_by_layers(it.graph, it.to.output(0)) => {
            let x = it.real(0);
            let largest = it.to.add("ReduceMax", &[&x], vec![integers("axes", vec![-1]), integer("keepdims", 1)]);
            return it.finish("Div", &[&x, &largest]);
        }
        _ => return Ok(false),
    };
    let x = it.real(0);
    it.to.finish("LpNormalization", &[&x], &[it.to.output(0)], vec![integer("axis", -1), integer("p", p)]);
    Ok(true)
}

/// Operators that are rewritten to what the client can compute.
const BESIDE_TAILS: &[&str] = &["FeatureVectorizer", "Imputer", "Scaler", "ZipMap"];

/// Whether something that only a circuit computes reads a value, or what is computed of it.
fn is_followed_by_layers(graph: &GraphProto, value: &str) -> bool {
    let mut known = BTreeSet::from([value]);
    graph.node.iter().any(|node| {
        let reads = node.input.iter().any(|input| known.contains(input.as_str()));
        if reads {
            known.extend(node.output.iter().map(String::as_str));
        }
        reads && !tail::computes(node) && !BESIDE_TAILS.contains(&node.op_type.as_str())
    })
}

/// ZipMap: the scores of the classes, in their order, as one tensor.
pub(super) fn zip_map(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    it.finish("Identity", &[it.to.input(0)])
}
