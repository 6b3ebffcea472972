//! Results for others: what CKKS decrypts carries the noise of its ciphertext, and whoever has both learns of the secret key
//! (Li, Micciancio, ePrint 2020/1533). Rounded to steps that are large beside the noise, a score says next to nothing of it
//! (Alexandru, Al Badawi, Micciancio, Polyakov, ePrint 2024/203); flooded with fresh noise that is larger by half the bits of
//! statistical security, it says no more than chance (Li, Micciancio, Schultz, Sorrell, ePrint 2022/816).

use std::num::NonZeroU32;

use paf_circuit::ClientPart;

use crate::samples::ClientOutput;

/// Bits of the noise that a step is wider than, at least: one score in 2^8 lies so near to the border of two steps that the
/// noise may decide between them.
const NOISE_BITS: f64 = 8.0;

/// Bits of statistical security of flooding: what OpenFHE's `NOISE_FLOODING_DECRYPT` has by default.
const STATISTICAL_BITS: f64 = 30.0;

/// Bits by which the noise of a result may exceed what the compiler predicts on average.
const PREDICTION_BITS: f64 = 2.0;

/// Bits of precision that flooding takes where others may see the results of so many inputs: its standard deviation is
/// √(12·q)·2^(s/2) times that of the noise (ePrint 2022/816, as OpenFHE has it), itself taken as four times the predicted one.
pub fn flooding_bits(shown: NonZeroU32) -> f64 {
    (12.0 * f64::from(shown.get())).log2() / 2.0 + STATISTICAL_BITS / 2.0 + PREDICTION_BITS
}

/// Most bits of a score that can be shared, by the precision that the compiler predicts: as it is, or flooded.
pub fn most_shared_bits(part: &ClientPart, flooded: Option<NonZeroU32>) -> u32 {
    (part.precision_bits - flooded.map_or(NOISE_BITS, flooding_bits)).floor().max(0.0) as u32
}

/// Results of decrypted tensors to which fresh normal noise is added, [`flooding_bits`] larger than the predicted noise.
/// Results that there are none of stay as they are.
pub fn flooded(part: &ClientPart, output: &ClientOutput, shown: NonZeroU32) -> ClientOutput {
    let deviation = (flooding_bits(shown) - part.precision_bits).exp2();
    changed(part, output, |value, scale| value + deviation * scale * standard_normal())
}

/// Results of decrypted tensors that are rounded to steps of 2^-bits of the largest magnitude that calibration showed, itself
/// rounded up to a power of two. Results that there are none of stay as they are.
pub fn rounded(part: &ClientPart, output: &ClientOutput, bits: u32) -> ClientOutput {
    changed(part, output, |value, scale| {
        let step = (scale.log2().ceil() - f64::from(bits)).exp2();
        (value / step).round() * step
    })
}

/// What follows from decrypted tensors of which each value is changed, by itself and the magnitude that calibration showed.
fn changed(part: &ClientPart, output: &ClientOutput, change: impl Fn(f64, f64) -> f64) -> ClientOutput {
    if output.ports.iter().flatten().any(|value| !value.is_finite()) {
        return output.clone();
    }
    let port = |(values, scale): (&Vec<f64>, f64)| values.iter().map(|&value| change(value, scale)).collect();
    let scales = part.outputs.iter().map(|port| port.scale.abs());
    let ports: Vec<Vec<f64>> = output.ports.iter().zip(scales).map(port).collect();
    let results = part.program.evaluate(&ports);
    ClientOutput { ports, results }
}

/// A number of mean 0 and variance 1 from the operating system's random bytes (Box and Muller 1958).
fn standard_normal() -> f64 {
    let mut bytes = [0; 16];
    orion::util::secure_rand_bytes(&mut bytes).expect("some bytes are asked for");
    let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    // Both of 53 bits, the first one above 0.
    let [radius, turn] = [&bytes[..8], &bytes[8..]].map(|bytes| (half(bytes) >> 11) as f64);
    let unit = f64::EPSILON / 2.0;
    (-2.0 * ((radius + 1.0) * unit).ln()).sqrt() * (std::f64::consts::TAU * turn * unit).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flooding_is_normal_and_never_the_same() {
        let numbers: Vec<f64> = (0..40_000).map(|_| standard_normal()).collect();
        let mean = |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / numbers.len() as f64;
        // Five standard deviations of each mean.
        for (power, expected, deviation) in
            [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())]
        {
            assert!((mean(power) - expected).abs() < 5.0 * deviation / 200.0, "{power}: {}", mean(power));
        }
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn flooding_takes_what_openfhe_takes_and_a_margin() {
        let bits = |shown| flooding_bits(NonZeroU32::new(shown).unwrap());
        assert!((bits(1) - (12f64.sqrt() * 2f64.powi(15)).log2() - PREDICTION_BITS).abs() < 1e-12);
        assert!((bits(1 << 10) - bits(1) - 5.0).abs() < 1e-12);
    }
}
