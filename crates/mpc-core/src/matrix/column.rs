//! A named column, and how it becomes numbers.

use super::{Codes, Numbers};

/// Levels that a one-hot column may have unless its recipe says otherwise.
pub const MAX_LEVELS: u32 = 1024;

/// A named column of a typed table. `Debug` shows its name, its recipe and sizes.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name in the file.
    pub name: String,
    /// One value a row.
    pub values: Values,
    /// How the values become numbers, once the training rows are known.
    pub recipe: Recipe,
}

/// The values of a column.
#[derive(Clone, Debug)]
pub enum Values {
    /// Finite numbers, some may be missing.
    Numeric(Numbers),
    /// Text of a few kinds, some may be missing.
    Categorical(Codes),
}

/// What is done with a column. Keys that do not concern the kind of the column count nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// What stands for a missing value.
    pub missing: Missing,
    /// Numeric: values below the first are raised to it and values above the second lowered, before all
    /// else.
    pub clip: Option<[f64; 2]>,
    /// Numeric: v becomes sign(v)·ln(1 + |v|), after `clip`.
    pub log: bool,
    /// Numeric: the last step.
    pub scale: Scale,
    /// Categorical: the columns it becomes.
    pub encode: Encode,
    /// Categorical, one-hot: more levels on the training rows are refused.
    pub max_levels: u32,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            missing: Missing::Indicator,
            clip: None,
            log: false,
            scale: Scale::Standardise,
            encode: Encode::OneHot,
            max_levels: MAX_LEVELS,
        }
    }
}

/// What stands for a missing value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Numeric: the mean, and 1 in a column of its own. Categorical: a level of its own.
    Indicator,
    /// Numeric: the mean of the training rows.
    Mean,
    /// Numeric: their median.
    Median,
    /// Numeric: the number 0, clipped and scaled like any. Categorical: no level.
    Zero,
    /// There must be none.
    Refuse,
}

/// How numbers are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// To mean 0 and standard deviation 1 on the training rows.
    Standardise,
    /// To 0 for the least and 1 for the largest value of the training rows.
    MinMax,
    /// Not at all. A column of zeros and ones becomes an indicator.
    None,
}

/// How categories become columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encode {
    /// One column of zeros and ones for each level of the training rows.
    OneHot,
    /// So many columns of zeros and ones; a public hash of the level picks one.
    Hash(u32),
}

impl Column {
    /// Adds name, recipe and values to a hash, each in a way of its own.
    pub(crate) fn hash_into(&self, h: &mut blake3::Hasher) {
        let text = |h: &mut blake3::Hasher, text: &str| {
            h.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        text(h, &self.name);
        // The recipe has no text of others in it, and its derived form names every key.
        text(h, &format!("{:?}", self.recipe));
        match &self.values {
            Values::Numeric(numbers) => {
                h.update(&[0]).update(&(numbers.len() as u64).to_le_bytes());
                for number in numbers.iter() {
                    h.update(&number.unwrap_or(f64::NAN).to_bits().to_le_bytes());
                }
            }
            Values::Categorical(codes) => {
                h.update(&[1]).update(&(codes.levels().len() as u64).to_le_bytes());
                codes.levels().iter().for_each(|level| text(h, level));
                h.update(&(codes.len() as u64).to_le_bytes());
                (0..codes.len()).for_each(|row| {
                    h.update(&codes.code(row).to_le_bytes());
                });
            }
        }
    }
}
