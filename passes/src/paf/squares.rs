//! A polynomial of degree 2^k by k squares, in k levels: one less than its degree takes otherwise.
//!
//! `p = σ·g² + r`, with g of half the degree and r of less: as `T_a·T_b = (T_{a+b} + T_{|a−b|})/2`, for p = Σ c_k·T_k of
//! degree 2m and σ the sign of c_2m,
//!
//! ```text
//! g_m = √(2·|c_2m|)    g_m·g_j = σ·c_{m+j} − ½·Σ_{j<a<m} g_a·g_{m+j−a}    for j from m−1 down to 1
//!                     2·g_m·g_0 = σ·c_m − ½·Σ_{0<a<m} g_a·g_{m−a}
//! ```
//!
//! leave no term of degree m or more to r. g has a positive first coefficient, so it is such a sum again with σ = 1, down
//! to `v_0 = α·u + β`: α melts into the layer before, as the scale does, and β into its bias. With `v_1, v_2, …` for what the
//! squares with their r become, of degree 2, 4, …, every r is divided by the last of them that is not above it, its quotient
//! and remainder again: `r = Σ b_j·B_j`, B_j being the product of those v_i whose bit i is set in j. A quotient of 2^i terms is
//! there in i + 1 levels, as many as what it is added to has, so constants take no level; and products of the lowest v_i
//! serve all quotients.

/// Largest sum of the magnitudes of g's coefficients: what is squared and then taken off again loses precision.
const LARGEST: f64 = 2.0;

/// A polynomial as squares; the tensor's channels have one each, or all of them the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Squares {
    /// α of each channel.
    pub(crate) factors: Vec<f64>,
    /// β of each channel.
    pub(crate) offsets: Vec<f64>,
    /// What is added to each square, first to last: to the i-th (from 0) b_j for j below 2^i, of each channel.
    pub(crate) rests: Vec<Vec<Vec<f64>>>,
    /// Whether the last square is subtracted.
    pub(crate) is_subtracted: bool,
}

impl Squares {
    /// The squares of polynomials of one degree; `None` unless that is a power of two, the signs of the first coefficients
    /// agree, and nothing cancels.
    pub(super) fn of(series: &[Vec<f64>]) -> Option<Self> {
        let signs = series.iter().map(|series| series.last().is_some_and(|&first| first < 0.0));
        let channels = series.iter().map(|series| of_channel(series)).collect::<Option<Vec<_>>>()?;
        let is_subtracted = signs.clone().next()?;
        if signs.clone().any(|sign| sign != is_subtracted) {
            return None;
        }
        let stages = channels[0].1.len();
        Some(Squares {
            factors: channels.iter().map(|(variable, _)| variable[1]).collect(),
            offsets: channels.iter().map(|(variable, _)| variable[0]).collect(),
            rests: (0..stages).map(|stage| channels.iter().map(|(_, rests)| rests[stage].clone()).collect()).collect(),
            is_subtracted,
        })
    }
}

/// `[β, α]` and the rests of one polynomial.
fn of_channel(series: &[f64]) -> Option<(Vec<f64>, Vec<Vec<f64>>)> {
    let degree = series.len().checked_sub(1)?;
    if degree < 2 || !degree.is_power_of_two() {
        return None;
    }
    let (mut polynomial, mut values, mut rests) = (series.to_vec(), vec![], vec![]);
    while polynomial.len() > 2 {
        let (root, rest) = square(&polynomial)?;
        rests.push(rest);
        values.push(root.clone());
        polynomial = root;
    }
    rests.reverse();
    values.reverse();
    Some((polynomial, rests.iter().map(|rest| in_products(rest, &values)).collect()))
}

/// The coefficients b_j of a series of 2^i terms, by the series of v_0, v_1, ….
fn in_products(series: &[f64], values: &[Vec<f64>]) -> Vec<f64> {
    let half = series.len() / 2;
    if half == 0 {
        return series.to_vec();
    }
    let (quotient, remainder) = divided(series, &values[half.trailing_zeros() as usize]);
    [in_products(&remainder, values), in_products(&quotient, values)].concat()
}

/// Quotient and remainder of a series by one of half its terms and one more: `T_j·T_n = (T_{n+j} + T_{|n−j|})/2`.
fn divided(series: &[f64], divisor: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let half = divisor.len() - 1;
    let (mut remainder, mut quotient) = (series.to_vec(), vec![0.0; half]);
    for j in (0..half).rev() {
        let share = if j == 0 { 1.0 } else { 2.0 };
        quotient[j] = share * remainder[half + j] / divisor[half];
        for (n, c) in divisor.iter().enumerate() {
            let term = quotient[j] * c / 2.0;
            remainder[n + j] -= term;
            remainder[n.abs_diff(j)] -= term;
        }
    }
    remainder.truncate(half);
    (quotient, remainder)
}

