//! Applying a [`Transform`] to rows of the columns that it was fitted for.

use std::collections::HashMap;

use super::{
    CLIP, FeatureError, Rows,
    fit::shaped,
    round_fixed,
    transform::{Categorical, Encoding, Fitted, MissingLevel, Numeric, Scaling, Transform},
};
use crate::{
    matrix::{Codes, Column, Numbers, Values},
    plan::{FEATURE_BITS, MAX_FIXED, STANDARDISED_BITS},
};

/// Rows of numbers, and what the owner of the columns should know of them.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The rows, in the order that was asked for.
    pub rows: Rows,
    /// Columns with categories that training has not seen.
    pub warnings: Vec<String>,
}

/// What a cell becomes: a column of numbers and a value, or nothing.
type Cell = Option<(u32, f64)>;

/// A category that training has not seen.
struct Unseen;

impl Transform {
    /// The given rows as numbers, rounded to fixed point: 6 fractional bits where a column of the table
    /// is standardised, else 8.
    ///
    /// A category that training has not seen, and a value other than 0 and 1 in an indicator, is 0 in
    /// all columns of its column, and counted in a warning.
    pub fn apply(&self, columns: &[Column], rows: &[usize]) -> Result<Applied, FeatureError> {
        let bits = if self.standardised() { STANDARDISED_BITS } else { FEATURE_BITS };
        let Some(whitening) = &self.whitening else {
            return self.rows(columns, rows, Some(bits));
        };
        let Applied { rows, warnings } = self.rows(columns, rows, None)?;
        Ok(Applied { rows: self.whitened(whitening, &rows, bits)?, warnings })
    }

    /// The same without whitening, without rounding and without the clip that fixed point needs, for a model
    /// in plaintext.
    pub fn apply_exact(&self, columns: &[Column], rows: &[usize]) -> Result<Applied, FeatureError> {
        self.rows(columns, rows, None)
    }

    fn rows(
        &self,
        columns: &[Column],
        rows: &[usize],
        bits: Option<u32>,
    ) -> Result<Applied, FeatureError> {
        let mut bound = self.bind(columns, bits)?;
        let mut out = Rows::with_capacity(rows.len());
        for &row in rows {
            for column in &mut bound {
                column.push(row, &mut out)?;
            }
            out.end_row();
        }
        let unseen = |column: &Bound<'_>| {
            (column.unseen > 0).then(|| {
                format!(
                    "column `{}`: {} of {} rows have a value that training has not seen; it counts \
                     as none",
                    column.name,
                    column.unseen,
                    rows.len()
                )
            })
        };
        let warnings = bound.iter().filter_map(unseen).collect();
        Ok(Applied { rows: out, warnings })
    }

    /// The inputs with the columns of a table, which must be the same in the same order.
    fn bind<'a>(
        &'a self,
        columns: &'a [Column],
        bits: Option<u32>,
    ) -> Result<Vec<Bound<'a>>, FeatureError> {
        let mut first = 0;
        let mut bound = Vec::with_capacity(self.inputs.len());
        for (j, input) in self.inputs.iter().enumerate() {
            let mismatch = FeatureError::SchemaMismatch { column: j + 1 };
            let column = columns.get(j).filter(|c| c.name == input.name).ok_or(mismatch)?;
            let kind = match (&input.fitted, &column.values) {
                (Fitted::Numeric(fitted), Values::Numeric(numbers)) => {
                    Kind::Numeric { fitted, numbers, bits }
                }
                (Fitted::Categorical(fitted), Values::Categorical(codes)) => {
                    Kind::Categorical { fitted, codes, outputs: fitted.outputs_of(codes) }
                }
                _ => return Err(mismatch),
            };
            bound.push(Bound { number: j + 1, name: &input.name, first, kind, unseen: 0 });
            first += input.fitted.outputs() as u32;
        }
        match columns.len() > bound.len() {
            true => Err(FeatureError::SchemaMismatch { column: bound.len() + 1 }),
            false => Ok(bound),
        }
    }
}

/// An input and the column that it is applied to.
struct Bound<'a> {
    /// Counts from 1.
    number: usize,
    name: &'a str,
    /// Its first column of numbers.
    first: u32,
    kind: Kind<'a>,
    /// Rows with a value that training has not seen.
    unseen: usize,
}

