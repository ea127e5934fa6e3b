//! Local whitening: a party's own standardised columns as uncorrelated ones of variance 1.
//!
//! Gradient descent is slow where columns are correlated. Each party can mend that for its own columns
//! without a message: y = L⁻¹·z, where L·Lᵀ is the correlation matrix of the training rows. Scores and
//! what can be learned stay the same; a penalty then acts on the weights of y.

use super::{
    CLIP, FeatureError, Rows, round_fixed,
    transform::{Fitted, Scaling, Transform},
};
use crate::{
    matrix::Column,
    plan::{FEATURE_BITS, MAX_FIXED},
};

/// Most columns: the fit takes rows × columns² / 2 steps, and so does each use a row.
pub(super) const MAX_WHITENED: usize = 1024;

/// Added to the correlation matrix's diagonal. Directions of less variance than this are shrunk and not
/// blown up, so columns that follow from others do no harm.
const RIDGE: f64 = 1e-3;

/// L⁻¹ in the form of L.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whitening {
    /// Row i has i + 1 entries.
    pub(super) factor: Vec<Vec<f64>>,
}

impl Whitening {
    /// Fits `rows`, each of `columns` values of mean 0 and variance 1 over the rows.
    ///
    /// # Errors
    /// [`FeatureError::TooManyToWhiten`].
    pub(super) fn fit<'a>(
        columns: usize,
        rows: impl Iterator<Item = &'a [f64]>,
    ) -> Result<Self, FeatureError> {
        if columns > MAX_WHITENED {
            return Err(FeatureError::TooManyToWhiten { columns });
        }
        let mut m: Vec<Vec<f64>> = (0..columns).map(|i| vec![0.0; i + 1]).collect();
        let mut count = 0.0;
        for z in rows {
            count += 1.0;
            for (i, row) in m.iter_mut().enumerate() {
                for (sum, z_j) in row.iter_mut().zip(z) {
                    *sum += z[i] * z_j;
                }
            }
        }
        // Cholesky, row by row, in place of the matrix.
        for i in 0..columns {
            let (done, rest) = m.split_at_mut(i);
            let row = &mut rest[0];
            for value in row.iter_mut() {
                *value /= count;
            }
            row[i] += RIDGE;
            for j in 0..i {
                let dot: f64 = row[..j].iter().zip(&done[j]).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - dot) / done[j][j];
            }
            let squares: f64 = row[..i].iter().map(|v| v * v).sum();
            // At least the ridge but for rounding.
            row[i] = libm::sqrt((row[i] - squares).max(RIDGE / 2.0));
        }
        Ok(Self { factor: m })
    }

    /// y in place of z.
    pub(super) fn apply(&self, z: &mut [f64]) {
        for (i, row) in self.factor.iter().enumerate() {
            let dot: f64 = row[..i].iter().zip(z.iter()).map(|(l, y)| l * y).sum();
            z[i] = (z[i] - dot) / row[i];
        }
    }
}

/// What a column of numbers needs, from its exact value, to be one of a whitened table.
enum Output {
    /// It is one of those that are whitened.
    Whitened,
    /// Clip and round; changes nothing in an indicator.
    Clipped,
    /// Round; of the column with this number, from 1.
    AsGiven(usize),
}

impl Transform {
    /// The same with a whitening of its standardised columns, fitted on the given rows.
    ///
    /// # Errors
    /// [`FeatureError::TooManyToWhiten`], and as [`Self::apply`].
    pub fn whiten(mut self, columns: &[Column], rows: &[usize]) -> Result<Self, FeatureError> {
        let count = self.standardised_columns();
        if count > 0 {
            let exact = self.apply_exact(columns, rows)?.rows;
            let outputs = self.outputs();
            let gathered: Vec<f64> =
                (0..exact.len()).flat_map(|i| gather(&outputs, &exact, i)).collect();
            self.whitening = Some(Whitening::fit(count, gathered.chunks_exact(count))?);
        }
        Ok(self)
    }

    /// Number of standardised columns.
    pub(super) fn standardised_columns(&self) -> usize {
        self.outputs().iter().filter(|output| matches!(output, Output::Whitened)).count()
    }

    fn outputs(&self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (number, input) in (1..).zip(&self.inputs) {
            let end = outputs.len() + input.fitted.outputs();
            if let Fitted::Numeric(numeric) = &input.fitted
                && !numeric.is_dropped()
            {
                outputs.push(match numeric.scale {
                    Scaling::Linear { standardised: true, .. } => Output::Whitened,
                    Scaling::AsGiven => Output::AsGiven(number),
                    _ => Output::Clipped,
                });
            }
            outputs.resize_with(end, || Output::Clipped);
        }
        outputs
    }

    /// Exact rows as rows in fixed point, their standardised columns whitened.
    pub(super) fn whitened(
        &self,
        whitening: &Whitening,
        exact: &Rows,
        bits: u32,
    ) -> Result<Rows, FeatureError> {
        let outputs = self.outputs();
        let limit = MAX_FIXED / f64::from(1 << FEATURE_BITS);
        let mut out = Rows::with_capacity(exact.len());
        for i in 0..exact.len() {
            let mut z = gather(&outputs, exact, i);
            whitening.apply(&mut z);
            let mut z = z.into_iter();
            let mut row = exact.row(i).peekable();
            for (column, output) in (0..).zip(&outputs) {
                let given = row.next_if(|(j, _)| *j == column).map_or(0.0, |(_, value)| value);
                let value = match output {
                    Output::Whitened => z.next().unwrap_or(0.0).clamp(-CLIP, CLIP),
                    Output::Clipped => given.clamp(-CLIP, CLIP),
                    Output::AsGiven(_) => given,
                };
                let fixed = round_fixed(value, bits);
                if let Output::AsGiven(column) = *output
                    && fixed.abs() >= limit
                {
                    return Err(FeatureError::TooLarge { column });
                }
                out.push(column, fixed);
            }
            out.end_row();
        }
        Ok(out)
    }
}

