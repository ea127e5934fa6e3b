//! Parquet, as its own library writes it.

use std::path::PathBuf;

use ::parquet::{
    basic::Compression,
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
    },
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::parser::parse_message_type,
};

use super::*;

/// The cells of a column in one row group.
enum Cells {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i32>>),
    Long(Vec<Option<i64>>),
    Float(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
    Text(Vec<Option<&'static str>>),
}

fn put<T: DataType>(column: &mut SerializedColumnWriter<'_>, cells: &[Option<T::T>]) {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
    // A required column has no levels; the library ignores them there.
    column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
}

/// A file with the given fields and row groups.
fn write(dir: &TempDir, fields: &str, groups: &[Vec<Cells>], compression: Compression) -> Source {
    let path: PathBuf = dir.path().join("bank.parquet");
    let schema = Arc::new(parse_message_type(&format!("message m {{ {fields} }}")).unwrap());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut rows = writer.next_row_group().unwrap();
        for cells in group {
            let mut column = rows.next_column().unwrap().unwrap();
            match cells {
                Cells::Bool(cells) => put::<BoolType>(&mut column, cells),
                Cells::Int(cells) => put::<Int32Type>(&mut column, cells),
                Cells::Long(cells) => put::<Int64Type>(&mut column, cells),
                Cells::Float(cells) => put::<FloatType>(&mut column, cells),
                Cells::Double(cells) => put::<DoubleType>(&mut column, cells),
                Cells::Text(cells) => {
                    let bytes = |cell: &Option<&str>| cell.map(ByteArray::from);
                    put::<ByteArrayType>(&mut column, &cells.iter().map(bytes).collect::<Vec<_>>());
                }
            }
            column.close().unwrap();
        }
        rows.close().unwrap();
    }
    writer.close().unwrap();
    Source { label_column: Some("y".to_owned()), ..Source::new(path, Format::Parquet) }
}

const FIELDS: &str = "optional binary id (utf8); optional boolean y; optional int32 i; \
                      optional int64 l; optional int32 u (uint_32); optional float f; \
                      optional double d; optional binary t (utf8);";

fn groups() -> Vec<Vec<Cells>> {
    vec![
        vec![
            Cells::Text(vec![Some("a"), Some("b")]),
            Cells::Bool(vec![Some(true), Some(false)]),
            Cells::Int(vec![Some(-5), None]),
            Cells::Long(vec![None, Some(1 << 40)]),
            Cells::Int(vec![Some(-1), Some(7)]),
            Cells::Float(vec![Some(0.1), Some(f32::NAN)]),
            Cells::Double(vec![Some(f64::NAN), Some(0.1)]),
            Cells::Text(vec![Some("x"), None]),
        ],
        vec![
            Cells::Text(vec![Some("c")]),
            Cells::Bool(vec![Some(true)]),
            Cells::Int(vec![Some(2)]),
            Cells::Long(vec![Some(3)]),
            Cells::Int(vec![None]),
            Cells::Float(vec![None]),
            Cells::Double(vec![Some(-2.5)]),
            Cells::Text(vec![Some("NA")]),
        ],
    ]
}

#[test]
fn every_type_is_read_from_every_row_group_and_codec() {
    let dir = TempDir::new().unwrap();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
    ];
    for codec in codecs {
        let gauge = Gauge::new(1 << 30);
        let table = load_one(&write(&dir, FIELDS, &groups(), codec), &gauge).unwrap();
        assert_eq!(table.ids, ["a", "b", "c"]);
        assert_eq!(table.labels, Some(vec![true, false, true]));
        let single = f64::from(0.1f32);
        let expected = [
            ("i", vec![Some(-5.0), None, Some(2.0)]),
            ("l", vec![None, Some(1_099_511_627_776.0), Some(3.0)]),
            ("u", vec![Some(4_294_967_295.0), Some(7.0), None]),
            ("f", vec![Some(single), None, None]),
            ("d", vec![None, Some(0.1), Some(-2.5)]),
        ];
        let Features::Typed(columns) = &table.features else { panic!() };
        for ((name, numbers), column) in expected.iter().zip(columns) {
            let Values::Numeric(found) = &column.values else { panic!("{name}") };
            assert_eq!((column.name.as_str(), found.iter().collect()), (*name, numbers.clone()));
        }
        let Values::Categorical(codes) = &columns[5].values else { panic!() };
        assert_eq!([codes.get(0), codes.get(1), codes.get(2)], [Some("x"), None, None]);
        assert_eq!(gauge.progress().1, 3);
    }
}