/// g and r.
fn square(series: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let half = (series.len() - 1) / 2;
    let sign = series[2 * half].signum();
    let mut root = vec![0.0; half + 1];
    root[half] = (2.0 * series[2 * half].abs()).sqrt();
    for j in (0..half).rev() {
        let known: f64 = (j + 1..half).map(|a| root[a] * root[half + j - a]).sum();
        let share = if j == 0 { 2.0 } else { 1.0 };
        root[j] = (sign * series[half + j] - known / 2.0) / (share * root[half]);
    }
    let size: f64 = root.iter().map(|c| c.abs()).sum();
    if !(root[half] > 0.0 && size <= LARGEST) {
        return None;
    }
    let mut rest = series[..half].to_vec();
    for (a, left) in root.iter().enumerate() {
        for (b, right) in root.iter().enumerate() {
            let term = sign * left * right / 2.0;
            for place in [a + b, a.abs_diff(b)] {
                if place < half {
                    rest[place] -= term;
                }
            }
        }
    }
    Some((root, rest))
}

#[cfg(test)]
mod tests {
    use super::super::Paf;
    use super::super::chebyshev::clenshaw;
    use super::*;

    /// The value, and how much larger what is added up to it is.
    fn value(squares: &Squares, channel: usize, u: f64) -> (f64, f64) {
        let mut values = vec![squares.factors[channel] * u + squares.offsets[channel]];
        let mut largest = 0.0f64;
        for (stage, rest) in squares.rests.iter().enumerate() {
            let sign = if squares.is_subtracted && stage + 1 == squares.rests.len() { -1.0 } else { 1.0 };
            let product = |j: usize| (0..stage).filter(|bit| j >> bit & 1 == 1).map(|bit| values[bit]).product::<f64>();
            let terms: Vec<f64> = rest[channel].iter().enumerate().map(|(j, b)| b * product(j)).collect();
            let square = sign * values[stage] * values[stage];
            largest = terms.iter().map(|term| term.abs()).fold(largest.max(square.abs()), f64::max);
            values.push(square + terms.iter().sum::<f64>());
        }
        (values[values.len() - 1], largest)
    }

    #[test]
    fn squares_and_rests_are_the_polynomial() {
        for name in ["abs2", "relu2", "abs4", "relu4", "abs8", "relu8", "abs16", "relu16", "abs32", "relu32"] {
            let paf = Paf::by_name(name).unwrap();
            let mut series = paf.rectifier().unwrap().series.clone();
            let tilted = series[0].iter().enumerate().map(|(k, c)| c * (1.0 + 0.1 * (k as f64).sin())).collect();
            series.push(tilted);
            let squares = Squares::of(&series).unwrap();
            for (stage, rest) in squares.rests.iter().enumerate() {
                assert!(rest.iter().all(|rest| rest.len() == 1 << stage), "{name}");
            }
            for (channel, series) in series.iter().enumerate() {
                let mut most = 0.0f64;
                for u in (-20..=20).map(|step| f64::from(step) / 20.0) {
                    let (found, largest) = value(&squares, channel, u);
                    let error = (found - clenshaw(series, u)).abs();
                    assert!(error < 1e-14, "{name}, channel {channel} at {u}: {error:e}");
                    most = most.max(largest);
                }
                println!("{name} {channel}: terms up to {most:.2}");
                assert!(most < 4.0, "{name}: terms up to {most}");
            }
        }
    }

    #[test]
    fn what_cancels_or_disagrees_is_no_square() {
        let series = |first: f64| vec![0.2, 0.5, 0.2, 0.1, first];
        assert!(Squares::of(&[series(-0.04)]).is_some());
        assert!(Squares::of(&[series(-0.04), series(-0.05)]).is_some());
        assert_eq!(Squares::of(&[series(-0.04), series(0.05)]), None);
        assert_eq!(Squares::of(&[series(-1e-6)]), None);
        assert_eq!(Squares::of(&[series(0.0)]), None);
        assert_eq!(Squares::of(&[vec![0.2, 0.5, 0.2, 0.1]]), None);
        assert_eq!(Squares::of(&[vec![0.2, 0.5]]), None);
    }
}
