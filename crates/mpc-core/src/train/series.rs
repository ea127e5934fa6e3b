//! The error of logistic regression as a truncated Fourier series (docs/SPEC.md, "Error series").
//!
//! With a period P, e₁(z) ≈ σ(z) − 1 on a window that is long on the side that is already right,
//! and e₀(z) = −e₁(−z) ≈ σ(z). Only B, who knows the label, uses the coefficients.

use std::f64::consts::TAU;

/// Number of harmonics, period and window of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesShape {
    /// Harmonics K; each costs two OLEs a row.
    pub harmonics: usize,
    /// Period P in units of the score.
    pub period: f64,
    /// Where e₁ follows σ − 1. It scales with the period.
    pub window: (f64, f64),
}

impl SeriesShape {
    /// For ordinary steps: scores that are wrong by at most 10 and right by at most 34.
    pub const SHORT: Self = Self { harmonics: 7, period: 48.0, window: (-10.0, 34.0) };
    /// For large steps, whose scores overshoot the short window on the wrong side and would then
    /// be pushed further (docs/adr/0003): safe to −44 and 60, for three times the products.
    pub const LONG: Self = Self { harmonics: 20, period: 128.0, window: (-44.0, 60.0) };
}

/// Periods below this one are refused: the window would be shorter than ordinary scores.
pub const MIN_PERIOD: f64 = 16.0;
/// Scores beyond this part of half a period bring a warning.
pub const WARN_FRACTION: f64 = 0.8;

const POINTS: usize = 2000;
/// Weight of the squared coefficients beside the mean squared residual: keeps the series small in
/// the gap that the window leaves, at no visible loss inside.
const RIDGE: f64 = 1.5e-5;

/// c₀ + Σₖ αₖ·sin(2πkz/P) + βₖ·cos(2πkz/P) for the label 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorSeries {
    /// The period P.
    pub period: f64,
    /// The constant.
    pub constant: f64,
    /// α₁ … α_K.
    pub sine: Vec<f64>,
    /// β₁ … β_K.
    pub cosine: Vec<f64>,
}

impl ErrorSeries {
    /// Fits `shape`, stretched to `period`, by least squares on a grid over the window.
    /// Deterministic on every machine: all transcendental functions come from one portable library.
    pub fn fit(shape: &SeriesShape, period: f64) -> Self {
        let stretch = period / shape.period;
        let (lo, hi) = (shape.window.0 * stretch, shape.window.1 * stretch);
        let terms = 1 + 2 * shape.harmonics;
        let mut gram = vec![vec![0.0; terms]; terms];
        let mut rhs = vec![0.0; terms];
        for i in 0..POINTS {
            let z = lo + (hi - lo) * i as f64 / (POINTS - 1) as f64;
            let row = basis(z, period, shape.harmonics);
            let target = sigmoid(z) - 1.0;
            for a in 0..terms {
                rhs[a] += row[a] * target / POINTS as f64;
                for b in 0..=a {
                    gram[a][b] += row[a] * row[b] / POINTS as f64;
                }
            }
        }
        for (a, row) in gram.iter_mut().enumerate() {
            row[a] += RIDGE;
        }
        let c = solve_cholesky(gram, rhs);
        Self {
            period,
            constant: c[0],
            sine: c[1..].iter().step_by(2).copied().collect(),
            cosine: c[2..].iter().step_by(2).copied().collect(),
        }
    }

    /// Harmonics K.
    pub fn harmonics(&self) -> usize {
        self.sine.len()
    }

    /// e₁(z) for the label 1.
    pub fn positive(&self, z: f64) -> f64 {
        let row = basis(z, self.period, self.harmonics());
        (0..self.harmonics()).fold(self.constant, |e, k| {
            e + self.sine[k] * row[1 + 2 * k] + self.cosine[k] * row[2 + 2 * k]
        })
    }

