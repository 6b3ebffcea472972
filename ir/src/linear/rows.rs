//! The matrix of a linear map row by row, without the matrix.
//!
//! Of the factors of most maps one alone mixes elements (a convolution, a dense layer, an average); what stands before and behind it
//! moves elements or multiplies each by a factor. A row is then computed from the weights, to the bits that the expansion has: the
//! same products, added up in the same order. Maps of several factors that mix are expanded.

use std::ops::Range;

use super::matrix::{ConvRows, average_row, dense_row};
use super::{LinearMap, Primitive, ZERO};
use crate::sparse::{Matrix, Sparse, VisitRow};

/// The rows of a map's matrix, scale included, bias not.
#[derive(Debug, Clone)]
pub struct MapRows<'m> {
    form: Form<'m>,
    rows: usize,
}

#[derive(Debug, Clone)]
enum Form<'m> {
    Computed(Computed<'m>),
    Expanded(Sparse),
}

#[derive(Debug, Clone)]
struct Computed<'m> {
    /// First to last.
    before: Vec<Step<'m>>,
    mixing: Mixing<'m>,
    /// First to last.
    behind: Vec<Step<'m>>,
    scale: f64,
}

/// A factor whose rows have one entry at most.
#[derive(Debug, Clone)]
enum Step<'m> {
    /// The input element of each output element; [`ZERO`] for none.
    Move(Vec<u32>),
    /// `values[(i / repeat) mod len]`.
    Multiply { values: &'m [f64], repeat: usize },
}

/// The one factor that mixes elements.
#[derive(Debug, Clone)]
enum Mixing<'m> {
    None,
    Conv(ConvRows<'m>),
    Other(&'m Primitive),
}

impl LinearMap {
    /// Whether its rows are computed from the weights; otherwise they take the memory of its expansion.
    pub fn has_computed_rows(&self) -> bool {
        self.factors.iter().filter(|factor| factor.mixes()).count() <= 1
    }

    /// The rows of its matrix.
    pub fn rows(&self) -> MapRows<'_> {
        let form = match self.has_computed_rows() {
            true => Form::Computed(Computed::new(self)),
            false => Form::Expanded(self.matrix()),
        };
        MapRows { form, rows: self.outputs }
    }
}

impl Primitive {
    /// Whether a row of its matrix may have several entries.
    fn mixes(&self) -> bool {
        matches!(self, Primitive::Conv(_) | Primitive::Dense { .. } | Primitive::AveragePool(_))
    }

    /// Whether every element of the result is one of the input, or zero.
    pub(super) fn only_moves(&self) -> bool {
        matches!(self, Primitive::Select { .. } | Primitive::Permute { .. })
    }
}

impl Matrix for MapRows<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn each_row_of(&self, rows: Range<usize>, visit: &mut VisitRow<'_>) {
        match &self.form {
            Form::Expanded(matrix) => matrix.each_row_of(rows, visit),
            Form::Computed(computed) => computed.each_row_of(rows, visit),
        }
    }
}

impl<'m> Computed<'m> {
    fn new(map: &'m LinearMap) -> Self {
        let place = map.factors.iter().position(Primitive::mixes);
        let (before, behind) = map.factors.split_at(place.unwrap_or(0));
        let (mixing, behind) = match (place, behind) {
            (Some(_), [Primitive::Conv(conv), behind @ ..]) => (Mixing::Conv(ConvRows::new(conv)), behind),
            (Some(_), [other, behind @ ..]) => (Mixing::Other(other), behind),
            _ => (Mixing::None, behind),
        };
        let steps = |factors: &'m [Primitive]| factors.iter().map(Step::of).collect();
        Computed { before: steps(before), mixing, behind: steps(behind), scale: map.scale }
    }

