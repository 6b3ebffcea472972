//! Einsum of a tensor, and of a tensor and constants: sums, diagonals, and one product of matrices for each batch.

use std::collections::BTreeMap;

use paf_ir::Shape;

use super::broadcast::expanded;
use super::constants::ConstantValue;
use super::dense::grouped_product;
use super::elementwise::{Binary, combine};
use super::reduce::mean_over;
use super::site::{Outcome, Refusal, Site, Value, size};

/// The name of an axis: a letter, or a place from the end among the axes that `...` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Letter(char),
    Rest(usize),
}

/// A value and the names of its axes.
struct Term {
    value: Value,
    labels: Vec<Label>,
}

/// Einsum.
pub(super) fn einsum(site: &mut Site<'_>) -> Outcome {
    let equation = site.attributes.text("equation")?.ok_or_else(|| Refusal::invalid("the equation is missing"))?;
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (operands, result) = match equation.split_once("->") {
        Some((operands, result)) => (operands, Some(result)),
        None => (equation.as_str(), None),
    };
    let operands: Vec<&str> = operands.split(',').collect();
    if operands.len() != site.operands.len() {
        let problem =
            format!("equation `{equation}` has {} operands, the node {}", operands.len(), site.operands.len());
        return Err(Refusal::invalid(problem));
    }
    let (mut terms, mut written) = (vec![], vec![]);
    for (index, names) in operands.iter().enumerate() {
        let value = site.operand(index)?;
        if let Value::Constant(_) = value {
            site.weights(index, "a constant operand")?;
        }
        let labels = labels(names, site.shape(&value)?.0.len())?;
        written.extend(labels.iter().copied());
        terms.push(diagonal(site, Term { value, labels })?);
    }
    let result = result_labels(result, &written)?;
    let sizes = sizes(site, &terms)?;
    // Constants first: their product is a constant.
    terms.sort_by_key(|term| matches!(term.value, Value::Tensor(_)));
    let mut terms = terms.into_iter();
    let Some(mut product) = terms.next() else { return Err(Refusal::invalid("it has no operands")) };
    while let Some(next) = terms.next() {
        let later = terms.as_slice().iter().flat_map(|term| &term.labels);
        let needed: Vec<Label> = result.iter().chain(later).copied().collect();
        product = multiplied(site, product, next, &needed, &sizes)?;
    }
    product = summed(site, product, &result)?;
    aligned(site, product, &result, &sizes)
}

/// The names of an operand's axes.
fn labels(names: &str, rank: usize) -> Result<Vec<Label>, Refusal> {
    let fail = || Refusal::invalid(format!("`{names}` does not name {rank} axes"));
    let letters = |part: &str| -> Result<Vec<Label>, Refusal> {
        part.chars().map(|c| if c.is_ascii_alphabetic() { Ok(Label::Letter(c)) } else { Err(fail()) }).collect()
    };
    let labels = match names.split_once("...") {
        Some((before, after)) => {
            let (before, after) = (letters(before)?, letters(after)?);
            let rest = rank.checked_sub(before.len() + after.len()).ok_or_else(fail)?;
            [before, (0..rest).rev().map(Label::Rest).collect(), after].concat()
        }
        None => letters(names)?,
    };
    if labels.len() == rank { Ok(labels) } else { Err(fail()) }
}

/// The names of the result's axes: without an arrow what `...` stands for, then every letter that stands once, in order.
fn result_labels(given: Option<&str>, written: &[Label]) -> Result<Vec<Label>, Refusal> {
    let most =
        written.iter().filter_map(|label| if let Label::Rest(place) = label { Some(place + 1) } else { None }).max();
    let rest: Vec<Label> = (0..most.unwrap_or(0)).rev().map(Label::Rest).collect();
    let Some(given) = given else {
        let mut letters: Vec<Label> =
            written.iter().copied().filter(|label| matches!(label, Label::Letter(_))).collect();
        letters.sort_unstable();
        let once = letters.chunk_by(|a, b| a == b).filter(|chunk| chunk.len() == 1).map(|chunk| chunk[0]);
        return Ok(rest.into_iter().chain(once).collect());
    };
    let letters = given.replace("...", "").chars().count();
    let rank = letters + if given.contains("...") { rest.len() } else { 0 };
    let result = labels(given, rank)?;
    let is_known = |label: &Label| written.contains(label);
    match result.iter().enumerate().find(|(place, label)| !is_known(label) || result[..*place].contains(label)) {
        None => Ok(result),
        Some(_) => Err(Refusal::invalid(format!("`{given}` names an axis twice, or one that no operand has"))),
    }
}

