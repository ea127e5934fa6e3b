//! Typed tables: comma-separated text with a header line.
//!
//! The first rows tell the kinds of columns that the catalogue says nothing about. If a later cell tells
//! otherwise, the rest of the file is only looked through, and the file is read once more with the kinds
//! that all of it has; what was stored until then is gone first.

use std::io::{Chain, Read};

use csv::{ReaderBuilder, StringRecord, Terminator};

use super::{
    DataError, Gauge, IdLines, Loaded, Source,
    builder::{Full, TableBuilder, full},
    input::{Input, Text},
    label::Classes,
    layout::{Kind, Known, Layout},
    parse_number,
};

/// Rows that are looked at before columns are stored.
const SCOUTED_ROWS: usize = 10_000;

pub(super) fn read(
    source: &Source,
    known: Option<&Known>,
    gauge: &Gauge,
) -> Result<Loaded, DataError> {
    let mut layout = scout(source, known)?;
    // The second pass knows the kinds of all cells, so it is the last, unless the file changes.
    for _ in 0..2 {
        match Pass::new(source, known, gauge, layout)?.run()? {
            Outcome::Done(loaded) => return Ok(loaded),
            Outcome::OtherKinds(found) => layout = found,
        }
    }
    Err(DataError::Unreadable {
        file: layout.file,
        reason: "it changed while it was read".to_owned(),
    })
}

/// The layout, with the kinds that the first rows have.
fn scout(source: &Source, known: Option<&Known>) -> Result<Layout, DataError> {
    let unseen = Gauge::new(usize::MAX);
    let mut records = Records::open(source, &unseen)?;
    let mut layout = records.layout(source, known)?;
    for _ in 0..SCOUTED_ROWS {
        // What is wrong with a row is said in its turn.
        let Ok(Some((_, record))) = records.next() else { break };
        for feature in &mut layout.features {
            let Some(cell) = record.get(feature.position) else { continue };
            if feature.kind == Kind::Guess && is_text(cell, source) {
                feature.kind = Kind::Categorical;
            }
        }
    }
    Ok(layout)
}

/// Whether a cell shows that its column holds no numbers. What is a number but not a finite one does not.
fn is_text(cell: &str, source: &Source) -> bool {
    cell.trim_ascii().parse::<f64>().is_err() && !source.schema.is_missing(cell)
}

enum Outcome {
    Done(Loaded),
    /// A column is not of the kind that was thought.
    OtherKinds(Layout),
}

/// Why a row ends a pass.
enum Stop {
    Wrong(DataError),
    Full,
}

impl From<DataError> for Stop {
    fn from(error: DataError) -> Self {
        Stop::Wrong(error)
    }
}

impl From<Full> for Stop {
    fn from(Full: Full) -> Self {
        Stop::Full
    }
}

/// One reading of the whole file.
struct Pass<'a> {
    source: &'a Source,
    known: Option<&'a Known>,
    gauge: &'a Gauge,
    records: Records<'a>,
    layout: Layout,
    classes: Classes<'a>,
    /// Training rows, and test rows where the set is split. Empty once a kind turned out wrong.
    tables: Vec<TableBuilder<'a>>,
    rows: usize,
}

impl<'a> Pass<'a> {
    fn new(
        source: &'a Source,
        known: Option<&'a Known>,
        gauge: &'a Gauge,
        layout: Layout,
    ) -> Result<Self, DataError> {
        let mut records = Records::open(source, gauge)?;
        records.next()?;
        let table = || TableBuilder::new(&layout, gauge).map_err(|Full| full(&layout.file, gauge));
        let count = if source.is_divided() { 2 } else { 1 };
        let tables = (0..count).map(|_| table()).collect::<Result<_, _>>()?;
        let classes = Classes::of(source);
        Ok(Self { source, known, gauge, records, layout, classes, tables, rows: 0 })
    }

    fn run(mut self) -> Result<Outcome, DataError> {
        let mut record = StringRecord::new();
        while let Some(line) = self.records.next_into(&mut record)? {
            self.check_size(&record, line)?;
            self.rows += 1;
            self.gauge.count_rows(1);
            match self.row(&record, line) {
                Ok(()) => {}
                Err(Stop::Wrong(error)) => return Err(error),
                Err(Stop::Full) => return Err(full(&self.layout.file, self.gauge)),
            }
        }
        if self.tables.is_empty() {
            // Half of the reading is still to come.
            self.gauge.expect(self.records.input.bytes);
            return Ok(Outcome::OtherKinds(self.layout));
        }
        let Self { tables, layout, source, .. } = self;
        let finished: Result<Vec<_>, _> =
            tables.into_iter().map(|table| table.finish(&layout, source)).collect();
        let place = |lines| IdLines {
            data_file: layout.file.clone(),
            ids_file: layout.file.clone(),
            column: Some(source.id_column.clone()),
            lines,
        };
        let parts = finished?.into_iter().map(|(table, lines)| (table, place(lines)));
        Ok(Outcome::Done(Loaded { parts: parts.collect() }))
    }

    fn check_size(&self, record: &StringRecord, line: u64) -> Result<(), DataError> {
        let file = || self.layout.file.clone();
        let too_large = |what, limit: usize| {
            Err(DataError::TooLarge { file: file(), what, limit: limit as u64 })
        };
        if self.rows == self.source.max_rows {
            return too_large("rows", self.source.max_rows);
        }
        if (self.rows + 1).saturating_mul(self.layout.features.len()) > self.source.max_cells {
            return too_large("cells", self.source.max_cells);
        }
        if record.len() != self.layout.names.len() {
            let (expected, found) = (self.layout.names.len(), record.len());
            return Err(DataError::RaggedRow { file: file(), line, expected, found });
        }
        Ok(())
    }

