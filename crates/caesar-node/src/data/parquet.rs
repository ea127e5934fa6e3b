//! Typed tables: Parquet, one row group and one column at a time, some thousand values at once.

use std::{fs::File, io, path::Path};

use parquet::{
    basic::{ConvertedType, LogicalType, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{FileReader, RowGroupReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{
    DataError, Gauge, IdLines, Loaded, Place, Source,
    builder::{Full, TableBuilder, full},
    label::Classes,
    layout::{Kind, Known, Layout},
    parse_number,
};

/// Values that are taken from a column at once.
const BATCH: usize = 4096;

/// What a column of the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Bool,
    Signed,
    Unsigned,
    Float,
    Text,
    /// Something that is not read.
    Other(&'static str),
}

impl Holds {
    fn of(column: &ColumnDescriptor) -> Self {
        if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
            return Holds::Other("lists and structures");
        }
        let (logical, converted) = (column.logical_type_ref(), column.converted_type());
        use ConvertedType as C;
        match column.physical_type() {
            Physical::BOOLEAN => Holds::Bool,
            Physical::FLOAT | Physical::DOUBLE => Holds::Float,
            Physical::INT32 | Physical::INT64 => match (logical, converted) {
                (Some(LogicalType::Integer(kind)), _) if !kind.is_signed => Holds::Unsigned,
                (Some(LogicalType::Integer(_)), _) => Holds::Signed,
                (Some(_), _) => Holds::Other("dates, times and decimals"),
                (None, C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64) => Holds::Unsigned,
                (None, C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64) => Holds::Signed,
                (None, _) => Holds::Other("dates, times and decimals"),
            },
            Physical::BYTE_ARRAY => match (logical, converted) {
                (Some(LogicalType::String | LogicalType::Enum), _) | (None, C::UTF8 | C::ENUM) => {
                    Holds::Text
                }
                (Some(LogicalType::Decimal(_)), _) | (None, C::DECIMAL) => {
                    Holds::Other("dates, times and decimals")
                }
                _ => Holds::Other("bytes"),
            },
            Physical::INT96 => Holds::Other("dates, times and decimals"),
            Physical::FIXED_LEN_BYTE_ARRAY => Holds::Other("bytes"),
        }
    }
}

/// A value of a column.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Missing,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

impl Value<'_> {
    /// As a number. `Err` if it is none, or none that is finite.
    fn number(self, source: &Source) -> Result<Option<f64>, ()> {
        Ok(Some(match self {
            Value::Missing => return Ok(None),
            Value::Bool(value) => f64::from(u8::from(value)),
            Value::Signed(value) => value as f64,
            Value::Unsigned(value) => value as f64,
            // Writers that know no null write NaN.
            Value::Float(value) if value.is_nan() => return Ok(None),
            Value::Float(value) if value.is_finite() => value,
            Value::Float(_) => return Err(()),
            Value::Text(text) if source.schema.is_missing(text) => return Ok(None),
            Value::Text(text) => parse_number(text).ok_or(())?,
        }))
    }

    /// As text, `None` if it is missing. `Err` if its text is not certain.
    fn with_text<T>(self, use_text: impl FnOnce(Option<&str>) -> T) -> Result<T, ()> {
        Ok(match self {
            Value::Missing => use_text(None),
            Value::Bool(value) => use_text(Some(if value { "true" } else { "false" })),
            Value::Signed(value) => use_text(Some(&value.to_string())),
            Value::Unsigned(value) => use_text(Some(&value.to_string())),
            Value::Float(_) => return Err(()),
            Value::Text(text) => use_text(Some(text)),
        })
    }
}

pub(super) fn read(
    source: &Source,
    known: Option<&Known>,
    gauge: &Gauge,
) -> Result<Loaded, DataError> {
    let file = file_name(&source.path);
    let unreadable =
        |e: io::Error| DataError::Unreadable { file: file.clone(), reason: e.to_string() };
    let opened = File::open(&source.path).map_err(unreadable)?;
    let bytes = opened.metadata().map_err(unreadable)?.len();
    let reader = SerializedFileReader::new(opened).map_err(|e| failed(&file, &e))?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names = schema.columns().iter().map(|column| column.path().string()).collect();
    let holds: Vec<Holds> = schema.columns().iter().map(|column| Holds::of(column)).collect();
    let mut layout = Layout::of(names, 1, source, &file, known)?;
    for feature in &mut layout.features {
        let kind = match (feature.kind, holds[feature.position]) {
            (_, Holds::Other(what)) => {
                return Err(unsupported(&layout_place(&file, &feature.name), what));
            }
            (Kind::Categorical, Holds::Float) => {
                let place = layout_place(&file, &feature.name);
                return Err(unsupported(&place, "floating-point numbers as categories"));
            }
            (Kind::Guess, Holds::Text) => Kind::Categorical,
            (Kind::Guess, _) => Kind::Numeric,
            (kind, _) => kind,
        };
        feature.kind = kind;
    }
    let others = [Some(layout.id), layout.label, layout.weight, layout.split];
    for column in others.into_iter().flatten() {
        if let Holds::Other(what) = holds[column] {
            return Err(unsupported(&layout.place(column), what));
        }
    }
    for column in [Some(layout.id), layout.split].into_iter().flatten() {
        if holds[column] == Holds::Float {
            return Err(unsupported(&layout.place(column), "floating-point numbers as text"));
        }
    }
    let too_many = |what, limit: usize| {
        Err(DataError::TooLarge { file: file.clone(), what, limit: limit as u64 })
    };
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(usize::MAX);
    if rows > source.max_rows {
        return too_many("rows", source.max_rows);
    }
    if rows.saturating_mul(layout.features.len()) > source.max_cells {
        return too_many("cells", source.max_cells);
    }
    let parts = if source.is_divided() { 2 } else { 1 };
    let table = || TableBuilder::new(&layout, gauge).map_err(|Full| full(&file, gauge));
    let mut tables: Vec<TableBuilder<'_>> =
        (0..parts).map(|_| table()).collect::<Result<_, _>>()?;
    let (groups, mut first) = (reader.num_row_groups(), 0);
    for index in 0..groups {
        let group = reader.get_row_group(index).map_err(|e| failed(&file, &e))?;
        let reading =
            Group { source, known, gauge, layout: &layout, holds: &holds, group: &*group, first };
        first += reading.read(&mut tables)?;
        gauge.advance(bytes / groups as u64);
    }
    let mut loaded = Vec::with_capacity(parts);
    for table in tables {
        let (table, lines) = table.finish(&layout, source)?;
        let (data_file, column) = (file.clone(), Some(source.id_column.clone()));
        loaded.push((table, IdLines { ids_file: file.clone(), data_file, column, lines }));
    }
    Ok(Loaded { parts: loaded })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn layout_place(file: &str, column: &str) -> Place {
    Place { file: file.to_owned(), column: Some(column.to_owned()) }
}

fn unsupported(place: &Place, what: &'static str) -> DataError {
    DataError::UnsupportedType { place: place.clone(), what }
}

/// The words of the Parquet library can quote what stands in the file, so only their kind is told.
fn failed(file: &str, error: &ParquetError) -> DataError {
    let reason = match error {
        ParquetError::NYI(_) => "it uses a part of Parquet that is not supported",
        ParquetError::EOF(_) => "it is no whole Parquet file",
        _ => "it is damaged, or no Parquet",
    };
    DataError::Unreadable { file: file.to_owned(), reason: reason.to_owned() }
}

/// One row group.
struct Group<'a> {
    source: &'a Source,
    known: Option<&'a Known>,
    gauge: &'a Gauge,
    layout: &'a Layout,
    holds: &'a [Holds],
    group: &'a dyn RowGroupReader,
    /// Rows before it.
    first: usize,
}

impl Group<'_> {
    /// Reads all of its columns; the number of its rows.
    fn read(&self, tables: &mut [TableBuilder<'_>]) -> Result<usize, DataError> {
        let (layout, source) = (self.layout, self.source);
        let rows = usize::try_from(self.group.metadata().num_rows()).unwrap_or(0);
        let full = |Full| full(&layout.file, self.gauge);
        let no_text = |column| unsupported(&layout.place(column), "floating-point numbers as text");
        // Which rows are test rows; empty where the set is not divided.
        let mut test = Vec::new();
        if let Some(split) = source.split.as_ref().filter(|_| source.is_divided()) {
            let column = split.column().and(layout.split).unwrap_or(layout.id);
            self.each(column, |_, value| {
                let is_test = value.with_text(|text| match split.column() {
                    Some(_) => split.is_test("", text),
                    None => split.is_test(text.unwrap_or_default(), None),
                });
                test.push(is_test.map_err(|()| no_text(column))?);
                Ok(())
            })?;
        }
        let part = |row: usize| usize::from(test.get(row - self.first).copied().unwrap_or(false));
        self.each(layout.id, |row, value| {
            let line = row as u64 + 1;
            let pushed = value
                .with_text(|id| tables[part(row)].push_id(id.unwrap_or_default(), line))
                .map_err(|()| no_text(layout.id))?;
            pushed.map_err(full)
        })?;
        if let Some(column) = layout.label {
            let classes = Classes::of(source);
            self.each(column, |row, value| {
                let (line, place) = (row as u64 + 1, || layout.place(column));
                let label = match value {
                    // 0.0 and 1.0 are labels like any.
                    Value::Float(value) => {
                        let text = value.to_string();
                        classes.label(
                            Some(&text).filter(|_| !value.is_nan()).map(String::as_str),
                            place,
                            line,
                        )
                    }
                    value => value
                        .with_text(|cell| {
                            let cell = cell.filter(|cell| !source.schema.is_missing(cell));
                            classes.label(cell, place, line)
                        })
                        .map_err(|()| no_text(column))?,
                };
                tables[part(row)].push_label(label?).map_err(full)
            })?;
        }
        if let Some(column) = layout.weight {
            self.each(column, |row, value| {
                let weight = value.number(source).ok().flatten().filter(|&weight| weight >= 0.0);
                let (place, line) = (layout.place(column), row as u64 + 1);
                let weight = weight.ok_or(DataError::BadWeight { place, line })?;
                tables[part(row)].push_weight(weight).map_err(full)
            })?;
        }
        for (j, feature) in layout.features.iter().enumerate() {
            let column = feature.position;
            self.each(column, |row, value| match feature.kind {
                Kind::Categorical => {
                    let pushed = value.with_text(|text| {
                        // In text files of the same rows these cells are missing too.
                        let text = text.filter(|text| !source.schema.is_missing(text));
                        tables[part(row)].push_text(j, text)
                    });
                    pushed.map_err(|()| no_text(column))?.map_err(full)
                }
                Kind::Numeric | Kind::Guess => {
                    let number = value.number(source).map_err(|()| {
                        let (place, line) = (layout.place(column), row as u64 + 1);
                        match self.known.filter(|k| k.numeric.contains_key(&feature.name)) {
                            Some(known) if matches!(value, Value::Text(_)) => {
                                DataError::TypeDiffers { place, line, train: known.file.clone() }
                            }
                            _ => DataError::NotNumeric { place, line },
                        }
                    })?;
                    tables[part(row)].push_number(j, number).map_err(full)
                }
            })?;
        }
        self.gauge.count_rows(rows as u64);
        Ok(rows)
    }

    /// Calls `each` with the number of every row of the file and its value in a column.
    fn each(
        &self,
        column: usize,
        mut each: impl FnMut(usize, Value<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let unsigned = self.holds[column] == Holds::Unsigned;
        let reader = self.group.get_column_reader(column).map_err(|e| self.failed(&e))?;
        match reader {
            ColumnReader::BoolColumnReader(reader) => self.values(column, reader, |row, value| {
                each(row, value.map_or(Value::Missing, |&v| Value::Bool(v)))
            }),
            ColumnReader::Int32ColumnReader(reader) => self.values(column, reader, |row, value| {
                each(
                    row,
                    match value {
                        None => Value::Missing,
                        Some(&v) if unsigned => Value::Unsigned(v.cast_unsigned().into()),
                        Some(&v) => Value::Signed(v.into()),
                    },
                )
            }),
            ColumnReader::Int64ColumnReader(reader) => self.values(column, reader, |row, value| {
                each(
                    row,
                    match value {
                        None => Value::Missing,
                        Some(&v) if unsigned => Value::Unsigned(v.cast_unsigned()),
                        Some(&v) => Value::Signed(v),
                    },
                )
            }),
            ColumnReader::FloatColumnReader(reader) => self.values(column, reader, |row, value| {
                each(row, value.map_or(Value::Missing, |&v| Value::Float(v.into())))
            }),
            ColumnReader::DoubleColumnReader(reader) => {
                self.values(column, reader, |row, value| {
                    each(row, value.map_or(Value::Missing, |&v| Value::Float(v)))
                })
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let file = &self.layout.file;
                self.values(column, reader, |row, value| match value.map(|v| v.as_utf8()) {
                    None => each(row, Value::Missing),
                    Some(Ok(text)) => each(row, Value::Text(text)),
                    Some(Err(_)) => {
                        Err(DataError::NotUtf8 { file: file.clone(), line: row as u64 + 1 })
                    }
                })
            }
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                Err(unsupported(&self.layout.place(column), "bytes"))
            }
        }
    }

    /// The same for one type of values. A row without one gives `None`.
    fn values<T: DataType>(
        &self,
        column: usize,
        mut reader: ColumnReaderImpl<T>,
        mut each: impl FnMut(usize, Option<&T::T>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let present = self.group.metadata().column(column).column_descr().max_def_level();
        let rows = usize::try_from(self.group.metadata().num_rows()).unwrap_or(0);
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let mut row = 0;
        while row < rows {
            levels.clear();
            values.clear();
            let wanted = BATCH.min(rows - row);
            let levels_wanted = (present > 0).then_some(&mut levels);
            let (read, _, _) = reader
                .read_records(wanted, levels_wanted, None, &mut values)
                .map_err(|e| self.failed(&e))?;
            if read == 0 || read > wanted {
                return Err(self.failed(&ParquetError::EOF(String::new())));
            }
            let mut taken = values.iter();
            for i in 0..read {
                let there = present == 0 || levels.get(i) == Some(&present);
                let value = if there {
                    let value = taken.next();
                    Some(value.ok_or_else(|| self.failed(&ParquetError::EOF(String::new())))?)
                } else {
                    None
                };
                each(self.first + row + i, value)?;
            }
            row += read;
        }
        Ok(())
    }

    fn failed(&self, error: &ParquetError) -> DataError {
        failed(&self.layout.file, error)
    }
}