/// The size of every axis; what `...` stands for broadcasts.
fn sizes(site: &Site<'_>, terms: &[Term]) -> Result<BTreeMap<Label, usize>, Refusal> {
    let mut sizes = BTreeMap::new();
    for Term { value, labels } in terms {
        for (&label, &size) in labels.iter().zip(&site.shape(value)?.0) {
            let known = sizes.entry(label).or_insert(size);
            match *known {
                1 => *known = size,
                known if known == size || size == 1 => {}
                known => return Err(Refusal::invalid(format!("an axis has sizes {known} and {size}"))),
            }
        }
    }
    Ok(sizes)
}

/// A term in which no name stands twice: of axes with one name the diagonal is taken.
fn diagonal(site: &mut Site<'_>, term: Term) -> Result<Term, Refusal> {
    let shape = site.shape(&term.value)?;
    let strides = shape.strides();
    let (mut labels, mut kept): (Vec<Label>, Vec<(usize, usize)>) = (vec![], vec![]);
    for ((&label, &size), &stride) in term.labels.iter().zip(&shape.0).zip(&strides) {
        match labels.iter().position(|&other| other == label) {
            Some(place) if kept[place].0 == size => kept[place].1 += stride,
            Some(_) => return Err(Refusal::invalid(format!("a diagonal of {shape} has axes of different size"))),
            None => {
                labels.push(label);
                kept.push((size, stride));
            }
        }
    }
    if labels.len() == term.labels.len() {
        return Ok(term);
    }
    let result = Shape(kept.iter().map(|&(size, _)| size).collect());
    let place = |element: usize| {
        let coordinates = result.coordinates(element);
        coordinates.iter().zip(&kept).map(|(index, (_, stride))| index * stride).sum::<usize>() as u32
    };
    let places = (0..size(&result)?).map(place).collect();
    let flat = site.reshaped(term.value, Shape(vec![size(&shape)?]))?;
    let value = site.selected(flat, vec![places])?;
    Ok(Term { value: site.reshaped(value, result)?, labels })
}

/// A term summed over the axes that nothing else has.
fn summed(site: &mut Site<'_>, term: Term, others: &[Label]) -> Result<Term, Refusal> {
    let shape = site.shape(&term.value)?;
    let reduced: Vec<usize> = (0..shape.0.len()).filter(|&axis| !others.contains(&term.labels[axis])).collect();
    if reduced.is_empty() {
        return Ok(term);
    }
    let kept: Vec<usize> = (0..shape.0.len()).filter(|axis| !reduced.contains(axis)).collect();
    let result = Shape(kept.iter().map(|&axis| shape.0[axis]).collect());
    let labels = kept.iter().map(|&axis| term.labels[axis]).collect();
    let value = match term.value {
        Value::Tensor(id) => {
            let count: usize = reduced.iter().map(|&axis| shape.0[axis]).product();
            Value::Tensor(mean_over(site, id, &reduced, count as f64)?)
        }
        value => {
            let columns: usize = reduced.iter().map(|&axis| shape.0[axis]).product();
            let value = site.permuted(value, [kept, reduced].concat())?;
            let flat = site.reshaped(value, Shape(vec![size(&result)?, columns]))?;
            let Value::Constant(constant) = flat else { return Err(Refusal::UnknownOperand) };
            let row = |row: usize| constant.tensor.data[row * columns..][..columns].iter().sum();
            let sums = (0..size(&result)?).map(row).collect();
            Value::Constant(ConstantValue::new(result.clone(), sums, constant.kind))
        }
    };
    Ok(Term { value: site.reshaped(value, result)?, labels })
}

