//! A constant sparse matrix: average pools, selections, permutations.

use paf_ir::Sparse;

use super::{Kernel, Real, each_sample};

/// Operand: `[batch, columns]`.
pub(crate) struct SparseMap {
    rows: Rows,
    transposed: Rows,
}

struct Rows {
    columns: usize,
    starts: Vec<usize>,
    entries: Vec<(u32, f64)>,
}

impl Rows {
    fn new(columns: usize, rows: impl Iterator<Item = Vec<(u32, f64)>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in rows {
            entries.extend(row);
            starts.push(entries.len());
        }
        Rows { columns, starts, entries }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn apply<T: Real>(&self, x: &[T]) -> Vec<T> {
        each_sample(x, (self.columns, self.count()), |x, y| {
            for (value, range) in y.iter_mut().zip(self.starts.windows(2)) {
                let row = &self.entries[range[0]..range[1]];
                *value = row.iter().map(|&(column, weight)| T::from_f64(weight) * x[column as usize]).sum();
            }
        })
    }
}

impl SparseMap {
    pub(crate) fn new(matrix: &Sparse) -> Self {
        let row = |row: usize| matrix.row(row).map(|(column, value)| (column as u32, value)).collect::<Vec<_>>();
        let mut by_column = vec![Vec::new(); matrix.columns];
        for number in 0..matrix.rows() {
            matrix.row(number).for_each(|(column, value)| by_column[column].push((number as u32, value)));
        }
        SparseMap {
            rows: Rows::new(matrix.columns, (0..matrix.rows()).map(row)),
            transposed: Rows::new(matrix.rows(), by_column.into_iter()),
        }
    }
}

impl Kernel for SparseMap {
    const NAME: &'static str = "sparse map";

    fn widths(&self) -> (usize, usize) {
        (self.rows.columns, self.rows.count())
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        self.rows.apply(operands[0])
    }

    fn backward<T: Real>(&self, _: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        vec![wanted[0].then(|| self.transposed.apply(gradient))]
    }
}