/// Ids are text: whole numbers have one, others do not.
#[test]
fn ids_that_are_integers_become_their_digits_and_other_numbers_are_refused() {
    let dir = TempDir::new().unwrap();
    let label = || Cells::Int(vec![Some(1), Some(0)]);
    let plain = Compression::UNCOMPRESSED;
    let table = |fields: &str, ids: Cells| {
        let fields = format!("{fields}; optional int32 y; optional double x;");
        let values = Cells::Double(vec![Some(1.0), Some(2.0)]);
        load(&write(&dir, &fields, &[vec![ids, label(), values]], plain))
    };
    let long = Cells::Long(vec![Some(7), Some(-9_007_199_254_740_993)]);
    assert_eq!(table("optional int64 id", long).unwrap().ids, ["7", "-9007199254740993"]);
    let unsigned = Cells::Long(vec![Some(-1), Some(1)]);
    let ids = table("optional int64 id (uint_64)", unsigned).unwrap().ids;
    assert_eq!(ids, ["18446744073709551615", "1"]);
    let float = table("optional double id", Cells::Double(vec![Some(1.0), Some(2.0)])).unwrap_err();
    assert_eq!(float.code(), "data.unsupported_type");
    assert!(float.to_string().contains("\"id\""), "{float}");
    let missing = table("optional int64 id", Cells::Long(vec![Some(1), None])).unwrap_err();
    assert_eq!(missing.code(), "data.empty_id");
    assert!(missing.to_string().contains("line 2"), "{missing}");
    let twice = table("optional int64 id", Cells::Long(vec![Some(5), Some(5)])).unwrap_err();
    assert_eq!(twice.code(), "data.duplicate_ids");
    assert!(twice.to_string().contains("line 2 that of line 1"), "{twice}");
}

#[test]
fn columns_of_other_types_are_refused_by_name_or_ignored() {
    let dir = TempDir::new().unwrap();
    for field in [
        "optional int32 odd (date);",
        "optional int64 odd (timestamp_millis);",
        "optional int32 odd (decimal(5, 2));",
        "optional binary odd;",
        "optional binary odd (json);",
        "repeated int32 odd;",
        "optional group odd { optional int32 inner; }",
        "optional int96 odd;",
        "optional fixed_len_byte_array(4) odd;",
    ] {
        let path = dir.path().join("bank.parquet");
        let fields = format!("required binary id (utf8); required int32 x; {field}");
        let schema = Arc::new(parse_message_type(&format!("message m {{ {fields} }}")).unwrap());
        let file = fs::File::create(&path).unwrap();
        let writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        writer.close().unwrap();
        let source = Source::new(path, Format::Parquet);
        refuse(field, &source, "data.unsupported_type", &["bank.parquet", "odd"]);
        // Then only the rows are missing.
        let name = if field.contains("group") { "odd.inner" } else { "odd" };
        let mut ignoring = Source { features: vec!["x".to_owned()], ..source };
        refuse(field, &ignoring, "data.empty", &[]);
        let ignored = ColumnSettings { kind: Some(ColumnType::Ignore), ..Default::default() };
        ignoring.features.clear();
        ignoring.schema.columns.insert(name.to_owned(), ignored);
        refuse(field, &ignoring, "data.empty", &[]);
    }
}

#[test]
fn kinds_and_cells_obey_the_catalogue() {
    let dir = TempDir::new().unwrap();
    let fields = "required binary id (utf8); required binary y (utf8); required int32 code; \
                  required binary n (utf8); required double d;";
    let rows = |n: [&'static str; 2], d: f64| {
        vec![
            Cells::Text(vec![Some("a"), Some("b")]),
            Cells::Text(vec![Some("gold"), Some("none")]),
            Cells::Int(vec![Some(7), Some(8)]),
            Cells::Text(n.map(Some).to_vec()),
            Cells::Double(vec![Some(1.0), Some(d)]),
        ]
    };
    let set = |n, d, schema: &str| {
        let source = write(&dir, fields, &[rows(n, d)], Compression::SNAPPY);
        let columns = toml::from_str(schema).unwrap();
        let schema = Schema { columns, ..Schema::default() };
        Source { schema, positive_class: Some("gold".to_owned()), ..source }
    };
    let kinds = "code = { type = \"categorical\" }\nn = { type = \"numeric\" }";
    let table = load(&set(["1.5", "NA"], 2.0, kinds)).unwrap();
    assert_eq!(table.labels, Some(vec![true, false]));
    let Features::Typed(columns) = &table.features else { panic!() };
    let Values::Categorical(codes) = &columns[0].values else { panic!() };
    assert_eq!((codes.get(0), codes.get(1)), (Some("7"), Some("8")));
    let Values::Numeric(numbers) = &columns[1].values else { panic!() };
    assert_eq!((numbers.get(0), numbers.get(1)), (Some(1.5), None));

    let text = set(["1.5", "4242x"], 2.0, kinds);
    refuse("text", &text, "data.not_numeric", &["line 2", "\"n\""]);
    let infinite = set(["1.5", "2"], f64::INFINITY, kinds);
    refuse("infinite", &infinite, "data.not_numeric", &["line 2", "\"d\""]);
    let real = set(["1.5", "2"], 2.0, "d = { type = \"categorical\" }");
    refuse("real as text", &real, "data.unsupported_type", &["\"d\""]);
    let cells = Source { max_cells: 5, ..set(["1", "2"], 2.0, "") };
    refuse("cells", &cells, "data.too_large", &["5 cells"]);
    refuse("rows", &Source { max_rows: 1, ..cells }, "data.too_large", &["1 rows"]);
    let tight = load_one(&set(["1", "2"], 2.0, ""), &Gauge::new(1000)).unwrap_err();
    assert_eq!(tight.code(), "data.memory_limit");
}