    /// The error σ(z) − y as the series gives it.
    pub fn error(&self, z: f64, label: bool) -> f64 {
        if label { self.positive(z) } else { -self.positive(-z) }
    }

    /// An upper bound of |e| over the whole period: the largest value on a fine grid plus the most
    /// that the series can rise between two grid points.
    pub fn supremum(&self) -> f64 {
        const GRID: usize = 4096;
        let step = self.period / GRID as f64;
        let slope: f64 = (0..self.harmonics())
            .map(|k| {
                (k + 1) as f64 * TAU / self.period * (self.sine[k].abs() + self.cosine[k].abs())
            })
            .sum();
        let top = (0..GRID).map(|i| self.positive(i as f64 * step).abs()).fold(0.0, f64::max);
        top + slope * step / 2.0
    }

    /// The largest amplitude √(α² + β²) of a harmonic.
    pub fn amplitude(&self) -> f64 {
        let amplitudes = self.sine.iter().zip(&self.cosine).map(|(a, b)| libm::hypot(*a, *b));
        amplitudes.fold(0.0, f64::max)
    }

    /// Scores whose absolute value is beyond this one bring a warning.
    pub fn warn_above(&self) -> f64 {
        WARN_FRACTION * self.period / 2.0
    }
}

/// The logistic function.
pub fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}

/// 1, sin, cos, sin 2, cos 2, … of z over the period.
fn basis(z: f64, period: f64, harmonics: usize) -> Vec<f64> {
    let mut row = vec![1.0; 1 + 2 * harmonics];
    for k in 0..harmonics {
        let angle = (k + 1) as f64 * TAU * z / period;
        row[1 + 2 * k] = libm::sin(angle);
        row[2 + 2 * k] = libm::cos(angle);
    }
    row
}

/// Solves a symmetric positive definite system given by its lower triangle.
fn solve_cholesky(mut m: Vec<Vec<f64>>, mut x: Vec<f64>) -> Vec<f64> {
    let n = x.len();
    for j in 0..n {
        for i in j..n {
            let dot: f64 = (0..j).map(|k| m[i][k] * m[j][k]).sum();
            let v = m[i][j] - dot;
            m[i][j] = if i == j { libm::sqrt(v) } else { v / m[j][j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| m[i][k] * x[k]).sum();
        x[i] = (x[i] - dot) / m[i][i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| m[k][i] * x[k]).sum();
        x[i] = (x[i] - dot) / m[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_sigmoid_on_its_window() {
        for (shape, period, most) in [
            (SeriesShape::SHORT, 34.0, 0.03),
            (SeriesShape::SHORT, 48.0, 0.04),
            (SeriesShape::SHORT, 68.0, 0.08),
            (SeriesShape::LONG, 128.0, 0.05),
        ] {
            let s = ErrorSeries::fit(&shape, period);
            let stretch = period / shape.period;
            let (lo, hi) = (shape.window.0 * stretch * 0.9, shape.window.1 * stretch * 0.95);
            for i in 0..=400 {
                let z = lo + (hi - lo) * f64::from(i) / 400.0;
                let off = (s.positive(z) - (sigmoid(z) - 1.0)).abs();
                assert!(off < most, "{shape:?} at period {period}, z {z}: off by {off}");
            }
        }
    }

    #[test]
    fn labels_mirror_each_other() {
        let s = ErrorSeries::fit(&SeriesShape::SHORT, 48.0);
        for i in -100..100 {
            let z = f64::from(i) * 0.31;
            assert_eq!(s.error(z, false), -s.error(-z, true));
        }
    }

    #[test]
    fn supremum_bounds_every_point() {
        for shape in [SeriesShape::SHORT, SeriesShape::LONG] {
            let s = ErrorSeries::fit(&shape, shape.period);
            let sup = s.supremum();
            assert!(sup < 1.2, "{sup}");
            for i in 0..100_000 {
                assert!(s.positive(f64::from(i) * 0.00223).abs() <= sup);
            }
        }
    }
}
