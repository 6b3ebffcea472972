//! What a plan computes, as one sparse matrix on slots.

use super::PackedMap;
use crate::sparse::Sparse;

impl PackedMap {
    /// The map from all slots of one period of the inputs to those of the outputs, bias not included: the diagonals that
    /// the plan takes, with its folds. Giant and baby steps share a diagonal's rotation among them, which leaves its sums as
    /// they are.
    pub fn slot_matrix(&self) -> Sparse {
        let (input, output, modulus) = (&self.input, &self.output, self.plan.modulus);
        let matrix = self.map.matrix();
        let taken = self.plan.representatives(input.period);
        let length = input.period.max(output.period);
        let folded_length = if self.plan.folds.is_empty() { length } else { modulus };
        let mut element_at = vec![None; output.ciphertexts * output.period];
        (0..matrix.rows()).for_each(|element| element_at[output.slot(element)] = Some(element));
        Sparse::from_rows(element_at.len(), input.ciphertexts * input.period, |row, entries| {
            let Some(element) = element_at[row] else { return };
            let output_slot = row % output.period;
            for (column, value) in matrix.row(element) {
                let global = input.slot(column);
                let input_slot = global % input.period;
                // The slots that end as this row once folded, and the diagonal that meets the entry there.
                for slot in (output_slot..length).step_by(output.period) {
                    let diagonal = (input_slot + length - slot) % input.period;
                    if slot % folded_length == output_slot && taken[diagonal % modulus] == Some(diagonal) {
                        entries.push((global as u32, value));
                    }
                }
            }
        })
    }
}