/// The same rows as CSV divide and read the same.
#[test]
fn parquet_and_csv_of_the_same_rows_are_one_table() {
    let dir = TempDir::new().unwrap();
    let count = 10_000;
    let id = |i: usize| -> &'static str { format!("id{i}").leak() };
    let level = |i: usize| ["red", "green", "blue"][i % 3];
    let mut text = "id,y,n,c\n".to_owned();
    for i in 0..count {
        let number = if i % 7 == 0 { String::new() } else { (i as f64 / 8.0).to_string() };
        text += &format!("{},{},{number},{}\n", id(i), i % 2, level(i));
    }
    let group = |rows: std::ops::Range<usize>| {
        vec![
            Cells::Text(rows.clone().map(|i| Some(id(i))).collect()),
            Cells::Int(rows.clone().map(|i| Some((i % 2) as i32)).collect()),
            Cells::Double(rows.clone().map(|i| (i % 7 != 0).then(|| i as f64 / 8.0)).collect()),
            Cells::Text(rows.map(|i| Some(level(i))).collect()),
        ]
    };
    let fields = "required binary id (utf8); required int32 y; optional double n; \
                  required binary c (utf8);";
    let groups = [group(0..1), group(1..9_000), group(9_000..count)];
    let parquet = write(&dir, fields, &groups, Compression::SNAPPY);
    let csv = csv(&dir, text.as_bytes());
    let read = |source: &Source, split: Option<Split>| {
        let sets = match split {
            None => return vec![Arc::new(load(source).unwrap())],
            split => Sets { train: Source { split, ..source.clone() }, test: None },
        };
        load_sets(&sets, &Gauge::new(1 << 30)).unwrap().to_vec()
    };
    let hash = Split::Hash { test: 0.3, salt: String::new() };
    let column = Split::Column { column: "c".into(), test: vec!["blue".into()] };
    for split in [None, Some(hash), Some(column)] {
        let (a, b) = (read(&csv, split.clone()), read(&parquet, split));
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((&a.ids, &a.labels), (&b.ids, &b.labels));
            let (Features::Typed(a), Features::Typed(b)) = (&a.features, &b.features) else {
                panic!("a sparse table")
            };
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b) {
                match (&a.values, &b.values) {
                    (Values::Numeric(a), Values::Numeric(b)) => assert!(a.iter().eq(b.iter())),
                    (Values::Categorical(a), Values::Categorical(b)) => {
                        assert_eq!(a.len(), b.len());
                        assert!((0..a.len()).all(|row| a.get(row) == b.get(row)));
                    }
                    _ => panic!("{} is of two kinds", a.name),
                }
            }
        }
    }
}

#[test]
fn damaged_files_are_refused_without_their_content() {
    let dir = TempDir::new().unwrap();
    let source = write(&dir, FIELDS, &groups(), Compression::SNAPPY);
    let bytes = fs::read(&source.path).unwrap();
    for len in 0..bytes.len() {
        fs::write(&source.path, &bytes[..len]).unwrap();
        let error = load(&source).map(|table| table.ids.len()).unwrap_err();
        assert_eq!(error.code(), "data.unreadable", "cut off at {len}: {error}");
    }
    fs::write(&source.path, b"id,y,x\n1,0,1\n").unwrap();
    refuse("CSV", &source, "data.unreadable", &["bank.parquet"]);
    let none = Source { path: dir.path().join("none.parquet"), ..source };
    refuse("no file", &none, "data.unreadable", &["none.parquet"]);
}
