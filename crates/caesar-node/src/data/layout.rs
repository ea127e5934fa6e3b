//! What each column of a table is for.

use std::collections::{HashMap, HashSet};

use super::{DataError, Place, Source, select::Selection, settings::ColumnType};

/// How the cells of a feature are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers; a cell that is none is an error.
    Numeric,
    /// Text.
    Categorical,
    /// Numbers until a cell is none.
    Guess,
}

/// A column that is a feature.
#[derive(Clone, Debug)]
pub(super) struct Feature {
    /// Position in the file.
    pub(super) position: usize,
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The columns of the training set, when its test set is read: name and whether it is numeric.
#[derive(Debug)]
pub(super) struct Known {
    /// The training set's file.
    pub(super) file: String,
    pub(super) numeric: HashMap<String, bool>,
}

/// The columns of one file.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) file: String,
    pub(super) names: Vec<String>,
    pub(super) id: usize,
    pub(super) label: Option<usize>,
    pub(super) weight: Option<usize>,
    pub(super) split: Option<usize>,
    pub(super) features: Vec<Feature>,
}

impl Layout {
    /// From the names of a file's columns, which stand in `line`.
    pub(super) fn of(
        names: Vec<String>,
        line: u64,
        source: &Source,
        file: &str,
        known: Option<&Known>,
    ) -> Result<Self, DataError> {
        let file = file.to_owned();
        let position = |name: &str| names.iter().position(|n| n == name);
        let id = position(&source.id_column).ok_or_else(|| DataError::MissingIdColumn {
            file: file.clone(),
            column: source.id_column.clone(),
        })?;
        let label = match &source.label_column {
            None => None,
            Some(column) => {
                Some(position(column).filter(|&label| label != id).ok_or_else(|| {
                    DataError::MissingLabelColumn {
                        file: file.clone(),
                        line,
                        column: column.clone(),
                    }
                })?)
            }
        };
        let weight = match &source.weight_column {
            None => None,
            Some(column) => {
                Some(position(column).filter(|&w| w != id && Some(w) != label).ok_or_else(
                    || DataError::MissingWeightColumn {
                        file: file.clone(),
                        line,
                        column: column.clone(),
                    },
                )?)
            }
        };
        let split = match source.split.as_ref().and_then(super::Split::column) {
            None => None,
            Some(column) => Some(
                position(column)
                    .filter(|&s| s != id && Some(s) != label && Some(s) != weight)
                    .ok_or_else(|| DataError::MissingSplitColumn { file: file.clone() })?,
            ),
        };
        check_names(&names, &file)?;
        check_settings(&names, source, &file)?;
        let mut layout = Self { file, names, id, label, weight, split, features: Vec::new() };
        layout.features = layout.pick(source, known);
        if layout.features.is_empty() {
            let file = layout.file;
            return Err(match source.features.is_empty() {
                true => DataError::NoColumns { file },
                false => DataError::NoFeatureSelected { file },
            });
        }
        Ok(layout)
    }

    fn pick(&self, source: &Source, known: Option<&Known>) -> Vec<Feature> {
        let selection = Selection::new(&source.features);
        let other = [Some(self.id), self.label, self.weight, self.split];
        let feature = |(position, name): (usize, &String)| {
            if other.contains(&Some(position)) || !selection.includes(name) {
                return None;
            }
            // The training set decides what its test set's columns are.
            let known = known.and_then(|known| known.numeric.get(name));
            let kind = match (known, source.schema.kind(name)) {
                (_, Some(ColumnType::Ignore)) => return None,
                (Some(true), _) | (None, Some(ColumnType::Numeric)) => Kind::Numeric,
                (Some(false), _) | (None, Some(ColumnType::Categorical)) => Kind::Categorical,
                (None, None) => Kind::Guess,
            };
            Some(Feature { position, name: name.clone(), kind })
        };
        self.names.iter().enumerate().filter_map(feature).collect()
    }

    /// A place of this file.
    pub(super) fn place(&self, position: usize) -> Place {
        Place { file: self.file.clone(), column: Some(self.names[position].clone()) }
    }
}

fn check_names(names: &[String], file: &str) -> Result<(), DataError> {
    if let Some(unnamed) = names.iter().position(|name| name.trim().is_empty()) {
        return Err(DataError::UnnamedColumn { file: file.to_owned(), position: unnamed + 1 });
    }
    let mut seen = HashSet::with_capacity(names.len());
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(twice) => {
            let place = Place { file: file.to_owned(), column: Some(twice.clone()) };
            Err(DataError::DuplicateColumn { place })
        }
    }
}

/// A setting of a column that is not there is a slip of the pen.
fn check_settings(names: &[String], source: &Source, file: &str) -> Result<(), DataError> {
    match source.schema.columns.keys().find(|name| !names.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let place = Place { file: file.to_owned(), column: Some(name.clone()) };
            Err(DataError::UnknownSetting { place })
        }
    }
}
