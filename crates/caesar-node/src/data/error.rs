//! What can be wrong with a data set.

use std::fmt;

use thiserror::Error;

/// A file, and the column where there is one. Files are named without their folder: the message
/// also reaches the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The column's name.
    pub column: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match &self.column {
            Some(column) => write!(f, ", column \"{column}\""),
            None => Ok(()),
        }
    }
}

/// Why a data set was refused. Lines count from 1, the header included. Never carries a cell's value
/// or an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DataError {
    /// A file cannot be opened or read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// The operating system's words.
        reason: String,
    },
    /// A compressed stream is damaged or cut off.
    #[error("{file} is damaged: its {format} stream is broken or cut off")]
    CompressionCorrupt {
        /// `gzip` or `zstd`.
        format: &'static str,
        /// The file.
        file: String,
    },
    /// A line is not UTF-8 text.
    #[error("{file}, line {line}: not UTF-8 text")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// The data set has no rows.
    #[error("{file} has no rows")]
    Empty {
        /// The file.
        file: String,
    },
    /// The data set has no feature columns.
    #[error("{file} has no feature columns")]
    NoColumns {
        /// The file.
        file: String,
    },
    /// The header lacks the id column.
    #[error("{file} has no id column \"{column}\"")]
    MissingIdColumn {
        /// The file.
        file: String,
        /// The name that was looked for.
        column: String,
    },
    /// The header lacks the label column, or a libsvm line its label.
    #[error("{file}, line {line}: there is no label \"{column}\"")]
    MissingLabelColumn {
        /// The file.
        file: String,
        /// The header's line, or the libsvm line.
        line: u64,
        /// The name that was looked for.
        column: String,
    },
    /// Two columns have one name.
    #[error("{place} occurs more than once in the header")]
    DuplicateColumn {
        /// The file and the name.
        place: Place,
    },
    /// A column has no name.
    #[error("{file}: column {position} of the header has no name")]
    UnnamedColumn {
        /// The file.
        file: String,
        /// The column's position, from 1.
        position: usize,
    },
    /// A row has another number of fields than the header.
    #[error("{file}, line {line}: {found} fields where the header has {expected}")]
    RaggedRow {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// A cell of a numeric column is neither a finite number nor a missing value.
    #[error("{place}, line {line}: not a finite number")]
    NotNumeric {
        /// The file and column.
        place: Place,
        /// The line.
        line: u64,
    },
    /// A label is not one of two classes.
    #[error("{place}, line {line}: the label is not {allowed}")]
    LabelNotBinary {
        /// The file and column.
        place: Place,
        /// The line.
        line: u64,
        /// The two labels that are.
        allowed: &'static str,
    },
    /// The header lacks the column of weights.
    #[error("{file}, line {line}: there is no column of weights \"{column}\"")]
    MissingWeightColumn {
        /// The file.
        file: String,
        /// The header's line.
        line: u64,
        /// The name that was looked for.
        column: String,
    },
    /// A row's weight is missing, negative, or not a finite number.
    #[error("{place}, line {line}: the weight is not a finite number of 0 or more")]
    BadWeight {
        /// The file and column.
        place: Place,
        /// The line.
        line: u64,
    },
    /// No row has any weight.
    #[error("{place}: every weight is 0")]
    WeightsAllZero {
        /// The file and column.
        place: Place,
    },
    /// A row has no label.
    #[error("{place}, line {line}: the label is missing")]
    MissingLabel {
        /// The file and column.
        place: Place,
        /// The line.
        line: u64,
    },
    /// No row of the training set is of the positive class.
    #[error("{place}: no row has the class that the job calls positive")]
    NoPositiveClass {
        /// The file and column.
        place: Place,
    },
    /// The header lacks the column that divides the rows.
    #[error("{file} has no column to divide its rows by, as the job says")]
    MissingSplitColumn {
        /// The file.
        file: String,
    },
    /// A division left no rows on one side.
    #[error("{file}: the division of the rows leaves none for {what}")]
    EmptyPart {
        /// The file.
        file: String,
        /// For what there are none.
        what: &'static str,
    },
    /// The job's list of features selects no column.
    #[error("{file}: the job's list of features selects no column")]
    NoFeatureSelected {
        /// The file.
        file: String,
    },
    /// A list of features, or a setting of columns, for libsvm text, whose columns have no names.
    #[error("{file} is libsvm text, whose columns have no names, but {what} asks for them")]
    NoNames {
        /// The file.
        file: String,
        /// What asks for names.
        what: &'static str,
    },
    /// The catalogue has settings of a column that is not there.
    #[error("{place}: the catalogue has settings of this column, but the file lacks it")]
    UnknownSetting {
        /// The file and the name in the catalogue.
        place: Place,
    },
    /// A column of numbers in training has something else in the test set.
    #[error("{place}, line {line}: not a finite number, but the column is numeric in {train}")]
    TypeDiffers {
        /// The test file and column.
        place: Place,
        /// The line.
        line: u64,
        /// The training file.
        train: String,
    },
    /// A Parquet column is of a type that has no meaning here.
    #[error("{place}: columns of {what} are not read")]
    UnsupportedType {
        /// The file and column.
        place: Place,
        /// What it holds.
        what: &'static str,
    },
    /// The tables of the job take more memory than they may.
    #[error("{file}: the job's data takes more than {limit_mib} MiB in memory")]
    MemoryLimit {
        /// The file that was being read.
        file: String,
        /// The bound.
        limit_mib: usize,
    },
    /// Ids are missing.
    #[error("{place}: {} empty, first on {}", Ids(*.count, "is", "are"), Lines(.lines))]
    EmptyId {
        /// The file and column.
        place: Place,
        /// How many.
        count: usize,
        /// The first of them.
        lines: Vec<u64>,
    },
    /// Ids occur more than once.
    #[error("{place}: {} again, first {}", Ids(*.count, "occurs", "occur"), Pairs(.lines))]
    DuplicateIds {
        /// The file and column.
        place: Place,
        /// How many rows have the id of an earlier one.
        count: usize,
        /// The first of them, each after the line where its id stands first.
        lines: Vec<(u64, u64)>,
    },
    /// The ids file and the data file have different numbers of lines.
    #[error("{ids_file} has {ids} ids, {file} has {rows} rows")]
    IdsLength {
        /// The libsvm file.
        file: String,
        /// Its rows.
        rows: usize,
        /// The ids file.
        ids_file: String,
        /// Its lines.
        ids: usize,
    },
    /// A libsvm entry is not `index:value`, or a line is blank.
    #[error("{file}, line {line}: not libsvm text (label index:value index:value ...)")]
    LibsvmSyntax {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// A libsvm index is 0; they count from 1.
    #[error("{file}, line {line}: index 0")]
    LibsvmIndexZero {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// libsvm indices do not rise strictly.
    #[error("{file}, line {line}: indices are not in rising order, each once")]
    LibsvmUnsorted {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// A libsvm index is above the number of columns.
    #[error("{file}, line {line}: an index is above {columns}, the number of columns")]
    LibsvmIndexRange {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// The configured number of columns, or the most that any set may have.
        columns: usize,
    },
    /// A feature occurs in only one of the training and the test set.
    #[error("{place} is missing, but {other} has it")]
    ColumnsDiffer {
        /// The file that lacks the column, and the column.
        place: Place,
        /// The file that has it.
        other: String,
    },
    /// The training set is dense and the test set sparse, or the other way round.
    #[error("{train} and {test} are of different formats")]
    FormatsDiffer {
        /// The training file.
        train: String,
        /// The test file.
        test: String,
    },
    /// A limit is exceeded.
    #[error("{file} has more than {limit} {what}")]
    TooLarge {
        /// The file.
        file: String,
        /// Of what there are too many.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl DataError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            DataError::Unreadable { .. } => "data.unreadable",
            DataError::CompressionCorrupt { format: "gzip", .. } => "data.gzip_corrupt",
            DataError::CompressionCorrupt { .. } => "data.zstd_corrupt",
            DataError::NotUtf8 { .. } => "data.not_utf8",
            DataError::Empty { .. } => "data.empty",
            DataError::NoColumns { .. } => "data.no_columns",
            DataError::MissingIdColumn { .. } => "data.missing_id_column",
            DataError::MissingLabelColumn { .. } => "data.missing_label_column",
            DataError::DuplicateColumn { .. } => "data.duplicate_column",
            DataError::UnnamedColumn { .. } => "data.unnamed_column",
            DataError::RaggedRow { .. } => "data.ragged_row",
            DataError::NotNumeric { .. } => "data.not_numeric",
            DataError::LabelNotBinary { .. } => "data.label_not_binary",
            DataError::MissingLabel { .. } => "data.missing_label",
            DataError::NoPositiveClass { .. } => "data.no_positive_class",
            DataError::MissingSplitColumn { .. } => "data.missing_split_column",
            DataError::EmptyPart { .. } => "data.empty_part",
            DataError::NoFeatureSelected { .. } => "data.no_feature_selected",
            DataError::NoNames { .. } => "data.no_names",
            DataError::UnknownSetting { .. } => "data.unknown_setting",
            DataError::TypeDiffers { .. } => "data.type_differs",
            DataError::UnsupportedType { .. } => "data.unsupported_type",
            DataError::MemoryLimit { .. } => "data.memory_limit",
            DataError::MissingWeightColumn { .. } => "data.missing_weight_column",
            DataError::BadWeight { .. } => "data.bad_weight",
            DataError::WeightsAllZero { .. } => "data.weights_all_zero",
            DataError::EmptyId { .. } => "data.empty_id",
            DataError::DuplicateIds { .. } => "data.duplicate_ids",
            DataError::IdsLength { .. } => "data.ids_length",
            DataError::LibsvmSyntax { .. } => "data.libsvm_syntax",
            DataError::LibsvmIndexZero { .. } => "data.libsvm_index_zero",
            DataError::LibsvmUnsorted { .. } => "data.libsvm_unsorted",
            DataError::LibsvmIndexRange { .. } => "data.libsvm_index_range",
            DataError::ColumnsDiffer { .. } => "data.columns_differ",
            DataError::FormatsDiffer { .. } => "data.formats_differ",
            DataError::TooLarge { .. } => "data.too_large",
        }
    }

    /// What the owner of the data can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            DataError::Unreadable { .. } => "check the path in the catalogue and its permissions",
            DataError::CompressionCorrupt { .. } => "copy or compress the file again",
            DataError::NotUtf8 { .. } => "export the file as UTF-8",
            DataError::Empty { .. } => "check that the export wrote the rows",
            DataError::NoColumns { .. } => "each party needs at least one feature besides the id",
            DataError::MissingIdColumn { .. }
            | DataError::MissingLabelColumn { .. }
            | DataError::MissingWeightColumn { .. } => {
                "set the column's name as the header writes it, case and spaces included"
            }
            DataError::DuplicateColumn { .. } | DataError::UnnamedColumn { .. } => {
                "give every column its own name"
            }
            DataError::RaggedRow { .. } => "look for an unquoted comma or a cut line",
            DataError::NotNumeric { .. } => {
                "correct the cell, or set the column's `type` to \"categorical\" or `missing_values` in the \
                 catalogue"
            }
            DataError::LabelNotBinary { .. } => {
                "map the label to 1 for the event and 0, or set training.positive_class in the job"
            }
            DataError::BadWeight { .. } => "give every row a weight of 0 or more",
            DataError::WeightsAllZero { .. } => {
                "give the rows that are to count a weight above 0, or remove sample_weight_column"
            }
            DataError::MissingLabel { .. } => {
                "give every row a label, or drop the rows without one"
            }
            DataError::NoPositiveClass { .. } => {
                "set training.positive_class to a class as the column writes it"
            }
            DataError::MissingSplitColumn { .. } => {
                "set data.split.column to a column of the side that data.split.side names"
            }
            DataError::EmptyPart { .. } => "choose another share, or other values of the column",
            DataError::NoFeatureSelected { .. } => {
                "name columns of the side's files in data.features_a and data.features_b, with * and ?"
            }
            DataError::NoNames { .. } => "remove it for this data set",
            DataError::UnknownSetting { .. } => {
                "write the column's name in datasets.schema as the file does"
            }
            DataError::TypeDiffers { .. } => {
                "correct the cell, or set the column's `type` to \"categorical\" for the training set"
            }
            DataError::UnsupportedType { .. } => {
                "write it as numbers or text, or set the column's `type` to \"ignore\""
            }
            DataError::MemoryLimit { .. } => {
                "raise limits.data_memory_mib, or use fewer rows or columns"
            }
            DataError::EmptyId { .. } => "give every row an id, or drop the rows without one",
            DataError::DuplicateIds { .. } => "keep one row an id",
            DataError::IdsLength { .. } => "write the ids file from the same rows, one id a line",
            DataError::LibsvmSyntax { .. } => {
                "write one label and index:value pairs a line, no blank lines"
            }
            DataError::LibsvmIndexZero { .. } => {
                "libsvm indices count from 1: add 1 to all of them"
            }
            DataError::LibsvmUnsorted { .. } => "sort the entries of each line by index",
            DataError::LibsvmIndexRange { .. } => "raise the configured number of columns",
            DataError::ColumnsDiffer { .. } => "give both sets the same feature columns",
            DataError::FormatsDiffer { .. } => "write both sets as tables or both as libsvm text",
            DataError::TooLarge { .. } => {
                "use fewer rows or columns, or raise the data set's limit"
            }
        }
    }
}

/// "1 id is", "2 ids are".
struct Ids(usize, &'static str, &'static str);

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, more) = *self;
        if count == 1 { write!(f, "1 id {one}") } else { write!(f, "{count} ids {more}") }
    }
}

struct Lines<'a>(&'a [u64]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "line " } else { "lines " })?;
        for (i, line) in self.0.iter().enumerate() {
            write!(f, "{}{line}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Pairs<'a>(&'a [(u64, u64)]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, again)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}line {again} that of line {first}")?;
        }
        Ok(())
    }
}
