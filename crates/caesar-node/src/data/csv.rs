//! Dense tables: comma-separated text with a header line.

use std::io::{Chain, Read};

use csv::{ReaderBuilder, StringRecord, Terminator};
use mpc_core::matrix::{Features, Table};

use super::error::Place;
use super::input::{Input, Text};
use super::{DataError, IdLines, Source, parse_number};

/// What each column is for.
struct Layout {
    names: Vec<String>,
    id: usize,
    label: Option<usize>,
}

impl Layout {
    fn of(
        header: &StringRecord,
        line: u64,
        source: &Source,
        file: &str,
    ) -> Result<Self, DataError> {
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let position = |name: &str| names.iter().position(|n| n == name);
        let id = position(&source.id_column).ok_or_else(|| DataError::MissingIdColumn {
            file: file.to_owned(),
            column: source.id_column.clone(),
        })?;
        let label = match &source.label_column {
            None => None,
            Some(column) => {
                Some(position(column).filter(|&label| label != id).ok_or_else(|| {
                    DataError::MissingLabelColumn {
                        file: file.to_owned(),
                        line,
                        column: column.clone(),
                    }
                })?)
            }
        };
        if let Some(unnamed) = names.iter().position(|name| name.trim().is_empty()) {
            return Err(DataError::UnnamedColumn { file: file.to_owned(), position: unnamed + 1 });
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let place = Place { file: file.to_owned(), column: Some(pair[0].clone()) };
            return Err(DataError::DuplicateColumn { place });
        }
        Ok(Self { names, id, label })
    }

    fn is_feature(&self, column: usize) -> bool {
        column != self.id && Some(column) != self.label
    }

    fn feature_names(&self) -> Vec<String> {
        let features = (0..self.names.len()).filter(|&j| self.is_feature(j));
        features.map(|j| self.names[j].clone()).collect()
    }

    fn place(&self, file: &str, column: usize) -> Place {
        Place { file: file.to_owned(), column: Some(self.names[column].clone()) }
    }
}

pub(super) fn read(source: &Source) -> Result<(Table, IdLines), DataError> {
    let mut records = Records::open(source)?;
    let file = records.input.file.clone();
    let file = file.as_str();
    let layout = match records.next()? {
        Some((line, header)) => Layout::of(header, line, source, file)?,
        None => return Err(DataError::Empty { file: file.to_owned() }),
    };
    let names = layout.feature_names();

    let (mut ids, mut lines, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut labels = layout.label.map(|_| Vec::new());
    while let Some((line, record)) = records.next()? {
        let too_large = |what, limit: usize| {
            Err(DataError::TooLarge { file: file.to_owned(), what, limit: limit as u64 })
        };
        if ids.len() == source.max_rows {
            return too_large("rows", source.max_rows);
        }
        if values.len() + names.len() > source.max_cells {
            return too_large("cells", source.max_cells);
        }
        if record.len() != layout.names.len() {
            return Err(DataError::RaggedRow {
                file: file.to_owned(),
                line,
                expected: layout.names.len(),
                found: record.len(),
            });
        }
        for (column, cell) in record.iter().enumerate() {
            if layout.is_feature(column) {
                let place = || layout.place(file, column);
                values.push(
                    parse_number(cell)
                        .ok_or_else(|| DataError::NotNumeric { place: place(), line })?,
                );
            }
        }
        if let (Some(labels), Some(column)) = (&mut labels, layout.label) {
            labels.push(match parse_number(&record[column]) {
                Some(0.0) => false,
                Some(1.0) => true,
                _ => {
                    let place = layout.place(file, column);
                    return Err(DataError::LabelNotBinary { place, line, allowed: "0 or 1" });
                }
            });
        }
        ids.push(record[layout.id].to_owned());
        lines.push(line);
    }

    let table = Table { ids, features: Features::Dense { names, values }, labels };
    let id_lines = IdLines {
        data_file: file.to_owned(),
        ids_file: file.to_owned(),
        column: Some(source.id_column.clone()),
        lines,
    };
    Ok((table, id_lines))
}

/// The records of a file, header first, with the lines they start on.
struct Records {
    input: Input,
    reader: csv::Reader<Chain<Text, &'static [u8]>>,
    record: StringRecord,
}

impl Records {
    /// Records end at `\n` alone, and the last one does too: then the reader's own count of lines
    /// after a record tells where the record began. (Its position before a record does not, as it
    /// may still have a line end to skip.)
    fn open(source: &Source) -> Result<Self, DataError> {
        let (input, text) = Input::open(&source.path, source.max_bytes())?;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(text.chain(b"\n".as_slice()));
        Ok(Self { input, reader, record: StringRecord::new() })
    }

    /// The next record that is not a blank line; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, DataError> {
        loop {
            let more = self.reader.read_record(&mut self.record);
            let after = self.reader.position().line();
            if !more.map_err(|error| self.error(&error, after))? {
                return Ok(None);
            }
            let inner = self.record.as_slice().matches('\n').count() as u64;
            // A quote that is never closed runs to the end and takes the last line end with it.
            let closed = !self.record.as_slice().ends_with('\n');
            let ends = inner + u64::from(closed);
            let line = after.saturating_sub(ends);
            if self.record.as_slice().ends_with('\r') {
                self.drop_carriage_return();
            }
            if self.record.len() > 1 || self.record.get(0).is_some_and(|field| !field.is_empty()) {
                return Ok(Some((line, &self.record)));
            }
        }
    }

    /// Removes the `\r` of a `\r\n` from the last field.
    fn drop_carriage_return(&mut self) {
        let last = self.record.len() - 1;
        let fields = self.record.iter().enumerate();
        self.record = fields
            .map(|(i, field)| if i == last { field.trim_end_matches('\r') } else { field })
            .collect();
    }

    /// `after` is the line after the record that was being read.
    fn error(&self, error: &csv::Error, after: u64) -> DataError {
        let file = self.input.file.clone();
        match error.kind() {
            csv::ErrorKind::Io(error) => self.input.error(error),
            csv::ErrorKind::Utf8 { .. } => {
                DataError::NotUtf8 { file, line: after.saturating_sub(1) }
            }
            _ => DataError::Unreadable { file, reason: "not CSV".to_owned() },
        }
    }
}
