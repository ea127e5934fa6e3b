//! A party's data sets: from files to validated [`Table`]s, before any cryptography starts.
//!
//! Text is plain, gzip or zstd (told by content, not by name), UTF-8 with or without a byte order mark:
//!
//! - **CSV** with a header line, an id column, an optional label column, and features. A column is numeric
//!   if all its cells are finite numbers or missing values, else categorical; the catalogue may say
//!   otherwise ([`Schema`]). Spaces around a number are allowed.
//! - **Parquet** with the same columns: booleans, integers, floating-point numbers and text.
//! - **libsvm text** (`label index:value …`, indices from 1 and rising) with a parallel file that has
//!   the id of each line. Labels are −1/+1 or 0/1 and are ignored unless asked for. Lines that are
//!   nothing but a `#` comment are skipped; explicit zeros are dropped.
//!
//! Files are read as streams, and what is kept of them is counted against a bound ([`Gauge`]).
//!
//! Ids and column names are text, taken exactly as they stand: case, leading zeros and white space
//! count. Ids must be unique and not blank.
//!
//! Errors ([`DataError`]) name the file, line and column and have a stable code; they never show a
//! cell's value or an id, as they also reach the peer and the client.

mod builder;
mod csv;
mod describe;
mod error;
mod gauge;
mod input;
mod label;
mod layout;
mod libsvm;
mod pair;
mod parquet;
mod select;
mod settings;
mod split;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use builder::RowLines;
use label::Classes;
use layout::Known;
use mpc_core::matrix::Table;
use mpc_core::psi::{IdError, validate_ids};

pub use describe::describe;
pub use error::{DataError, Place};
pub use gauge::Gauge;
pub use settings::{
    ColumnSettings, ColumnType, EncodeRule, MISSING_VALUES, MissingRule, ScaleRule, Schema,
};
pub use split::Split;

/// Columns a sparse set may have at most: the model has one number a column.
pub const MAX_COLUMNS: usize = 1 << 24;

/// How a data set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Typed table with a header line.
    Csv,
    /// Typed table.
    Parquet,
    /// Sparse rows with a parallel file of ids.
    Libsvm,
}

impl Format {
    /// The format a file's name stands for: `.csv`, `.svm` or `.libsvm`, with or without `.gz` or `.zst`,
    /// or `.parquet`.
    pub fn from_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?;
        let text = [".gz", ".zst"].iter().find_map(|zipped| name.strip_suffix(zipped));
        match Path::new(text.unwrap_or(name)).extension()?.to_str()? {
            "csv" => Some(Format::Csv),
            "parquet" if text.is_none() => Some(Format::Parquet),
            "svm" | "libsvm" => Some(Format::Libsvm),
            _ => None,
        }
    }
}

/// Where a data set lies and how it is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The table, or the libsvm text.
    pub path: PathBuf,
    /// libsvm: the ids, one a line. `None` stands for [`ids_beside`] of `path`. Unused for tables.
    pub ids_path: Option<PathBuf>,
    /// How the files are written.
    pub format: Format,
    /// Tables: name of the id column. Unused for libsvm.
    pub id_column: String,
    /// Where the label is: of a table the column's name, at libsvm any name for the first field. `None`
    /// at the party without labels; then a table has none, and a libsvm file's first field is ignored.
    pub label_column: Option<String>,
    /// The class whose label is 1, all others are 0. `None` for labels that are 0 and 1 already.
    pub positive_class: Option<String>,
    /// Tables at B: name of the column with the rows' weights in training.
    pub weight_column: Option<String>,
    /// libsvm: number of columns. `None` stands for the highest index in the file. Unused for tables.
    pub columns: Option<usize>,
    /// Tables: what the catalogue says about columns.
    pub schema: Schema,
    /// Tables: which features the job uses, as patterns; none for all.
    pub features: Vec<String>,
    /// How the rows are divided into training and test rows, if they are.
    pub split: Option<Split>,
    /// More rows are refused.
    pub max_rows: usize,
    /// More stored values are refused: rows × columns of a table, entries of libsvm text.
    pub max_cells: usize,
}

impl Source {
    /// Default of [`max_rows`](Self::max_rows).
    pub const DEFAULT_MAX_ROWS: usize = 20_000_000;
    /// Default of [`max_cells`](Self::max_cells).
    pub const DEFAULT_MAX_CELLS: usize = 250_000_000;
    /// Default bound of a [`Gauge`]: 4 GiB.
    pub const DEFAULT_MEMORY: usize = 4 << 30;

    /// A source of the given format with id column `id`, no label, and default limits.
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Source {
            path: path.into(),
            ids_path: None,
            format,
            id_column: "id".to_owned(),
            label_column: None,
            positive_class: None,
            weight_column: None,
            columns: None,
            schema: Schema::default(),
            features: Vec::new(),
            split: None,
            max_rows: Self::DEFAULT_MAX_ROWS,
            max_cells: Self::DEFAULT_MAX_CELLS,
        }
    }

    /// Whether some rows are for training only and the others for testing only.
    fn is_divided(&self) -> bool {
        matches!(self.split, Some(Split::Hash { .. } | Split::Column { .. }))
    }

    /// Bytes of the files.
    fn bytes(&self) -> u64 {
        let ids = match self.format {
            Format::Libsvm => Some(self.ids_path.clone().unwrap_or_else(|| ids_beside(&self.path))),
            Format::Csv | Format::Parquet => None,
        };
        // What cannot be read is said when it is read.
        let length = |path: &Path| path.metadata().map_or(0, |data| data.len());
        length(&self.path) + ids.map_or(0, |path| length(&path))
    }

    /// Bytes of text that no valid data set within the limits has, as a bound on decompression.
    fn max_bytes(&self) -> u64 {
        let of = |count: usize, bytes: u64| (count as u64).saturating_mul(bytes);
        of(self.max_cells, 40).saturating_add(of(self.max_rows, 512)).saturating_add(1 << 20)
    }
}

