//! Sparse matrices in compressed rows, the common expansion of every linear map.

use std::ops::Range;

/// What looks at rows: the number of each, its columns, which ascend, and their values.
pub type VisitRow<'v> = dyn FnMut(usize, &[u32], &[f64]) + 'v;

/// A matrix that is read row by row.
pub trait Matrix {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Visits rows in order.
    fn each_row_of(&self, rows: Range<usize>, visit: &mut VisitRow<'_>);

    /// Visits all rows in order.
    fn each_row(&self, visit: &mut VisitRow<'_>) {
        self.each_row_of(0..self.rows(), visit);
    }

    /// Number of entries.
    fn entry_count(&self) -> usize {
        let mut count = 0;
        self.each_row(&mut |_, columns, _| count += columns.len());
        count
    }

    /// The matrix times a vector.
    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = Vec::with_capacity(self.rows());
        self.each_row(&mut |_, columns, values| {
            y.push(columns.iter().zip(values).map(|(&column, value)| value * x[column as usize]).sum());
        });
        y
    }

    /// The matrix times several vectors side by side, to the same bits as [`Matrix::apply`].
    fn apply_lanes<const L: usize>(&self, x: &[[f64; L]]) -> Vec<[f64; L]> {
        let mut y = Vec::with_capacity(self.rows());
        self.each_row(&mut |_, columns, values| {
            let mut sums = [0.0; L];
            for (&column, value) in columns.iter().zip(values) {
                sums.iter_mut().zip(&x[column as usize]).for_each(|(sum, x)| *sum += value * x);
            }
            y.push(sums);
        });
        y
    }
}

impl Matrix for Sparse {
    fn rows(&self) -> usize {
        self.rows()
    }

    fn entry_count(&self) -> usize {
        self.entry_count()
    }

    fn each_row_of(&self, rows: Range<usize>, visit: &mut VisitRow<'_>) {
        for row in rows {
            let range = self.row_starts[row]..self.row_starts[row + 1];
            visit(row, &self.column_indices[range.clone()], &self.values[range]);
        }
    }
}

/// Rows of a product that are made at a time to count its entries.
const COUNTED_ROWS: usize = 64;

/// Whether the product `left · right` has at most so many entries; no more of it than a few rows is made at a time.
pub fn product_fits(left: &impl Matrix, right: &impl Matrix, most: usize) -> bool {
    let mut count = 0;
    (0..left.rows()).step_by(COUNTED_ROWS).all(|first| {
        let rows = COUNTED_ROWS.min(left.rows() - first);
        let part = Sparse::from_rows(rows, usize::MAX, |row, entries| product_row(left, right, first + row, entries));
        count += part.entry_count();
        count <= most
    })
}

fn product_row(left: &impl Matrix, right: &impl Matrix, row: usize, entries: &mut Vec<(u32, f64)>) {
    left.each_row_of(row..row + 1, &mut |_, middles, factors| {
        for (&middle, factor) in middles.iter().zip(factors) {
            let middle = middle as usize;
            right.each_row_of(middle..middle + 1, &mut |_, columns, values| {
                entries.extend(columns.iter().zip(values).map(|(&column, value)| (column, factor * value)));
            });
        }
    });
}

/// A sparse matrix; column indices ascend within a row. Entries that add up to exactly zero are not stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Sparse {
    /// Number of columns.
    pub columns: usize,
    row_starts: Vec<usize>,
    column_indices: Vec<u32>,
    values: Vec<f64>,
}

impl Sparse {
    /// Builds a matrix row by row: `fill(row, entries)` appends `(column, value)` pairs in any order;
    /// pairs with the same column add up.
    pub fn from_rows(rows: usize, columns: usize, mut fill: impl FnMut(usize, &mut Vec<(u32, f64)>)) -> Self {
        let mut matrix = Self::with_capacity(rows, columns, 0);
        let mut entries = Vec::new();
        for row in 0..rows {
            entries.clear();
            fill(row, &mut entries);
            matrix.push_row(&mut entries);
        }
        matrix
    }

    /// Builds a matrix of at most `entries` entries row by row: `fill(row, columns, values)` appends columns that ascend
    /// within the row, and their values, none of them zero.
    pub(crate) fn from_sorted_rows(
        rows: usize,
        columns: usize,
        entries: usize,
        mut fill: impl FnMut(usize, &mut Vec<u32>, &mut Vec<f64>),
    ) -> Self {
        let mut matrix = Self::with_capacity(rows, columns, entries);
        for row in 0..rows {
            fill(row, &mut matrix.column_indices, &mut matrix.values);
            matrix.row_starts.push(matrix.values.len());
        }
        matrix
    }

    fn with_capacity(rows: usize, columns: usize, entries: usize) -> Self {
        let mut row_starts = Vec::with_capacity(rows + 1);
        row_starts.push(0);
        Sparse { columns, row_starts, column_indices: Vec::with_capacity(entries), values: Vec::with_capacity(entries) }
    }

    fn push_row(&mut self, entries: &mut [(u32, f64)]) {
        let is_final =
            entries.windows(2).all(|pair| pair[0].0 < pair[1].0) && entries.iter().all(|entry| entry.1 != 0.0);
        if is_final {
            self.column_indices.extend(entries.iter().map(|entry| entry.0));
            self.values.extend(entries.iter().map(|entry| entry.1));
        } else {
            self.add_up(entries);
        }
        self.row_starts.push(self.values.len());
    }

    /// Appends entries in any order; those of one column add up.
    fn add_up(&mut self, entries: &mut [(u32, f64)]) {
        entries.sort_by_key(|entry| entry.0);
        let start = self.values.len();
        for &(column, value) in entries.iter() {
            match self.column_indices.last() {
                Some(&last) if last == column && self.values.len() > start => {
                    *self.values.last_mut().expect("a column index has a value") += value;
                }
                _ => {
                    self.column_indices.push(column);
                    self.values.push(value);
                }
            }
        }
        self.drop_zeros(start);
    }

    fn drop_zeros(&mut self, start: usize) {
        let mut kept = start;
        for i in start..self.values.len() {
            if self.values[i] != 0.0 {
                self.values[kept] = self.values[i];
                self.column_indices[kept] = self.column_indices[i];
                kept += 1;
            }
        }
        self.values.truncate(kept);
        self.column_indices.truncate(kept);
    }

    /// The identity of the given size.
    pub fn identity(size: usize) -> Self {
        Self::from_rows(size, size, |row, entries| entries.push((row as u32, 1.0)))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.row_starts.len() - 1
    }

    /// Number of stored entries.
    pub fn entry_count(&self) -> usize {
        self.values.len()
    }

    /// The `(column, value)` pairs of one row, columns ascending.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.row_starts[row]..self.row_starts[row + 1];
        range.map(|i| (self.column_indices[i] as usize, self.values[i]))
    }

    pub(crate) fn map_values(&mut self, f: impl Fn(f64) -> f64) {
        self.values.iter_mut().for_each(|value| *value = f(*value));
    }

    /// The product `self · right`.
    pub fn multiply(&self, right: &Sparse) -> Sparse {
        Sparse::from_rows(self.rows(), right.columns, |row, entries| {
            for (middle, left_value) in self.row(row) {
                entries.extend(right.row(middle).map(|(column, value)| (column as u32, left_value * value)));
            }
        })
    }
}