    fn each_row_of(&self, rows: Range<usize>, visit: &mut VisitRow<'_>) {
        let (mut row, mut picked) = (Row::default(), vec![]);
        for index in rows {
            row.clear();
            picked.clear();
            if let Some(place) = through(&self.behind, index, &mut picked) {
                self.mixing_row(place, &mut row);
                picked.iter().rev().for_each(|factor| row.multiply(*factor));
                row.scale(self.scale);
            }
            visit(index, &row.columns, &row.values);
        }
    }

    /// The row of the mixing factor behind what stands before it.
    fn mixing_row(&self, index: usize, row: &mut Row) {
        match &self.mixing {
            Mixing::None => row.push(index as u32, 1.0),
            Mixing::Conv(conv) => conv.row(index, &mut row.columns, &mut row.values),
            Mixing::Other(Primitive::Dense { weight, left: _, right }) => {
                dense_row(weight, *right, index, |column, value| row.push(column, value));
            }
            Mixing::Other(Primitive::AveragePool(window)) => {
                average_row(window, index, |column, value| row.push(column, value))
            }
            Mixing::Other(_) => unreachable!("all other factors have one entry a row"),
        }
        row.tidy();
        if !self.before.is_empty() {
            self.before_row(row);
        }
    }

    fn before_row(&self, row: &mut Row) {
        let (mut kept, mut picked) = (Row::default(), vec![]);
        for (&column, &value) in row.columns.iter().zip(&row.values) {
            picked.clear();
            if let Some(place) = through(&self.before, column as usize, &mut picked) {
                let factor = picked.iter().rev().copied().reduce(|product, later| later * product);
                kept.push(place as u32, factor.map_or(value, |factor| value * factor));
            }
        }
        *row = kept;
        row.tidy();
    }
}

/// Which element a chain of steps takes for one of its result, with the factors on the way, the last one first; `None` for zero.
fn through(steps: &[Step<'_>], index: usize, picked: &mut Vec<f64>) -> Option<usize> {
    let mut place = index;
    for step in steps.iter().rev() {
        match step {
            Step::Move(from) if from[place] == ZERO => return None,
            Step::Move(from) => place = from[place] as usize,
            Step::Multiply { values, repeat } => picked.push(values[place / repeat % values.len()]),
        }
    }
    Some(place)
}

impl<'m> Step<'m> {
    fn of(factor: &'m Primitive) -> Self {
        match factor {
            Primitive::Diagonal { values, repeat, .. } => Step::Multiply { values: &values.data, repeat: *repeat },
            _ => Step::Move(factor.moves()),
        }
    }
}

/// One row: columns and their values.
#[derive(Debug, Default)]
struct Row {
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Row {
    fn clear(&mut self) {
        self.columns.clear();
        self.values.clear();
    }

    fn push(&mut self, column: u32, value: f64) {
        self.columns.push(column);
        self.values.push(value);
    }

    /// Times a factor, as a product of matrices has it: what becomes zero goes.
    fn multiply(&mut self, factor: f64) {
        self.values.iter_mut().for_each(|value| *value *= factor);
        self.tidy();
    }

    /// Times a factor; zeros stay.
    fn scale(&mut self, factor: f64) {
        if factor != 1.0 {
            self.values.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// Columns ascend, each is there once, and no value is zero.
    fn tidy(&mut self) {
        let ascends = self.columns.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends || self.values.contains(&0.0) {
            let mut entries: Vec<(u32, f64)> = self.columns.iter().copied().zip(self.values.iter().copied()).collect();
            entries.sort_by_key(|entry| entry.0);
            self.clear();
            for (column, value) in entries {
                match (self.columns.last(), self.values.last_mut()) {
                    (Some(&last), Some(sum)) if last == column => *sum += value,
                    _ => self.push(column, value),
                }
            }
            self.drop_zeros();
        }
    }

    fn drop_zeros(&mut self) {
        let mut values = self.values.iter();
        self.columns.retain(|_| values.next() != Some(&0.0));
        self.values.retain(|value| *value != 0.0);
    }
}