/// The ids file that belongs to a libsvm file by name: `x.svm[.gz]` has `x.ids`, `x.ids.gz` or `x.ids.zst`.
/// The one that exists; if neither does, the one that is compressed like the libsvm file.
pub fn ids_beside(path: &Path) -> PathBuf {
    let zipped = path.extension().and_then(|e| e.to_str()).filter(|e| ["gz", "zst"].contains(e));
    let plain = if zipped.is_some() { path.with_extension("") } else { path.to_path_buf() };
    let as_written = match zipped {
        Some(zipped) => plain.with_extension(format!("ids.{zipped}")),
        None => plain.with_extension("ids"),
    };
    let others = ["ids", "ids.gz", "ids.zst"].map(|extension| plain.with_extension(extension));
    let mut found = std::iter::once(&as_written).chain(&others).filter(|path| path.exists());
    found.next().unwrap_or(&as_written).clone()
}

/// The data of one party for a job.
#[derive(Clone, Debug)]
pub struct Sets {
    /// Rows to train on. Their [`Schema`] and list of features are those of the test set too.
    pub train: Source,
    /// Rows to evaluate on; `None` if the training set's own [`Source::split`] divides it.
    pub test: Option<Source>,
}

/// Reads and validates one data set with the default bound on memory.
pub fn load(source: &Source) -> Result<Table, DataError> {
    load_one(source, &Gauge::new(Source::DEFAULT_MEMORY))
}

/// Reads and validates one data set.
pub fn load_one(source: &Source, gauge: &Gauge) -> Result<Table, DataError> {
    gauge.expect(source.bytes());
    let mut parts = read(source, None, gauge)?;
    Ok(parts.swap_remove(0))
}

/// Reads and validates the training and the test rows of a job. The test table has the columns of the
/// training table.
pub fn load_sets(sets: &Sets, gauge: &Gauge) -> Result<[Arc<Table>; 2], DataError> {
    let train = &sets.train;
    match &sets.test {
        Some(test) => {
            gauge.expect(train.bytes() + test.bytes());
            let mut first = read(train, None, gauge)?.swap_remove(0);
            let known = pair::known(&first.features, &train.path);
            let as_train = Source {
                schema: train.schema.clone(),
                features: train.features.clone(),
                ..test.clone()
            };
            let mut second = read(&as_train, known.as_ref(), gauge)?.swap_remove(0);
            pair::align((&mut first.features, &train.path), (&mut second.features, &test.path))?;
            Ok([first, second].map(Arc::new))
        }
        None => {
            gauge.expect(train.bytes());
            let mut parts = read(train, None, gauge)?.into_iter().map(Arc::new);
            let train = parts.next().expect("every set has a first part");
            let test = parts.next().unwrap_or_else(|| train.clone());
            Ok([train, test])
        }
    }
}

/// The one or two tables that were read from a file.
struct Loaded {
    parts: Vec<(Table, IdLines)>,
}

/// Reads and validates the tables of a data set: training rows, then test rows if it is divided.
fn read(source: &Source, known: Option<&Known>, gauge: &Gauge) -> Result<Vec<Table>, DataError> {
    let Loaded { parts } = match source.format {
        Format::Csv => csv::read(source, known, gauge)?,
        Format::Parquet => parquet::read(source, known, gauge)?,
        Format::Libsvm => libsvm::read(source, gauge)?,
    };
    let rows: usize = parts.iter().map(|(table, _)| table.ids.len()).sum();
    let mut tables = Vec::with_capacity(parts.len());
    for (part, (table, ids)) in parts.into_iter().enumerate() {
        let file = || ids.data_file.clone();
        if rows == 0 {
            return Err(DataError::Empty { file: file() });
        }
        if table.ids.is_empty() {
            let what = ["training", "testing"][part];
            return Err(DataError::EmptyPart { file: file(), what });
        }
        if table.features.columns() == 0 {
            return Err(DataError::NoColumns { file: file() });
        }
        let column = |name: &Option<String>| Place { file: file(), column: name.clone() };
        if part == 0 && known.is_none() {
            if table.weights.as_ref().is_some_and(|weights| weights.iter().all(|&w| w == 0.0)) {
                return Err(DataError::WeightsAllZero { place: column(&source.weight_column) });
            }
            if let (Some(labels), Classes::Positive(_)) = (&table.labels, Classes::of(source))
                && !labels.contains(&true)
            {
                return Err(DataError::NoPositiveClass { place: column(&source.label_column) });
            }
        }
        if let Err(error) = validate_ids(&table.ids) {
            return Err(ids.explain(error));
        }
        tables.push(table);
    }
    Ok(tables)
}

/// Where each row's id stands, for errors found after reading.
struct IdLines {
    data_file: String,
    ids_file: String,
    /// Tables: the id column.
    column: Option<String>,
    /// Line of each row's id, from 1.
    lines: RowLines,
}

impl IdLines {
    fn explain(self, error: IdError) -> DataError {
        let line = |row: usize| self.lines.line(row);
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

/// Appends to a list that grows by a quarter only, so that at most [`grown`] bytes are taken meanwhile.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4 + 1024);
    }
    list.push(item);
}

/// What one more item of such a list takes at most: the old list and the new one while it grows.
const fn grown(bytes: usize) -> usize {
    bytes * 9 / 4
}

/// A finite number, or nothing.
fn parse_number(text: &str) -> Option<f64> {
    text.trim_ascii().parse::<f64>().ok().filter(|value| value.is_finite())
}
