//! Results for others: what CKKS decrypts carries the noise of its ciphertext, and whoever has both learns of the secret key
//! (Li, Micciancio, ePrint 2020/1533). Rounded to steps that are large beside the noise, a score says next to nothing of it
//! (Alexandru, Al Badawi, Micciancio, Polyakov, ePrint 2024/203).

use paf_circuit::ClientPart;

use crate::samples::ClientOutput;

/// Bits of the noise that a step is wider than, at least: one score in 2^8 lies so near to the border of two steps that the
/// noise may decide between them.
const NOISE_BITS: f64 = 8.0;

/// Most bits of a score that can be shared, by the precision that the compiler predicts.
pub fn most_shared_bits(part: &ClientPart) -> u32 {
    (part.precision_bits - NOISE_BITS).floor().max(0.0) as u32
}

/// Results of decrypted tensors that are rounded to steps of 2^-bits of the largest magnitude that calibration showed, itself
/// rounded up to a power of two. Results that there are none of stay as they are.
pub fn rounded(part: &ClientPart, output: &ClientOutput, bits: u32) -> ClientOutput {
    if output.ports.iter().flatten().any(|value| !value.is_finite()) {
        return output.clone();
    }
    let port = |(values, scale): (&Vec<f64>, f64)| -> Vec<f64> {
        let step = (scale.abs().log2().ceil() - f64::from(bits)).exp2();
        values.iter().map(|value| (value / step).round() * step).collect()
    };
    let scales = part.outputs.iter().map(|port| port.scale);
    let ports: Vec<Vec<f64>> = output.ports.iter().zip(scales).map(port).collect();
    let results = part.program.evaluate(&ports);
    ClientOutput { ports, results }
}