enum Kind<'a> {
    Numeric {
        fitted: &'a Numeric,
        numbers: &'a Numbers,
        bits: Option<u32>,
    },
    /// With the column of each level, from the input's first.
    Categorical {
        fitted: &'a Categorical,
        codes: &'a Codes,
        outputs: Vec<Option<u32>>,
    },
}

impl Bound<'_> {
    fn push(&mut self, row: usize, out: &mut Rows) -> Result<(), FeatureError> {
        let column = self.number;
        let refused = FeatureError::MissingRefused { column };
        let cell = match &self.kind {
            Kind::Numeric { fitted, numbers, bits } => {
                let given = numbers.get(row);
                let value = match given {
                    Some(v) => shaped(v, fitted.clip, fitted.log),
                    None => fitted.fill.ok_or(refused)?,
                };
                let cell = fitted.cell(value, *bits, column)?;
                if let Ok(Some((offset, value))) = cell {
                    out.push(self.first + offset, value);
                }
                if given.is_none() && fitted.indicator {
                    let offset = u32::from(!fitted.is_dropped());
                    out.push(self.first + offset, 1.0);
                }
                cell
            }
            Kind::Categorical { fitted, codes, outputs } => {
                let cell = match codes.code(row).checked_sub(1) {
                    None => fitted.missing_cell().ok_or(refused)?,
                    Some(level) => match (outputs[level as usize], fitted.encoding.columns()) {
                        (Some(output), _) => Ok(Some((output, 1.0))),
                        // The column was dropped: that it has another level now is no news.
                        (None, 0) => Ok(None),
                        (None, _) => Err(Unseen),
                    },
                };
                if let Ok(Some((offset, value))) = cell {
                    out.push(self.first + offset, value);
                }
                cell
            }
        };
        self.unseen += usize::from(cell.is_err());
        Ok(())
    }
}

impl Numeric {
    /// The column of numbers, from the input's first, and the value in it.
    fn cell(
        &self,
        value: f64,
        bits: Option<u32>,
        column: usize,
    ) -> Result<Result<Cell, Unseen>, FeatureError> {
        let rounded = |v: f64| bits.map_or(v, |bits| round_fixed(v, bits));
        Ok(match self.scale {
            Scaling::Dropped(_) => Ok(None),
            Scaling::Linear { centre, width, .. } => {
                let z = (value - centre) / width;
                // Without rounding there is no fixed point to overflow.
                let z = if bits.is_some() { z.clamp(-CLIP, CLIP) } else { z };
                Ok(Some((0, rounded(z))))
            }
            Scaling::AsGiven => {
                let fixed = rounded(value);
                let limit = MAX_FIXED / f64::from(1 << FEATURE_BITS);
                if bits.is_some() && fixed.abs() >= limit {
                    return Err(FeatureError::TooLarge { column });
                }
                Ok(Some((0, fixed)))
            }
            Scaling::Indicator if value == 0.0 => Ok(None),
            Scaling::Indicator if value == 1.0 => Ok(Some((0, 1.0))),
            Scaling::Indicator => Err(Unseen),
        })
    }
}

impl Categorical {
    /// The cell of a missing category; `None` where there must be none.
    fn missing_cell(&self) -> Option<Result<Cell, Unseen>> {
        match self.missing {
            MissingLevel::Own => Some(Ok(Some((self.encoding.columns(), 1.0)))),
            MissingLevel::Zero => Some(Ok(None)),
            MissingLevel::Refuse => None,
        }
    }

    /// The column of each level of a table, from the input's first; `None` for one not seen in training.
    fn outputs_of(&self, codes: &Codes) -> Vec<Option<u32>> {
        let levels = codes.levels().iter();
        match &self.encoding {
            Encoding::OneHot(seen) => {
                let known: HashMap<&str, u32> = seen.iter().map(AsRef::as_ref).zip(0..).collect();
                levels.map(|level| known.get(level.as_ref()).copied()).collect()
            }
            Encoding::Hash(columns) => levels.map(|level| Some(bucket(level, *columns))).collect(),
            Encoding::Dropped(_) => levels.map(|_| None).collect(),
        }
    }
}

/// Which of a hashed column's columns a level has: the first eight bytes of its BLAKE3 hash, little-endian,
/// modulo their number.
fn bucket(level: &str, columns: u32) -> u32 {
    let hash = blake3::Hasher::new_derive_key("caesar/v1 hashed category")
        .update(level.as_bytes())
        .finalize();
    let (head, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
    (u64::from_le_bytes(*head) % u64::from(columns)) as u32
}
