//! A linear map as one sparse matrix on slots, read off the plaintexts and the plan that an encrypted run uses.

use std::collections::BTreeMap;

use paf_ir::Sparse;
use paf_ir::diagonals::{PackedMap, Plan};

/// Plaintexts of one block: `(giant index, baby rotation)` to values.
type Plaintexts = BTreeMap<(usize, i64), Vec<f64>>;

/// The map from all slots of one period of the inputs to those of the outputs, with bias.
pub(crate) struct SlotMatrix {
    matrix: Sparse,
    bias: Option<Vec<Vec<f64>>>,
    output_period: usize,
    row_norm: f64,
}

impl SlotMatrix {
    /// Expands the plan: what giants, babies and folds add up to in each slot.
    pub(crate) fn new(map: &PackedMap) -> Self {
        let (output_period, input_period) = (map.output.period, map.input.period);
        let length = input_period.max(output_period);
        let blocks = map.plaintexts();
        let rows = map.output.ciphertexts * output_period;
        let matrix = Sparse::from_rows(rows, map.input.ciphertexts * input_period, |row, entries| {
            for (block, plaintexts) in blocks[row / output_period].iter().enumerate() {
                let first_column = block * input_period;
                row_entries(&map.plan, plaintexts, row % output_period, length, |column, value| {
                    entries.push(((first_column + column % input_period) as u32, value));
                });
            }
        });
        let row_norm = mean_row_norm(&matrix);
        SlotMatrix { matrix, bias: map.bias_slots(), output_period, row_norm }
    }

    /// Applies the map to vectors of one input period each.
    pub(crate) fn apply(&self, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let joined;
        let column = if let [only] = inputs {
            only
        } else {
            joined = inputs.concat();
            &joined
        };
        let product = self.matrix.apply(column);
        let mut results: Vec<Vec<f64>> = product.chunks(self.output_period).map(<[f64]>::to_vec).collect();
        for (result, bias) in results.iter_mut().zip(self.bias.iter().flatten()) {
            result.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        results
    }

    /// Root mean square, over the rows that are not empty, of the Euclidean norm.
    pub(crate) fn row_norm(&self) -> f64 {
        self.row_norm
    }
}

/// `(column, value)` of every product that ends in slot `row`, which gathers the folded slots `row + k·modulus`.
fn row_entries(plan: &Plan, plaintexts: &Plaintexts, row: usize, length: usize, mut visit: impl FnMut(usize, f64)) {
    let copies = 1usize << plan.folds.len();
    for (&(giant, baby), values) in plaintexts {
        let rotation = plan.giants[giant].rotation;
        for copy in 0..copies {
            let slot = (row as i64 + (copy * plan.modulus) as i64 + rotation).rem_euclid(length as i64) as usize;
            if values[slot] != 0.0 {
                visit((slot as i64 + baby).rem_euclid(length as i64) as usize, values[slot]);
            }
        }
    }
}

fn mean_row_norm(matrix: &Sparse) -> f64 {
    let squares: Vec<f64> = (0..matrix.rows()).map(|row| matrix.row(row).map(|(_, v)| v * v).sum()).collect();
    let used = squares.iter().filter(|&&square| square > 0.0).count().max(1);
    (squares.iter().sum::<f64>() / used as f64).sqrt()
}
