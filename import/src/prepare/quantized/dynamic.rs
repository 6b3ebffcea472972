//! Dynamic quantization: a tensor is quantized by a scale of its own, multiplied by integer weights, and scaled back.
//!
//! Of the numbers it stands for, DynamicQuantizeLinear gives its operand with the scale 1 and the zero point 0, and the
//! products with integers are those of numbers. That is the network where each product is scaled back once, as quantizers
//! write it.

use std::collections::BTreeMap;

use crate::attributes::Attributes;
use crate::onnx::{DataType, GraphProto, NodeProto};
use crate::prepare::flow::Flow;
use crate::prepare::names::Names;
use crate::prepare::nodes::{Replacement, integer, scalar, tensor};

/// The integer products, with what they stand for and the axis along which weights have zero points of their own.
const PRODUCTS: &[(&str, &str, i64)] = &[("ConvInteger", "Conv", 0), ("MatMulInteger", "MatMul", -1)];

/// A product that scales back by itself.
const SCALED_PRODUCT: &str = "MatMulIntegerToFloat";

/// Puts products of numbers in the place of dynamically quantized ones.
pub(in crate::prepare) fn read_dynamic(graph: &GraphProto, flow: &Flow<'_>) -> Option<Vec<NodeProto>> {
    let dynamic = graph.node.iter().filter(|node| node.op_type == "DynamicQuantizeLinear");
    let makers: BTreeMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
    let standard: Vec<[&str; 3]> = dynamic.filter_map(outputs).filter(|it| is_standard(*it, flow, &makers)).collect();
    if standard.is_empty() {
        return None;
    }
    let mut names = Names::of(graph);
    let of_them = |name: Option<&String>| name.is_some_and(|name| standard.iter().any(|it| it[0] == name));
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let mut it = Replacement::of(node, &mut names);
        let product = PRODUCTS.iter().find(|(operator, ..)| *operator == node.op_type);
        match product {
            Some((_, real, axis)) if of_them(node.input.first()) => write_product(&mut it, real, *axis),
            None if of_them(node.input.first()) => write_scaled_product(&mut it),
            None if of_them(node.output.first()) => write_operand(&mut it),
            _ => it.nodes.push(node.clone()),
        }
        nodes.extend(it.nodes);
    }
    Some(nodes)
}

/// The integers, their scale and their zero point.
fn outputs(node: &NodeProto) -> Option<[&str; 3]> {
    match &node.output[..] {
        [integers, scale, zero] => Some([integers, scale, zero]),
        _ => None,
    }
}

/// Whether everything that is read of a quantized tensor is scaled back once.
fn is_standard([integers, scale, zero]: [&str; 3], flow: &Flow<'_>, makers: &BTreeMap<&str, &NodeProto>) -> bool {
    let is_product = |node: &NodeProto| reads_zero(node, integers, zero) && scales_back(node, scale, flow, makers);
    let is_scale_of = |node: &NodeProto| node.op_type == "Mul" || node.op_type == SCALED_PRODUCT;
    let readers = flow.readers(integers);
    !readers.is_empty()
        && readers.iter().all(|node| is_product(node))
        && flow.readers(zero).iter().all(|node| reads_zero(node, integers, zero))
        && flow.readers(scale).iter().all(|node| is_scale_of(node))
}

/// Whether a node multiplies the integers by constants, with their zero point.
fn reads_zero(node: &NodeProto, integers: &str, zero: &str) -> bool {
    let place = match node.op_type.as_str() {
        SCALED_PRODUCT => 4,
        operator if PRODUCTS.iter().any(|(name, ..)| *name == operator) => 2,
        _ => return false,
    };
    let reads = |index: usize, wanted: &str| node.input.get(index).is_some_and(|name| name == wanted);
    reads(0, integers) && reads(place, zero) && node.input.iter().filter(|name| *name == integers).count() == 1
}

/// Whether a product is multiplied by the scale: at once, or after a Cast by it or by its product with a constant.
fn scales_back(node: &NodeProto, scale: &str, flow: &Flow<'_>, makers: &BTreeMap<&str, &NodeProto>) -> bool {
    if flow.depends(node.input.get(1).map_or("", String::as_str)) {
        return false;
    }
    if node.op_type == SCALED_PRODUCT {
        return node.input.get(2).is_some_and(|name| name == scale);
    }
    let reader = |node: &NodeProto| node.output.first().and_then(|output| flow.only_reader(output));
    let cast = reader(node).filter(|cast| cast.op_type == "Cast" && is_cast_to_float(cast));
    let product = cast.and_then(reader).filter(|product| product.op_type == "Mul");
    let (Some(cast), Some(product)) = (cast, product) else { return false };
    let other = product.input.iter().find(|name| !cast.output.contains(name));
    other.is_some_and(|other| {
        let is_multiple = |maker: &&NodeProto| {
            let constants = maker.input.iter().filter(|name| !flow.depends(name)).count();
            maker.op_type == "Mul" && maker.input.iter().any(|name| name == scale) && constants == 1
        };
        other == scale || makers.get(other.as_str()).is_some_and(is_multiple)
    })
}

fn is_cast_to_float(cast: &NodeProto) -> bool {
    let target = Attributes(&cast.attribute).integer("to").ok().flatten();
    target == Some(DataType::Float as i64)
}

/// The operand itself, and the scale 1.
fn write_operand(it: &mut Replacement<'_>) {
    it.finish("Identity", &[it.input(0)], &[it.output(0)], vec![]);
    it.also("Constant", &[], it.output(1), vec![tensor("value", scalar(1.0))]);
}

/// A product with the numbers that weights are without their scale.
fn write_product(it: &mut Replacement<'_>, real: &str, axis: i64) {
    let one = it.number(1.0);
    let weights = it.add("DequantizeLinear", &[it.input(1), &one, it.input(3)], vec![integer("axis", axis)]);
    let attributes = it.kept(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]);
    it.finish(real, &[it.input(0), &weights], &[it.output(0)], attributes);
}

/// A product with weights and their scale, and a bias.
fn write_scaled_product(it: &mut Replacement<'_>) {
    let operands = [it.input(1), it.input(3), it.input(5)];
    let weights = it.add("DequantizeLinear", &operands, vec![integer("axis", -1)]);
    it.product_and_sum(&weights, it.input(6));
}
