//! Layouts, and the inputs and results that the client sees.

use std::sync::Arc;

use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientStep, ClientValue, ResultKind};
use paf_ir::layout::{Digit, Gaps};
use paf_ir::program::{InputPort, InputScaling, OutputPort, OwnColumn, OwnColumns};
use paf_ir::{Layout, Shape};

use super::{Result, linear, malformed, name, product, required, row, size};
use crate::limits::{self, Budget};
use crate::schema;

/// The table of layouts.
pub(super) fn layouts(messages: &[schema::Layout], budget: &mut Budget) -> Result<Vec<Layout>> {
    messages.iter().map(|message| layout(message, &mut budget.layout_slots)).collect()
}

fn layout(message: &schema::Layout, slots_left: &mut u64) -> Result<Layout> {
    let slots = product([message.period, message.ciphertexts], limits::ELEMENTS.min(*slots_left), "a layout's slots")?;
    *slots_left -= slots as u64;
    let (period, ciphertexts) = (message.period as usize, message.ciphertexts as usize);
    let gaps = match message.gaps() {
        schema::Gaps::Zero => Gaps::Zero,
        schema::Gaps::Leftover => Gaps::Leftover,
        schema::Gaps::Unspecified => return Err(malformed(format!("unknown kind {} of gaps", message.gaps))),
    };
    let layout = match required(message.places.as_ref(), "a layout's places")? {
        schema::LayoutPlaces::Digits(digits) => {
            Layout::from_digits(digits.first, &mixed_radix(digits)?, period, ciphertexts, gaps)
        }
        schema::LayoutPlaces::Table(table) => Layout::new(table.slots.clone(), period, ciphertexts, gaps),
    };
    layout.filter(|layout| layout.size() > 0).ok_or_else(|| malformed("a layout does not fit its slots"))
}

/// Digits whose slots can be summed without overflow.
fn mixed_radix(message: &schema::Digits) -> Result<Vec<Digit>> {
    product(message.sizes.iter().copied(), limits::ELEMENTS, "a layout's size")?;
    let regular = message.sizes.len() == message.strides.len()
        && message.sizes.iter().all(|&size| size > 1)
        && message.strides.iter().all(|stride| stride.unsigned_abs() <= limits::ELEMENTS);
    if !regular {
        return Err(malformed("a layout's digits are not regular"));
    }
    let mut divisor = 1;
    let next = |(&size, &stride): (&u64, &i64)| {
        let digit = Digit { divisor, size: size as usize, stride };
        divisor *= digit.size;
        digit
    };
    Ok(message.sizes.iter().zip(&message.strides).map(next).collect())
}

/// A shape of at most `limit` elements.
pub(super) fn shape(sizes: &[u64], limit: u64) -> Result<Shape> {
    if sizes.len() > limits::AXES {
        return Err(malformed(format!("a shape of {} axes", sizes.len())));
    }
    product(sizes.iter().copied(), limit, "a shape's size")?;
    Ok(Shape(sizes.iter().map(|&axis| axis as usize).collect()))
}

/// The inputs, at least one.
pub(super) fn inputs(messages: Vec<schema::InputPort>, layouts: &[Layout], slots: usize) -> Result<Vec<InputPort>> {
    if messages.is_empty() {
        return Err(malformed("there is no input"));
    }
    messages.into_iter().map(|message| input(message, layouts, slots)).collect()
}

fn input(message: schema::InputPort, layouts: &[Layout], slots: usize) -> Result<InputPort> {
    let range = (message.range_low, message.range_high);
    let port = InputPort {
        shape: shape(&message.shape, limits::ELEMENTS)?,
        layout: row(layouts, message.layout, "layout")?.clone(),
        scaling: InputScaling { scale: message.scale, range, own: own_columns(message.own)? },
        name: name(message.name)?,
    };
    if let Some(problem) = port.scaling.own.problem(port.shape.size()) {
        return Err(malformed(format!("input `{}`: {problem}", port.name)));
    }
    check_port(&port.name, &port.shape, &port.layout, port.scaling.scale, slots)?;
    if range.0 <= range.1 { Ok(port) } else { Err(malformed(format!("input `{}`: range {range:?}", port.name))) }
}