    fn row(&mut self, record: &StringRecord, line: u64) -> Result<(), Stop> {
        let id = &record[self.layout.id];
        let cell = self.layout.split.map(|column| &record[column]);
        let test = self.source.split.as_ref().is_some_and(|split| split.is_test(id, cell));
        let mut table = self.tables.get_mut(usize::from(test));
        let mut other_kinds = false;
        for (j, feature) in self.layout.features.iter_mut().enumerate() {
            let cell = &record[feature.position];
            if feature.kind == Kind::Categorical {
                if let Some(table) = &mut table {
                    table.push_text(j, Some(cell).filter(|c| !self.source.schema.is_missing(c)))?;
                }
                continue;
            }
            let number = match parse_number(cell) {
                // A number can stand for a missing value, if the catalogue says so.
                Some(_)
                    if self.source.schema.missing_values.is_some()
                        && self.source.schema.is_missing(cell) =>
                {
                    None
                }
                Some(number) => Some(number),
                None if self.source.schema.is_missing(cell) => None,
                None if feature.kind == Kind::Guess && is_text(cell, self.source) => {
                    feature.kind = Kind::Categorical;
                    other_kinds = true;
                    continue;
                }
                None => {
                    let (file, column) = (self.layout.file.clone(), Some(feature.name.clone()));
                    let place = super::Place { file, column };
                    let known =
                        self.known.filter(|known| known.numeric.contains_key(&feature.name));
                    return Err(Stop::Wrong(match known {
                        // What is infinite is wrong by itself.
                        Some(known) if is_text(cell, self.source) => {
                            DataError::TypeDiffers { place, line, train: known.file.clone() }
                        }
                        _ => DataError::NotNumeric { place, line },
                    }));
                }
            };
            if let Some(table) = &mut table
                && !other_kinds
            {
                table.push_number(j, number)?;
            }
        }
        let layout = &self.layout;
        if let Some(column) = layout.label {
            let cell = Some(&record[column]).filter(|cell| !self.source.schema.is_missing(cell));
            let label = self.classes.label(cell, || layout.place(column), line)?;
            if let Some(table) = &mut table {
                table.push_label(label)?;
            }
        }
        if let Some(column) = layout.weight {
            let weight = parse_number(&record[column]).filter(|&w| w >= 0.0);
            let place = || layout.place(column);
            let weight = weight.ok_or_else(|| DataError::BadWeight { place: place(), line })?;
            if let Some(table) = &mut table {
                table.push_weight(weight)?;
            }
        }
        if let Some(table) = table {
            table.push_id(id, line)?;
        }
        if other_kinds {
            self.tables.clear();
        }
        Ok(())
    }
}

/// The records of a file, header first, with the lines they start on.
struct Records<'g> {
    input: Input,
    reader: csv::Reader<Chain<Text<'g>, &'static [u8]>>,
    record: StringRecord,
}

impl<'g> Records<'g> {
    /// Records end at `\n` alone, and the last one does too: then the reader's own count of lines
    /// after a record tells where the record began. (Its position before a record does not, as it
    /// may still have a line end to skip.)
    fn open(source: &Source, gauge: &'g Gauge) -> Result<Self, DataError> {
        let (input, text) = Input::open(&source.path, source.max_bytes(), gauge)?;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(text.chain(b"\n".as_slice()));
        Ok(Self { input, reader, record: StringRecord::new() })
    }

    /// What the header says.
    fn layout(&mut self, source: &Source, known: Option<&Known>) -> Result<Layout, DataError> {
        let file = self.input.file.clone();
        match self.next()? {
            Some((line, header)) => {
                let names = header.iter().map(str::to_owned).collect();
                Layout::of(names, line, source, &file, known)
            }
            None => Err(DataError::Empty { file }),
        }
    }

    /// The next record that is not a blank line; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, DataError> {
        let mut record = std::mem::take(&mut self.record);
        let line = self.next_into(&mut record);
        self.record = record;
        Ok(line?.map(|line| (line, &self.record)))
    }

    /// The same into a record of the caller's; the line that it starts on.
    fn next_into(&mut self, record: &mut StringRecord) -> Result<Option<u64>, DataError> {
        loop {
            let more = self.reader.read_record(record);
            let after = self.reader.position().line();
            if !more.map_err(|error| self.error(&error, after))? {
                return Ok(None);
            }
            let inner = record.as_slice().matches('\n').count() as u64;
            // A quote that is never closed runs to the end and takes the last line end with it.
            let closed = !record.as_slice().ends_with('\n');
            let ends = inner + u64::from(closed);
            let line = after.saturating_sub(ends);
            if record.as_slice().ends_with('\r') {
                drop_carriage_return(record);
            }
            if record.len() > 1 || record.get(0).is_some_and(|field| !field.is_empty()) {
                return Ok(Some(line));
            }
        }
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

/// Removes the `\r` of a `\r\n` from the last field.
fn drop_carriage_return(record: &mut StringRecord) {
    let last = record.len() - 1;
    let fields = record.iter().enumerate();
    *record = fields
        .map(|(i, field)| if i == last { field.trim_end_matches('\r') } else { field })
        .collect();
}
