//! Fitting a [`Transform`] on the rows that a party trains on.

use super::{
    FeatureError,
    transform::{
        Categorical, Encoding, Fitted, Input, MAX_COLUMNS, MissingLevel, Numeric, Scaling,
        Transform, Useless,
    },
};
use crate::matrix::{Codes, Column, Encode, Missing, Numbers, Recipe, Scale, Values};

impl Transform {
    /// Fits every column by its own recipe on the given rows. What is constant on these rows becomes no
    /// column.
    pub fn fit(columns: &[Column], rows: &[usize]) -> Result<Self, FeatureError> {
        let mut inputs = Vec::with_capacity(columns.len());
        for (j, column) in columns.iter().enumerate() {
            let fitting = Fitting { number: j + 1, column, rows };
            inputs.push(Input { name: column.name.clone(), fitted: fitting.fit()? });
        }
        let transform = Self { inputs, whitening: None };
        match transform.columns() {
            0..=MAX_COLUMNS => Ok(transform),
            many => Err(FeatureError::TooManyColumns(many)),
        }
    }
}

/// One column while it is fitted.
struct Fitting<'a> {
    /// Counts from 1.
    number: usize,
    column: &'a Column,
    rows: &'a [usize],
}

impl Fitting<'_> {
    fn fit(&self) -> Result<Fitted, FeatureError> {
        let recipe = self.column.recipe;
        match &self.column.values {
            Values::Numeric(numbers) => self.numeric(numbers, &recipe).map(Fitted::Numeric),
            Values::Categorical(codes) => self.categorical(codes, &recipe).map(Fitted::Categorical),
        }
    }

    fn numeric(&self, numbers: &Numbers, recipe: &Recipe) -> Result<Numeric, FeatureError> {
        let shape = |v| shaped(v, recipe.clip, recipe.log);
        let present = || self.rows.iter().filter_map(|&i| numbers.get(i)).map(shape);
        let count = present().count();
        let missing = self.rows.len() - count;
        if missing > 0 && recipe.missing == Missing::Refuse {
            return Err(FeatureError::MissingRefused { column: self.number });
        }
        let n = count as f64;
        let mean = present().sum::<f64>() / n;
        let variance = present().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        // A constant column leaves only rounding noise, relative to its own size.
        let varies = variance.is_finite() && variance > mean * mean * 1e-24 && variance > 0.0;
        let fill = match recipe.missing {
            Missing::Refuse => None,
            Missing::Zero => Some(shape(0.0)),
            Missing::Median => Some(median(present().collect())),
            Missing::Indicator | Missing::Mean => Some(mean),
        };
        let scale = match recipe.scale {
            _ if count == 0 => Scaling::Dropped(Useless::Empty),
            _ if !varies => Scaling::Dropped(Useless::Constant),
            Scale::Standardise => {
                Scaling::Linear { centre: mean, width: libm::sqrt(variance), standardised: true }
            }
            Scale::MinMax => {
                let (low, high) = present()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                        (f64::min(l, v), f64::max(h, v))
                    });
                Scaling::Linear { centre: low, width: high - low, standardised: false }
            }
            Scale::None if present().all(|v| v == 0.0 || v == 1.0) => Scaling::Indicator,
            Scale::None => Scaling::AsGiven,
        };
        // The mean of zeros and ones is neither, and an indicator has nothing between.
        let fill = match scale {
            Scaling::Indicator => fill.map(|v| if v >= 0.5 { 1.0 } else { 0.0 }),
            Scaling::Dropped(_) => fill.map(|_| 0.0),
            _ => fill,
        };
        let indicator = missing > 0 && count > 0 && recipe.missing == Missing::Indicator;
        Ok(Numeric { clip: recipe.clip, log: recipe.log, fill, scale, indicator })
    }

    fn categorical(&self, codes: &Codes, recipe: &Recipe) -> Result<Categorical, FeatureError> {
        let mut counts = vec![0usize; codes.levels().len() + 1];
        for &row in self.rows {
            counts[codes.code(row) as usize] += 1;
        }
        let (missing, seen) = (counts[0], counts[1..].iter().filter(|&&count| count > 0).count());
        if missing > 0 && recipe.missing == Missing::Refuse {
            return Err(FeatureError::MissingRefused { column: self.number });
        }
        let kinds = seen + usize::from(missing > 0);
        let own = missing > 0
            && seen > 0
            && matches!(recipe.missing, Missing::Indicator | Missing::Mean | Missing::Median);
        let level = match recipe.missing {
            Missing::Refuse => MissingLevel::Refuse,
            _ if own => MissingLevel::Own,
            _ => MissingLevel::Zero,
        };
        let encoding = match recipe.encode {
            _ if seen == 0 => Encoding::Dropped(Useless::Empty),
            _ if kinds == 1 => Encoding::Dropped(Useless::Constant),
            Encode::Hash(columns) => Encoding::Hash(columns),
            Encode::OneHot if seen > recipe.max_levels as usize => {
                let (column, limit) = (self.number, recipe.max_levels);
                return Err(FeatureError::TooManyLevels { column, levels: seen, limit });
            }
            Encode::OneHot => {
                let levels = codes.levels().iter().zip(&counts[1..]);
                let mut seen: Vec<Box<str>> = levels
                    .filter(|(_, count)| **count > 0)
                    .map(|(level, _)| level.clone())
                    .collect();
                // In an order that rows do not change.
                seen.sort_unstable();
                Encoding::OneHot(seen)
            }
        };
        Ok(Categorical { encoding, missing: level })
    }
}

/// A value after clip and log.
pub(super) fn shaped(v: f64, clip: Option<[f64; 2]>, log: bool) -> f64 {
    let v = clip.map_or(v, |[low, high]| v.clamp(low, high));
    if log { libm::copysign(libm::log1p(v.abs()), v) } else { v }
}

/// The middle value, or the mean of the two in the middle; 0 if there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