/// The results, at least one, each with what `values` says of where it is.
pub(super) fn outputs<V: Copy>(
    messages: Vec<schema::OutputPort>,
    values: &[V],
    layouts: &[Layout],
    slots: usize,
) -> Result<Vec<OutputPort<V>>> {
    if messages.is_empty() || messages.len() != values.len() {
        return Err(malformed(format!("{} outputs with {} values", messages.len(), values.len())));
    }
    messages.into_iter().zip(values).map(|(message, &value)| output(message, value, layouts, slots)).collect()
}

fn output<V>(message: schema::OutputPort, value: V, layouts: &[Layout], slots: usize) -> Result<OutputPort<V>> {
    let shape = shape(&message.shape, limits::ELEMENTS)?;
    let port = OutputPort {
        layout: row(layouts, message.layout, "layout")?.clone(),
        scale: message.scale,
        name: name(message.name)?,
        value,
        shape,
    };
    check_port(&port.name, &port.shape, &port.layout, port.scale, slots)?;
    Ok(port)
}

fn check_port(name: &str, shape: &Shape, layout: &Layout, scale: f64, slots: usize) -> Result<()> {
    let fits = layout.period == slots || (layout.period < slots && layout.ciphertexts == 1);
    if fits && shape.size() == layout.size() && scale.is_finite() && scale != 0.0 {
        return Ok(());
    }
    Err(malformed(format!("port `{name}`: shape {shape}, layout and scale {scale} do not agree")))
}

/// What the client computes; its sizes are checked here, its meaning by [`paf_ir::client::ClientProgram::check`].
pub(super) fn client_program(message: Option<schema::ClientProgram>) -> Result<ClientProgram> {
    let Some(message) = message else { return Ok(ClientProgram::default()) };
    let mut left = limits::ELEMENTS;
    let mut sizes = |message: Option<schema::Shape>| {
        let sizes = required(message, "a shape of the client's program")?.sizes;
        let shape = shape(&sizes, left)?;
        left -= shape.size() as u64;
        Ok(shape)
    };
    let ports = message.ports.into_iter().map(|shape| sizes(Some(shape))).collect::<Result<Vec<_>>>()?;
    let value = |value: u32| match (value as usize).checked_sub(ports.len()) {
        Some(step) => ClientValue::Step(step),
        None => ClientValue::Port(value as usize),
    };
    let mut steps = vec![];
    for step in message.steps {
        let constant = step.constant.map(linear::constant).transpose()?;
        let op = ClientOp::from_parts(&step.operation, &step.integers, constant);
        let op = op.ok_or_else(|| malformed(format!("no operation {:?} of the client", step.operation)))?;
        let operands = step.operands.into_iter().map(value).collect();
        steps.push(ClientStep { op, operands, shape: sizes(step.shape)? });
    }
    let mut results = vec![];
    for result in message.results {
        let kind = result_kind(result.kind(), result.texts)?;
        let (value, shape) = (value(result.value), sizes(result.shape)?);
        results.push(ClientResult { name: name(result.name)?, value, shape, kind });
    }
    Ok(ClientProgram { ports, steps, results })
}

fn result_kind(kind: schema::ResultKind, texts: Vec<String>) -> Result<ResultKind> {
    match (kind, texts.is_empty()) {
        (schema::ResultKind::Real, true) => Ok(ResultKind::Real),
        (schema::ResultKind::Integer, true) => Ok(ResultKind::Integer),
        (schema::ResultKind::Boolean, true) => Ok(ResultKind::Boolean),
        (schema::ResultKind::Text, false) => Ok(ResultKind::Text(Arc::new(texts))),
        _ => Err(malformed("a result is of no known kind")),
    }
}

fn own_columns(message: Option<schema::OwnColumns>) -> Result<OwnColumns> {
    let Some(message) = message else { return Ok(OwnColumns::default()) };
    let column = |column: schema::OwnColumn| OwnColumn {
        column: column.column as usize,
        offset: column.offset,
        scale: column.scale,
        range: (column.range_low, column.range_high),
    };
    Ok(OwnColumns {
        repeat: size(message.repeat, limits::ELEMENTS, "a column's repeat")?,
        count: size(message.count, limits::ELEMENTS, "the number of columns")?,
        columns: message.columns.into_iter().map(column).collect(),
    })
}
