//! What was fitted on the training rows: everything that makes rows of numbers of a table, and nothing
//! else.

use std::fmt;

use super::whiten::Whitening;

/// Columns of numbers that a model may have.
pub(super) const MAX_COLUMNS: usize = 1 << 24;

/// How a party's columns become rows of numbers, fitted on its own training rows. Kept with the model, so
/// that other rows of the same columns become numbers in the very same way. `Debug` shows sizes only.
#[derive(Clone, PartialEq)]
pub struct Transform {
    pub(super) inputs: Vec<Input>,
    /// Of the standardised columns of numbers, in their order.
    pub(super) whitening: Option<Whitening>,
}

/// A column of the table.
#[derive(Clone, PartialEq)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) fitted: Fitted,
}

/// What a column becomes.
#[derive(Clone, PartialEq)]
pub(super) enum Fitted {
    Numeric(Numeric),
    Categorical(Categorical),
}

/// A numeric column: clip, then log, then scale; and an indicator of missing values after it.
#[derive(Clone, PartialEq)]
pub(super) struct Numeric {
    pub(super) clip: Option<[f64; 2]>,
    pub(super) log: bool,
    /// After clip and log; `None` where there must be none.
    pub(super) fill: Option<f64>,
    pub(super) scale: Scaling,
    pub(super) indicator: bool,
}

/// Why a column becomes no column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Useless {
    /// It has no value on the training rows.
    Empty,
    /// It has one value on them.
    Constant,
}

/// How the values of a numeric column are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scaling {
    /// Of no use on the training rows: no column.
    Dropped(Useless),
    /// (v − centre) / width, clipped to ±8.
    Linear { centre: f64, width: f64, standardised: bool },
    /// Used as it is.
    AsGiven,
    /// Used as it is, nothing but zeros and ones in training.
    Indicator,
}

/// A categorical column.
#[derive(Clone, PartialEq)]
pub(super) struct Categorical {
    pub(super) encoding: Encoding,
    pub(super) missing: MissingLevel,
}

/// The columns of a categorical column's levels.
#[derive(Clone, PartialEq)]
pub(super) enum Encoding {
    /// One a level, which are in order.
    OneHot(Vec<Box<str>>),
    /// So many, picked by a hash of the level.
    Hash(u32),
    /// None.
    Dropped(Useless),
}

/// What a missing category becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingLevel {
    /// A column after those of the levels.
    Own,
    /// No column.
    Zero,
    /// There must be none.
    Refuse,
}

impl Fitted {
    /// How many columns of numbers it becomes.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Fitted::Numeric(n) => usize::from(!n.is_dropped()) + usize::from(n.indicator),
            Fitted::Categorical(c) => {
                c.encoding.columns() as usize + usize::from(c.missing == MissingLevel::Own)
            }
        }
    }
}

impl Numeric {
    pub(super) fn is_dropped(&self) -> bool {
        matches!(self.scale, Scaling::Dropped(_))
    }
}

impl Encoding {
    /// Number of columns.
    pub(super) fn columns(&self) -> u32 {
        match self {
            Encoding::OneHot(levels) => levels.len() as u32,
            Encoding::Hash(columns) => *columns,
            Encoding::Dropped(_) => 0,
        }
    }
}

impl Input {
    /// What the owner of the column should know.
    fn warning(&self) -> Option<String> {
        let (useless, indicator) = match &self.fitted {
            Fitted::Numeric(Numeric { scale: Scaling::Dropped(why), indicator, .. }) => {
                (why, *indicator)
            }
            Fitted::Categorical(Categorical { encoding: Encoding::Dropped(why), .. }) => {
                (why, false)
            }
            _ => return None,
        };
        let (name, rows) = (&self.name, "on the common rows");
        Some(match useless {
            Useless::Empty => format!("column `{name}` has no value {rows} and was dropped"),
            Useless::Constant if indicator => format!(
                "column `{name}` is constant {rows} where it is there; what is left of it is whether \
                 it is missing"
            ),
            Useless::Constant => format!("column `{name}` is constant {rows} and was dropped"),
        })
    }
}

impl Transform {
    /// What the owner of the columns should know: those that are of no use.
    pub fn warnings(&self) -> Vec<String> {
        self.inputs.iter().filter_map(Input::warning).collect()
    }

    /// Whether each column of numbers has other values than 0 and 1.
    pub fn dense(&self) -> Vec<bool> {
        let mut dense = Vec::new();
        for input in &self.inputs {
            let first = match &input.fitted {
                Fitted::Numeric(n) if !n.is_dropped() => {
                    dense.push(n.scale != Scaling::Indicator);
                    1
                }
                _ => 0,
            };
            dense.resize(dense.len() + input.fitted.outputs() - first, false);
        }
        dense
    }

    /// Number of columns of numbers.
    pub fn columns(&self) -> usize {
        self.inputs.iter().map(|input| input.fitted.outputs()).sum()
    }

    /// Whether a column was standardised. Then all of them have the fractional bits of such columns.
    pub fn standardised(&self) -> bool {
        let standardised = |input: &Input| match &input.fitted {
            Fitted::Numeric(n) => matches!(n.scale, Scaling::Linear { standardised: true, .. }),
            Fitted::Categorical(_) => false,
        };
        self.inputs.iter().any(standardised)
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transform({} columns to {})", self.inputs.len(), self.columns())
    }
}
