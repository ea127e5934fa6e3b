//! A party's data set: from files to a validated [`Table`], before any cryptography starts.
//!
//! Two formats, each plain or gzip (told by content, not by name), UTF-8 with or without a byte order
//! mark:
//!
//! - **CSV** with a header line, an id column, an optional label column of 0 and 1, and features that
//!   are finite numbers. Spaces around a number are allowed.
//! - **libsvm text** (`label index:value …`, indices from 1 and rising) with a parallel file that has
//!   the id of each line. Labels are −1/+1 or 0/1 and are ignored unless asked for. Lines that are
//!   nothing but a `#` comment are skipped; explicit zeros are dropped.
//!
//! Ids and column names are text, taken exactly as they stand: case, leading zeros and white space
//! count. Ids must be unique and not blank.
//!
//! Errors ([`DataError`]) name the file, line and column and have a stable code; they never show a
//! cell's value or an id, as they also reach the peer and the client.

mod csv;
mod error;
mod input;
mod libsvm;
mod pair;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use mpc_core::matrix::Table;
use mpc_core::psi::{IdError, validate_ids};

pub use error::{DataError, Place};
pub use pair::load_pair;

/// Columns a sparse set may have at most: the model has one number a column.
pub const MAX_COLUMNS: usize = 1 << 24;

/// How a data set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Dense table with a header line.
    Csv,
    /// Sparse rows with a parallel file of ids.
    Libsvm,
}

impl Format {
    /// The format a file's name stands for: `.csv`, `.svm` or `.libsvm`, with or without `.gz`.
    pub fn from_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".gz").unwrap_or(name);
        match Path::new(name).extension()?.to_str()? {
            "csv" => Some(Format::Csv),
            "svm" | "libsvm" => Some(Format::Libsvm),
            _ => None,
        }
    }
}

/// Where a data set lies and how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The table, or the libsvm text.
    pub path: PathBuf,
    /// libsvm: the ids, one a line. `None` stands for [`ids_beside`] of `path`. Unused for CSV.
    pub ids_path: Option<PathBuf>,
    /// How the files are written.
    pub format: Format,
    /// CSV: name of the id column. Unused for libsvm.
    pub id_column: String,
    /// Where the label is: at CSV the column's name, at libsvm any name for the first field. `None`
    /// at the party without labels; then a CSV has none, and a libsvm file's first field is ignored.
    pub label_column: Option<String>,
    /// libsvm: number of columns. `None` stands for the highest index in the file. Unused for CSV.
    pub columns: Option<usize>,
    /// More rows are refused.
    pub max_rows: usize,
    /// More stored values are refused: rows × columns of a table, entries of libsvm text.
    pub max_cells: usize,
}

impl Source {
    /// Default of [`max_rows`](Self::max_rows).
    pub const DEFAULT_MAX_ROWS: usize = 20_000_000;
    /// Default of [`max_cells`](Self::max_cells): 2 GB as dense values.
    pub const DEFAULT_MAX_CELLS: usize = 250_000_000;

    /// A source of the given format with id column `id`, no label, and default limits.
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Source {
            path: path.into(),
            ids_path: None,
            format,
            id_column: "id".to_owned(),
            label_column: None,
            columns: None,
            max_rows: Self::DEFAULT_MAX_ROWS,
            max_cells: Self::DEFAULT_MAX_CELLS,
        }
    }

    /// Bytes of text that no valid data set within the limits has, as a bound on decompression.
    fn max_bytes(&self) -> u64 {
        let of = |count: usize, bytes: u64| (count as u64).saturating_mul(bytes);
        of(self.max_cells, 40).saturating_add(of(self.max_rows, 512)).saturating_add(1 << 20)
    }
}

/// The ids file that belongs to a libsvm file by name: `x.svm[.gz]` has `x.ids` or `x.ids.gz`. The
/// one that exists; if neither does, the one that is compressed like the libsvm file.
pub fn ids_beside(path: &Path) -> PathBuf {
    let zipped = path.extension().is_some_and(|e| e == "gz");
    let plain = if zipped { path.with_extension("") } else { path.to_path_buf() };
    let ids = plain.with_extension("ids");
    let ids_gz = plain.with_extension("ids.gz");
    let (first, second) = if zipped { (ids_gz, ids) } else { (ids, ids_gz) };
    if !first.exists() && second.exists() { second } else { first }
}

/// Reads and validates a data set.
pub fn load(source: &Source) -> Result<Table, DataError> {
    let (table, ids) = match source.format {
        Format::Csv => csv::read(source)?,
        Format::Libsvm => libsvm::read(source)?,
    };
    if table.ids.is_empty() {
        return Err(DataError::Empty { file: ids.data_file });
    }
    if table.features.columns() == 0 {
        return Err(DataError::NoColumns { file: ids.data_file });
    }
    if let Err(error) = validate_ids(&table.ids) {
        return Err(ids.explain(error));
    }
    Ok(table)
}

/// Where each row's id stands, for errors found after reading.
struct IdLines {
    data_file: String,
    ids_file: String,
    /// CSV: the id column.
    column: Option<String>,
    /// Line of each row's id, from 1.
    lines: Vec<u64>,
}

impl IdLines {
    fn explain(self, error: IdError) -> DataError {
        let line = |row: usize| self.lines[row];
        match error {
            IdError::Empty { count, rows } => DataError::EmptyId {
                count,
                lines: rows.into_iter().map(line).collect(),
                place: Place { file: self.ids_file, column: self.column },
            },
            IdError::Duplicate { count, repeats } => DataError::DuplicateIds {
                count,
                lines: repeats
                    .into_iter()
                    .map(|(first, again)| (line(first), line(again)))
                    .collect(),
                place: Place { file: self.ids_file, column: self.column },
            },
        }
    }
}

/// A finite number, or nothing.
fn parse_number(text: &str) -> Option<f64> {
    text.trim_ascii().parse::<f64>().ok().filter(|value| value.is_finite())
}
