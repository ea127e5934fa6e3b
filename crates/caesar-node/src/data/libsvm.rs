//! Sparse rows: libsvm text with a parallel file of ids.

use mpc_core::matrix::{Features, Table};

use super::builder::{ID_BYTES, RowLines, full};
use super::error::Place;
use super::input::Lines;
use super::label::Classes;
use super::{
    DataError, Gauge, IdLines, Loaded, MAX_COLUMNS, Source, Split, grown, ids_beside, parse_number,
    push,
};

/// What an entry takes while the lists grow.
const ENTRY_BYTES: usize = grown(size_of::<u32>()) + grown(size_of::<f64>());

/// Rows of one table read so far.
#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    lines: RowLines,
    labels: Vec<bool>,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
}

pub(super) fn read(source: &Source, gauge: &Gauge) -> Result<Loaded, DataError> {
    let mut lines = Lines::open(&source.path, source.max_bytes(), gauge)?;
    let file = lines.file().to_owned();
    if !source.features.is_empty() {
        return Err(DataError::NoNames { file, what: "the job's list of features" });
    }
    if source.split.as_ref().and_then(Split::column).is_some() {
        return Err(DataError::NoNames { file, what: "the job's division of the rows" });
    }
    let ids_path = source.ids_path.clone().unwrap_or_else(|| ids_beside(&source.path));
    let (ids_file, ids) = read_ids(&ids_path, source, gauge)?;
    let id_count = ids.len();
    let mut ids = ids.into_iter();
    let parts = if source.is_divided() { 2 } else { 1 };
    let mut parts: Vec<Rows> =
        (0..parts).map(|_| Rows { indptr: vec![0], ..Rows::default() }).collect();
    let mut labels = source.label_column.as_deref().map(|column| Labels::new(column, source));
    let (mut rows, mut highest, mut entries) = (0, 0, 0);
    while let Some((line, text)) = lines.next()? {
        let content = text.split('#').next().unwrap_or_default();
        if content.len() < text.len() && content.trim_ascii().is_empty() {
            continue;
        }
        if rows == source.max_rows {
            return Err(too_large(&file, "rows", source.max_rows));
        }
        let mut fields = content.split_ascii_whitespace().peekable();
        if fields.peek().is_none() {
            return Err(DataError::LibsvmSyntax { file, line });
        }
        // A line that starts with an entry has no label, which is fine where it is ignored.
        let label = fields.next_if(|field| !field.contains(':'));
        // Lines without an id are counted, and then refused.
        let id = ids.next().unwrap_or_default();
        let test = source.split.as_ref().is_some_and(|split| split.is_test(&id, None));
        let part = &mut parts[usize::from(test)];
        if let Some(labels) = &mut labels {
            push(&mut part.labels, labels.read(label, &file, line)?);
        }
        let before = part.values.len();
        highest = highest.max(part.push(fields, source, entries, &file, line)?);
        let added = part.values.len() - before;
        entries += added;
        let jump = part.lines.push(rows as u64 + 1);
        push(&mut part.ids, id);
        rows += 1;
        gauge.count_rows(1);
        if !gauge.take(added * ENTRY_BYTES + grown(size_of::<usize>() + 1) + jump) {
            return Err(full(&file, gauge));
        }
    }
    if id_count != rows {
        return Err(DataError::IdsLength { file, rows, ids_file, ids: id_count });
    }
    let columns = source.columns.unwrap_or(highest);
    let labelled = labels.is_some();
    let table = |part: Rows| {
        let Rows { ids, lines, labels, indptr, indices, values } = part;
        let id_lines =
            IdLines { data_file: file.clone(), ids_file: ids_file.clone(), column: None, lines };
        let features = Features::Sparse { columns, indptr, indices, values };
        (Table { ids, features, labels: labelled.then_some(labels), weights: None }, id_lines)
    };
    Ok(Loaded { parts: parts.into_iter().map(table).collect() })
}

impl Rows {
    /// Adds one line's entries, to which `entries` of other lines were added before; the line's last
    /// index.
    fn push<'a>(
        &mut self,
        fields: impl Iterator<Item = &'a str>,
        source: &Source,
        entries: usize,
        file: &str,
        line: u64,
    ) -> Result<usize, DataError> {
        let named = || file.to_owned();
        let limit = source.columns.unwrap_or(MAX_COLUMNS).min(MAX_COLUMNS);
        let room = source.max_cells - entries + self.values.len();
        let mut last = 0;
        for entry in fields {
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
                if self.values.len() == room {
                    return Err(too_large(file, "entries", source.max_cells));
                }
                let index = u32::try_from(index - 1).expect("an index is at most 2^24");
                push(&mut self.indices, index);
                push(&mut self.values, value);
            }
        }
        push(&mut self.indptr, self.values.len());
        Ok(last)
    }
}

/// The labels of a file: −1 and 1, or 0 and 1, told by the first line whose label is not 1.
struct Labels<'a> {
    column: &'a str,
    classes: Classes<'a>,
    negative: Option<f64>,
}

impl<'a> Labels<'a> {
    fn new(column: &'a str, source: &'a Source) -> Self {
        Self { column, classes: Classes::of(source), negative: None }
    }

    fn read(&mut self, label: Option<&str>, file: &str, line: u64) -> Result<bool, DataError> {
        let Some(label) = label else {
            let column = self.column.to_owned();
            return Err(DataError::MissingLabelColumn { file: file.to_owned(), line, column });
        };
        let place = || Place { file: file.to_owned(), column: Some(self.column.to_owned()) };
        if let Classes::Positive(_) = self.classes {
            return self.classes.label(Some(label), place, line);
        }
        let value = parse_number(label);
        match value {
            Some(1.0) => Ok(true),
            Some(value)
                if (value == 0.0 || value == -1.0)
                    && *self.negative.get_or_insert(value) == value =>
            {
                Ok(false)
            }
            _ => {
                let allowed = match self.negative {
                    None => "-1 or 1, nor 0 or 1",
                    Some(0.0) => "0 or 1 like those above it",
                    Some(_) => "-1 or 1 like those above it",
                };
                Err(DataError::LabelNotBinary { place: place(), line, allowed })
            }
        }
    }
}

/// The ids file's name and its lines.
fn read_ids(
    path: &std::path::Path,
    source: &Source,
    gauge: &Gauge,
) -> Result<(String, Vec<String>), DataError> {
    let mut lines = Lines::open(path, source.max_bytes(), gauge)?;
    let file = lines.file().to_owned();
    let mut ids = Vec::new();
    while let Some((_, id)) = lines.next()? {
        if ids.len() == source.max_rows {
            return Err(too_large(&file, "ids", source.max_rows));
        }
        // Twice the list itself: the parts of a divided set have lists of their own.
        let taken = ID_BYTES + grown(size_of::<String>()) + id.len();
        if !gauge.take(taken) {
            return Err(full(&file, gauge));
        }
        push(&mut ids, id.to_owned());
    }
    Ok((file, ids))
}

fn too_large(file: &str, what: &'static str, limit: usize) -> DataError {
    DataError::TooLarge { file: file.to_owned(), what, limit: limit as u64 }
}
