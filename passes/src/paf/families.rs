//! The f_n and g_n polynomials of Cheon, Kim, Kim: "Efficient homomorphic comparison methods with optimal
//! complexity" (ePrint 2019/1234), and the composites that SmartPAF makes of them.
//!
//! f_n flattens: ±1 are fixed points with n vanishing derivatives. g_n steepens: a large slope at 0, and the outer
//! range lands in about \[3/4, 1\]. Cheon et al. apply g first and f last; SmartPAF's paper and code apply f first and
//! g last, which is less accurate before training. Both orders are offered, and the name says which.

/// A composite of the families: its name and its base polynomials, applied first to last.
pub(super) struct Family {
    pub(super) name: &'static str,
    bases: &'static [Base],
}

#[derive(Clone, Copy)]
enum Base {
    F(usize),
    G(usize),
}

use Base::{F, G};

pub(super) const FAMILIES: [Family; 9] = [
    Family { name: "f1_g2.smartpaf", bases: &[F(1), G(2)] },
    Family { name: "f1_g2.cheon", bases: &[G(2), F(1)] },
    Family { name: "f2_g2.smartpaf", bases: &[F(2), G(2)] },
    Family { name: "f2_g2.cheon", bases: &[G(2), F(2)] },
    Family { name: "f2_g3.smartpaf", bases: &[F(2), G(3)] },
    Family { name: "f2_g3.cheon", bases: &[G(3), F(2)] },
    Family { name: "f1sq_g1sq.smartpaf", bases: &[F(1), F(1), G(1), G(1)] },
    Family { name: "f1sq_g1sq.cheon", bases: &[G(1), G(1), F(1), F(1)] },
    Family { name: "f3_g3.cheon", bases: &[G(3), F(3)] },
];

impl Family {
    /// The odd coefficients of each component, first to last.
    pub(super) fn odd_coefficients(&self) -> Vec<Vec<f64>> {
        let coefficients = self.bases.iter().map(|base| match *base {
            F(n) => f_polynomial(n),
            G(n) => g_polynomial(n),
        });
        coefficients.collect()
    }
}

/// Coefficients of x, x³, … of f_n(x) = Σ 4^-i·C(2i, i)·x·(1−x²)^i, i = 0 … n; exact for n ≤ 4.
pub fn f_polynomial(n: usize) -> Vec<f64> {
    let mut coefficients = vec![0.0; n + 1];
    for i in 0..=n {
        let weight = binomial(2 * i, i) / 4f64.powi(i as i32);
        for (k, coefficient) in coefficients.iter_mut().enumerate().take(i + 1) {
            let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
            *coefficient += sign * weight * binomial(i, k);
        }
    }
    coefficients
}

/// Coefficients of x, x³, … of g_n, which are rationals over 1024; empty unless 1 ≤ n ≤ 4.
pub fn g_polynomial(n: usize) -> Vec<f64> {
    let numerators: &[f64] = match n {
        1 => &[2126.0, -1359.0],
        2 => &[3334.0, -6108.0, 3796.0],
        3 => &[4589.0, -16577.0, 25614.0, -12860.0],
        4 => &[5850.0, -34974.0, 97015.0, -113492.0, 46623.0],
        _ => &[],
    };
    numerators.iter().map(|numerator| numerator / 1024.0).collect()
}

fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}
