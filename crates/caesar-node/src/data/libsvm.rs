//! Sparse rows: libsvm text with a parallel file of ids.

use mpc_core::matrix::{Features, Table};

use super::error::Place;
use super::input::Lines;
use super::{DataError, IdLines, MAX_COLUMNS, Source, ids_beside, parse_number};

/// Rows read so far.
#[derive(Default)]
struct Rows {
    /// Highest index, which counts from 1.
    highest: usize,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
}

pub(super) fn read(source: &Source) -> Result<(Table, IdLines), DataError> {
    let mut lines = Lines::open(&source.path, source.max_bytes())?;
    let file = lines.file().to_owned();
    let mut rows = Rows { indptr: vec![0], ..Rows::default() };
    let mut labels = source.label_column.as_deref().map(Labels::new);
    while let Some((line, text)) = lines.next()? {
        let content = text.split('#').next().unwrap_or_default();
        if content.len() < text.len() && content.trim_ascii().is_empty() {
            continue;
        }
        if rows.indptr.len() > source.max_rows {
            return Err(too_large(&file, "rows", source.max_rows));
        }
        let mut fields = content.split_ascii_whitespace().peekable();
        if fields.peek().is_none() {
            return Err(DataError::LibsvmSyntax { file, line });
        }
        // A line that starts with an entry has no label, which is fine where it is ignored.
        let label = fields.next_if(|field| !field.contains(':'));
        if let Some(labels) = &mut labels {
            labels.push(label, &file, line)?;
        }
        rows.push(fields, source, &file, line)?;
    }

    let row_count = rows.indptr.len() - 1;
    let columns = source.columns.unwrap_or(rows.highest);
    let ids_path = source.ids_path.clone().unwrap_or_else(|| ids_beside(&source.path));
    let (ids_file, ids) = read_ids(&ids_path, source)?;
    if ids.len() != row_count {
        return Err(DataError::IdsLength { file, rows: row_count, ids_file, ids: ids.len() });
    }
    let id_lines = IdLines {
        data_file: file,
        ids_file,
        column: None,
        lines: (1..=ids.len() as u64).collect(),
    };
    let Rows { indptr, indices, values, .. } = rows;
    let features = Features::Sparse { columns, indptr, indices, values };
    Ok((Table { ids, features, labels: labels.map(|l| l.values) }, id_lines))
}

impl Rows {
    /// Adds one line's entries.
    fn push<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a str>,
        source: &Source,
        file: &str,
        line: u64,
    ) -> Result<(), DataError> {
        let named = || file.to_owned();
        let limit = source.columns.unwrap_or(MAX_COLUMNS).min(MAX_COLUMNS);
        let mut last = 0;
        for entry in entries {
            let syntax = || DataError::LibsvmSyntax { file: named(), line };
            let (index, value) = entry.split_once(':').ok_or_else(syntax)?;
            if index.is_empty() || !index.bytes().all(|b| b.is_ascii_digit()) {
                return Err(syntax());
            }
            // All digits: what does not fit is too large.
            let index = index.parse().unwrap_or(usize::MAX);
            if index == 0 {
                return Err(DataError::LibsvmIndexZero { file: named(), line });
            }
            if index > limit {
                return Err(DataError::LibsvmIndexRange { file: named(), line, columns: limit });
            }
            if index <= last {
                return Err(DataError::LibsvmUnsorted { file: named(), line });
            }
            last = index;
            let value = parse_number(value).ok_or_else(|| DataError::NotNumeric {
                place: Place { file: named(), column: Some(index.to_string()) },
                line,
            })?;
            if value != 0.0 {
                if self.values.len() == source.max_cells {
                    return Err(too_large(file, "entries", source.max_cells));
                }
                self.indices.push(u32::try_from(index - 1).expect("an index is at most 2^24"));
                self.values.push(value);
            }
        }
        self.highest = self.highest.max(last);
        self.indptr.push(self.values.len());
        Ok(())
    }
}

/// The labels of a file: −1 and 1, or 0 and 1, told by the first line whose label is not 1.
struct Labels<'a> {
    column: &'a str,
    values: Vec<bool>,
    negative: Option<f64>,
}

impl<'a> Labels<'a> {
    fn new(column: &'a str) -> Self {
        Self { column, values: Vec::new(), negative: None }
    }

    fn push(&mut self, label: Option<&str>, file: &str, line: u64) -> Result<(), DataError> {
        let Some(label) = label else {
            let column = self.column.to_owned();
            return Err(DataError::MissingLabelColumn { file: file.to_owned(), line, column });
        };
        let value = parse_number(label);
        match value {
            Some(1.0) => self.values.push(true),
            Some(value)
                if (value == 0.0 || value == -1.0)
                    && *self.negative.get_or_insert(value) == value =>
            {
                self.values.push(false);
            }
            _ => {
                let place = Place { file: file.to_owned(), column: Some(self.column.to_owned()) };
                let allowed = match self.negative {
                    None => "-1 or 1, nor 0 or 1",
                    Some(0.0) => "0 or 1 like those above it",
                    Some(_) => "-1 or 1 like those above it",
                };
                return Err(DataError::LabelNotBinary { place, line, allowed });
            }
        }
        Ok(())
    }
}

/// The ids file's name and its lines.
fn read_ids(path: &std::path::Path, source: &Source) -> Result<(String, Vec<String>), DataError> {
    let mut lines = Lines::open(path, source.max_bytes())?;
    let mut ids = Vec::new();
    while let Some((_, id)) = lines.next()? {
        let id = id.to_owned();
        if ids.len() == source.max_rows {
            return Err(too_large(lines.file(), "ids", source.max_rows));
        }
        ids.push(id);
    }
    Ok((lines.file().to_owned(), ids))
}

fn too_large(file: &str, what: &'static str, limit: usize) -> DataError {
    DataError::TooLarge { file: file.to_owned(), what, limit: limit as u64 }
}