/// The values of a row in the columns that are whitened; those that the row does not have are 0.
fn gather(outputs: &[Output], rows: &Rows, i: usize) -> Vec<f64> {
    let mut row = rows.row(i).peekable();
    let mut z = Vec::new();
    for (column, output) in (0..).zip(outputs) {
        let value = row.next_if(|(j, _)| *j == column).map_or(0.0, |(_, value)| value);
        if matches!(output, Output::Whitened) {
            z.push(value);
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        matrix::{Features, Recipe, Scale},
        plan::STANDARDISED_BITS,
        wire::Message,
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn whitened_columns_are_uncorrelated_and_lose_nothing() {
        let seed = 5;
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let n = 4000;
        // Three free columns, one that nearly follows from two of them, and one that does.
        let mut rows: Vec<[f64; 5]> = (0..n)
            .map(|_| {
                let mut draw = || rng.random_range(-1.0..1.0);
                let [a, b, c, d] = [draw(), draw(), draw(), draw()];
                [a, 0.9 * a + 0.4 * b, c, a - c + 0.3 * d, a + c]
            })
            .collect();
        for j in 0..5 {
            let mean = rows.iter().map(|r| r[j]).sum::<f64>() / f64::from(n);
            let variance = rows.iter().map(|r| (r[j] - mean).powi(2)).sum::<f64>() / f64::from(n);
            rows.iter_mut().for_each(|r| r[j] = (r[j] - mean) / variance.sqrt());
        }
        let whitening = Whitening::fit(5, rows.iter().map(<[f64; 5]>::as_slice)).unwrap();
        let before = rows.clone();
        rows.iter_mut().for_each(|row| whitening.apply(row));
        for i in 0..5 {
            for j in 0..=i {
                let found = rows.iter().map(|r| r[i] * r[j]).sum::<f64>() / f64::from(n);
                // The last column is the ridge's: what is left of it is nothing.
                let expected = f64::from(u8::from(i == j && i < 4));
                // The fourth has so little variance of its own that the ridge takes some of it.
                assert!((found - expected).abs() < 0.06, "({i}, {j}): {found}, seed {seed}");
            }
        }
        // z = L·y.
        for (z, y) in before.iter().zip(&rows) {
            for (i, row) in whitening.factor.iter().enumerate() {
                let back: f64 = row.iter().zip(y).map(|(l, y)| l * y).sum();
                assert!((back - z[i]).abs() < 1e-9, "seed {seed}");
            }
        }
        let wide = Whitening::fit(MAX_WHITENED + 1, std::iter::empty());
        assert_eq!(wide, Err(FeatureError::TooManyToWhiten { columns: MAX_WHITENED + 1 }));
    }

    /// Two correlated columns with one that is not standardised between them.
    #[test]
    fn other_columns_stay_and_the_bytes_of_a_transform_have_its_whitening() {
        let values: Vec<f64> = (0..60)
            .flat_map(|i| {
                let (x, other) = (f64::from(i % 7), f64::from(i % 5));
                [x, other, 3.0 * x + other]
            })
            .collect();
        let Features::Typed(mut columns) =
            Features::dense(["a", "b", "c"].map(str::to_owned).to_vec(), &values)
        else {
            panic!("a dense table has typed columns")
        };
        columns[1].recipe = Recipe { scale: Scale::MinMax, ..columns[1].recipe };
        let rows: Vec<usize> = (0..60).collect();
        let plain = Transform::fit(&columns, &rows).unwrap();
        let whitened = plain.clone().whiten(&columns, &rows).unwrap();
        assert_eq!((plain.standardised_columns(), whitened.standardised_columns()), (2, 2));
        let [before, after] =
            [&plain, &whitened].map(|transform| transform.apply(&columns, &rows).unwrap().rows);
        let column = |rows: &Rows, wanted: u32| -> Vec<f64> {
            let value = |i| rows.row(i).find(|(j, _)| *j == wanted).map_or(0.0, |(_, v)| v);
            (0..rows.len()).map(value).collect()
        };
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>() / 60.0;
        assert_eq!(column(&before, 1), column(&after, 1), "what is not standardised stays");
        assert!(dot(&column(&before, 0), &column(&before, 2)) > 0.9);
        assert!(dot(&column(&after, 0), &column(&after, 2)).abs() < 0.02);
        let step = libm::ldexp(1.0, -(STANDARDISED_BITS as i32));
        assert!(after.values.iter().all(|v| (v / step).fract() == 0.0), "fixed point");

        let bytes = whitened.to_bytes();
        let decoded = Transform::decode(&bytes, ()).unwrap();
        assert!(decoded == whitened && plain != whitened);
        assert_eq!(decoded.apply(&columns, &rows).unwrap().rows, after);
        // The factor's last figure is on its diagonal.
        let mut wrong = bytes.clone();
        let last = wrong.len() - 8;
        for value in [0.0, -1.0, f64::NAN] {
            wrong[last..].copy_from_slice(&value.to_bits().to_le_bytes());
            assert!(Transform::decode(&wrong, ()).is_err(), "{value}");
        }
        assert!(Transform::decode(&bytes[..last], ()).is_err(), "a figure is missing");
    }
}
