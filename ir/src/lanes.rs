//! Vectors of several samples side by side: element by element, one lane a sample.

pub use pulp::NullaryFnOnce;

/// Samples that are evaluated together.
pub const LANES: usize = 8;

/// Runs loops compiled for the widest vector instructions that the processor has. Nothing is fused: results are the same bits
/// on every machine. A closure may stay a call, and is then compiled for the least of them; what should not is a type whose
/// `call` is always inlined.
pub fn vectorized<W: NullaryFnOnce>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

/// Interleaves at most `L` vectors of one length; lanes that are left over repeat the last vector.
pub fn side_by_side<const L: usize>(vectors: &[&[f64]]) -> Vec<[f64; L]> {
    let size = vectors.first().map_or(0, |vector| vector.len());
    let mut elements = vec![[0.0; L]; size];
    for lane in 0..L {
        let Some(vector) = vectors.get(lane).or(vectors.last()) else { break };
        elements.iter_mut().zip(*vector).for_each(|(element, &value)| element[lane] = value);
    }
    elements
}

/// The vectors of the first `count` lanes.
pub fn apart<const L: usize>(elements: &[[f64; L]], count: usize) -> Vec<Vec<f64>> {
    (0..count.min(L)).map(|lane| elements.iter().map(|element| element[lane]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_apart_again() {
        let vectors = [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
        let slices: Vec<&[f64]> = vectors.iter().map(Vec::as_slice).collect();
        let elements = side_by_side::<4>(&slices);
        assert_eq!(elements, [[1.0, 3.0, 5.0, 5.0], [2.0, 4.0, 6.0, 6.0]]);
        assert_eq!(apart(&elements, 3), vectors);
        assert!(side_by_side::<4>(&[]).is_empty());
    }
}
