//! A linear map as one sparse matrix on slots, read off the plan that an encrypted run uses.

use paf_ir::Sparse;
use paf_ir::diagonals::PackedMap;
use paf_ir::sparse::Matrix as _;

/// The map from all slots of one period of the inputs to those of the outputs, with bias.
pub(crate) struct SlotMatrix {
    matrix: Sparse,
    bias: Option<Vec<Vec<f64>>>,
    output_period: usize,
    row_norm: f64,
}

impl SlotMatrix {
    /// Expands the plan.
    pub(crate) fn new(map: &PackedMap) -> Self {
        let matrix = map.slot_matrix();
        let row_norm = mean_row_norm(&matrix);
        SlotMatrix { matrix, bias: map.bias_slots(), output_period: map.output.period, row_norm }
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

fn mean_row_norm(matrix: &Sparse) -> f64 {
    let squares: Vec<f64> = (0..matrix.rows()).map(|row| matrix.row(row).map(|(_, v)| v * v).sum()).collect();
    let used = squares.iter().filter(|&&square| square > 0.0).count().max(1);
    (squares.iter().sum::<f64>() / used as f64).sqrt()
}