/// The product of a constant with a tensor or another constant, summed over the axes that only they have.
fn multiplied(
    site: &mut Site<'_>,
    constant: Term,
    other: Term,
    needed: &[Label],
    sizes: &BTreeMap<Label, usize>,
) -> Result<Term, Refusal> {
    let Value::Constant(_) = constant.value else {
        return Err(Refusal::unsupported("two operands depend on the input", "one tensor beside constants works"));
    };
    let (with_other, with_constant) = ([&other.labels, needed].concat(), [&constant.labels, needed].concat());
    let constant = summed(site, constant, &with_other)?;
    let other = summed(site, other, &with_constant)?;
    let is_shared = |label: &Label| constant.labels.contains(label) && other.labels.contains(label);
    let (shared, columns): (Vec<Label>, Vec<Label>) = other.labels.iter().partition(|label| is_shared(label));
    let (batch, inner): (Vec<Label>, Vec<Label>) = shared.iter().partition(|label| needed.contains(label));
    let outputs: Vec<Label> = constant.labels.iter().filter(|label| !is_shared(label)).copied().collect();
    let count = |labels: &[Label]| labels.iter().map(|label| sizes[label]).product::<usize>();
    let weight = aligned(site, constant, &[&batch[..], &outputs, &inner].concat(), sizes)?;
    if inner.is_empty() && outputs.is_empty() {
        // A product element by element.
        let labels = [batch, columns].concat();
        let x = aligned(site, other, &labels[..shared.len()], sizes)?;
        let ones = vec![1; labels.len() - shared.len()];
        let shape = Shape([&site.shape(&weight)?.0[..], &ones].concat());
        let weight = site.reshaped(weight, shape)?;
        return Ok(Term { value: combine(site, Binary::Mul, x, weight)?, labels });
    }
    let x = aligned(site, other, &[&batch[..], &inner].concat(), sizes)?;
    // Columns keep the sizes that they have: 1 where `...` broadcasts.
    let of_columns = site.shape(&x)?.0[shared.len()..].to_vec();
    let numbers = [count(&batch), count(&inner), count(&outputs), of_columns.iter().product()];
    let [groups, inners, rows, places] = numbers;
    let x = site.reshaped(x, Shape(vec![groups, inners, places]))?;
    let weight = site.reshaped(weight, Shape(vec![groups, rows, inners]))?;
    let value = match (weight, x) {
        (Value::Constant(weight), Value::Tensor(x)) => grouped_product(site, x, &weight.tensor, numbers)?,
        (Value::Constant(weight), Value::Constant(x)) => product_of_constants(&weight, &x, numbers)?,
        _ => return Err(Refusal::UnknownOperand),
    };
    let labels = [batch, outputs, columns].concat();
    let first = labels[..labels.len() - of_columns.len()].iter().map(|label| sizes[label]);
    let shape = Shape(first.chain(of_columns).collect());
    Ok(Term { value: site.reshaped(value, shape)?, labels })
}

/// `[groups, rows, inner] · [groups, inner, columns]`.
fn product_of_constants(left: &ConstantValue, right: &ConstantValue, sizes: [usize; 4]) -> Outcome {
    let [groups, inner, rows, columns] = sizes;
    let result = Shape(vec![groups, rows, columns]);
    size(&result)?;
    let (left, right, kind) = (&left.tensor.data, &right.tensor.data, left.kind);
    let mut data = vec![0.0; groups * rows * columns];
    for (place, row) in data.chunks_mut(columns.max(1)).enumerate() {
        let (group, factors) = (place / rows.max(1), &left[place * inner..][..inner]);
        for (k, factor) in factors.iter().enumerate() {
            let others = &right[(group * inner + k) * columns..][..columns];
            row.iter_mut().zip(others).for_each(|(sum, other)| *sum += factor * other);
        }
    }
    Ok(Value::Constant(ConstantValue::new(result, data, kind)))
}

/// A term with these axes first, in this order and of these sizes; axes that it has stay behind them.
fn aligned(site: &mut Site<'_>, term: Term, first: &[Label], sizes: &BTreeMap<Label, usize>) -> Outcome {
    let shape = site.shape(&term.value)?;
    let place = |label: &Label| term.labels.iter().position(|own| own == label);
    let others = (0..term.labels.len()).filter(|&axis| !first.contains(&term.labels[axis]));
    let permutation: Vec<usize> = first.iter().filter_map(place).chain(others.clone()).collect();
    let value = site.permuted(term.value, permutation)?;
    let own = first.iter().map(|label| place(label).map_or(1, |axis| shape.0[axis]));
    let behind: Vec<usize> = others.map(|axis| shape.0[axis]).collect();
    let with_ones = Shape(own.chain(behind.iter().copied()).collect());
    let value = site.reshaped(value, with_ones)?;
    let target = first.iter().map(|label| sizes[label]).chain(behind);
    expanded(site, value, &Shape(target.collect()))
}
