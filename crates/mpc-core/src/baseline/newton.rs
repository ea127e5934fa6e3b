//! L2-penalised logistic regression to convergence: truncated Newton with conjugate gradients
//! (Lin, Weng and Keerthi, JMLR 2008) and an Armijo line search.

use super::{BaselineError, Csr, Model, sigmoid};

/// What is minimised, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Weight of the data against the penalty: ½‖w‖² + C · Σ log-loss. The intercept is not penalised.
    pub c: f64,
    /// Converged when no component of the gradient exceeds this times the number of rows.
    pub tolerance: f64,
    /// Newton steps at most.
    pub max_iterations: usize,
}

impl Default for Options {
    /// C = 1 as in the reference figures of the data sets, a hundred times their precision.
    fn default() -> Self {
        Self { c: 1.0, tolerance: 1e-8, max_iterations: 200 }
    }
}

/// The minimum of ½‖w‖² + C · Σ log(1 + exp(−s·z)), with z = w·x + intercept and s = ±1 by label.
///
/// `labels` has one entry a row, and both classes must occur. Time is a small multiple of the
/// non-zeros; memory a few vectors of the length of rows and of columns.
pub fn fit(x: &Csr<'_>, labels: &[bool], options: Options) -> Result<Model, BaselineError> {
    let rows = x.rows();
    if rows != labels.len() {
        return Err(BaselineError::Length { rows, labels: labels.len() });
    }
    if labels.iter().all(|&y| y) || !labels.iter().any(|&y| y) {
        return Err(BaselineError::SingleClass { rows });
    }
    let problem = Problem { x: *x, labels, c: options.c };
    let mut at = problem.start();
    for _ in 0..options.max_iterations {
        let gradient = problem.gradient(&at);
        let largest = gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        if largest <= options.tolerance * rows as f64 {
            return Ok(at.into_model());
        }
        let direction = problem.newton_direction(&at, &gradient);
        if !problem.line_search(&mut at, &gradient, &direction) {
            break;
        }
    }
    Err(BaselineError::NoConvergence { iterations: options.max_iterations })
}

struct Problem<'a> {
    x: Csr<'a>,
    labels: &'a [bool],
    c: f64,
}

/// A point: parameters (weights, then the intercept) with the log-odds and the objective there.
struct Point {
    parameters: Vec<f64>,
    z: Vec<f64>,
    objective: f64,
}

impl Point {
    fn into_model(self) -> Model {
        let mut weights = self.parameters;
        let intercept = weights.pop().expect("the intercept is the last parameter");
        Model { weights, intercept }
    }
}

impl Problem<'_> {
    fn start(&self) -> Point {
        let parameters = vec![0.0; self.x.columns + 1];
        let z = vec![0.0; self.labels.len()];
        let objective = self.objective(&parameters, &z);
        Point { parameters, z, objective }
    }

    fn objective(&self, parameters: &[f64], z: &[f64]) -> f64 {
        let penalty: f64 = parameters[..self.x.columns].iter().map(|w| w * w).sum();
        let loss: f64 = z
            .iter()
            .zip(self.labels)
            .map(|(&z, &y)| {
                let margin = if y { z } else { -z };
                (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
            })
            .sum();
        0.5 * penalty + self.c * loss
    }

    /// `X·v` with the intercept's column of ones.
    fn times(&self, v: &[f64], out: &mut [f64]) {
        self.x.times(v, out);
        out.iter_mut().for_each(|z| *z += v[self.x.columns]);
    }

    /// `I₀·p + C·Xᵀ·v`, with I₀ the identity but for the intercept.
    fn penalised_transposed(&self, p: &[f64], mut v: Vec<f64>) -> Vec<f64> {
        v.iter_mut().for_each(|v| *v *= self.c);
        let mut out = p.to_vec();
        out[self.x.columns] = v.iter().sum();
        self.x.add_transposed_times(&v, &mut out);
        out
    }

    fn gradient(&self, at: &Point) -> Vec<f64> {
        let error =
            at.z.iter().zip(self.labels).map(|(&z, &y)| sigmoid(z) - f64::from(u8::from(y)));
        self.penalised_transposed(&at.parameters, error.collect())
    }

    /// Solves H·d = −g approximately: to a residual that shrinks with the gradient, so that steps
    /// far from the minimum are cheap and those close to it converge faster than linearly.
    /// Preconditioned by the diagonal of H.
    fn newton_direction(&self, at: &Point, gradient: &[f64]) -> Vec<f64> {
        let curvature: Vec<f64> = at.z.iter().map(|&z| sigmoid(z) * sigmoid(-z)).collect();
        let diagonal = self.hessian_diagonal(&curvature);
        let precondition =
            |r: &[f64]| -> Vec<f64> { r.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };

        let norm = dot(gradient, gradient).sqrt();
        let target = norm * norm.sqrt().min(0.1);
        let mut d = vec![0.0; gradient.len()];
        let mut r: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut s = precondition(&r);
        let mut p = s.clone();
        let mut rs = dot(&r, &s);
        let mut xp = vec![0.0; self.labels.len()];
        for _ in 0..gradient.len().clamp(50, 500) {
            if dot(&r, &r).sqrt() <= target {
                break;
            }
            self.times(&p, &mut xp);
            let weighted = xp.iter().zip(&curvature).map(|(x, c)| x * c).collect();
            let hp = self.penalised_transposed(&p, weighted);
            let php = dot(&p, &hp);
            if php <= 0.0 {
                break;
            }
            let alpha = rs / php;
            add_scaled(&mut d, alpha, &p);
            add_scaled(&mut r, -alpha, &hp);
            s = precondition(&r);
            let next = dot(&r, &s);
            for (p, s) in p.iter_mut().zip(&s) {
                *p = s + next / rs * *p;
            }
            rs = next;
        }
        d
    }

    fn hessian_diagonal(&self, curvature: &[f64]) -> Vec<f64> {
        let mut diagonal = vec![1.0; self.x.columns + 1];
        for (i, c) in curvature.iter().enumerate() {
            for (j, v) in self.x.row(i) {
                diagonal[j] += self.c * c * v * v;
            }
        }
        // With every row saturated the intercept's curvature could round to 0.
        diagonal[self.x.columns] =
            (self.c * curvature.iter().sum::<f64>()).max(f64::MIN_POSITIVE.sqrt());
        diagonal
    }

    /// Moves `at` along `direction` to a point of sufficient decrease, halving the step. False if
    /// there is none within rounding.
    fn line_search(&self, at: &mut Point, gradient: &[f64], direction: &[f64]) -> bool {
        let slope = dot(gradient, direction);
        let mut dz = vec![0.0; at.z.len()];
        self.times(direction, &mut dz);
        // Differences of objectives below their rounding error say nothing.
        let noise = 1e-14 * at.objective.abs();
        let mut step = 1.0;
        for _ in 0..60 {
            let mut parameters = at.parameters.clone();
            add_scaled(&mut parameters, step, direction);
            let mut z = at.z.clone();
            add_scaled(&mut z, step, &dz);
            let objective = self.objective(&parameters, &z);
            if objective <= at.objective + 1e-4 * step * slope + noise {
                *at = Point { parameters, z, objective };
                return true;
            }
            step /= 2.0;
        }
        false
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(to: &mut [f64], factor: f64, v: &[f64]) {
    for (to, v) in to.iter_mut().zip(v) {
        *to += factor * v;
    }
}
