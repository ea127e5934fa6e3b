use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mpc_core::matrix::{Features, Table, Values};
use tempfile::TempDir;

use super::*;

mod divided;
mod parquet;
mod typed;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn csv(dir: &TempDir, bytes: &[u8]) -> Source {
    let path = dir.path().join("bank.csv");
    fs::write(&path, bytes).unwrap();
    Source { label_column: Some("y".to_owned()), ..Source::new(path, Format::Csv) }
}

fn svm(dir: &TempDir, rows: &[u8], ids: &[u8]) -> Source {
    let path = dir.path().join("bank.svm");
    fs::write(&path, rows).unwrap();
    fs::write(dir.path().join("bank.ids"), ids).unwrap();
    Source { label_column: Some("y".to_owned()), ..Source::new(path, Format::Libsvm) }
}

/// Ids, names, numbers row by row, labels.
fn dense(table: Table) -> (Vec<String>, Vec<String>, Vec<f64>, Option<Vec<bool>>) {
    let Features::Typed(columns) = &table.features else { panic!("a CSV gave a sparse table") };
    let number = |row: usize, column: &mpc_core::matrix::Column| match &column.values {
        Values::Numeric(numbers) => numbers.get(row).unwrap_or(f64::NAN),
        Values::Categorical(_) => panic!("{} is categorical", column.name),
    };
    let rows = 0..table.ids.len();
    let values = rows.flat_map(|row| columns.iter().map(move |column| number(row, column)));
    let (values, names) = (values.collect(), columns.iter().map(|c| c.name.clone()).collect());
    (table.ids, names, values, table.labels)
}

fn load_pair(train: &Source, test: &Source) -> Result<(Table, Table), DataError> {
    let sets = Sets { train: train.clone(), test: Some(test.clone()) };
    let [train, test] = load_sets(&sets, &Gauge::new(Source::DEFAULT_MEMORY))?;
    Ok((Arc::unwrap_or_clone(train), Arc::unwrap_or_clone(test)))
}

#[test]
fn csv_is_read_with_its_columns_in_any_order() {
    let dir = TempDir::new().unwrap();
    let text = "x1,id,\"x,2\",y\n1.5,007,-2,0\n 3 ,\"a \"\"b\"\", c\",4e1,1\n";
    let byte_order_mark = b"\xef\xbb\xbf";
    let variants = [
        text.as_bytes().to_vec(),
        text.replace('\n', "\r\n").into_bytes(),
        text.trim_end().as_bytes().to_vec(),
        [byte_order_mark, text.as_bytes()].concat(),
        gzip(text.as_bytes()),
        [gzip(&text.as_bytes()[..20]), gzip(&text.as_bytes()[20..])].concat(),
        gzip(&[byte_order_mark, text.as_bytes()].concat()),
        zstd(text.as_bytes()),
        [zstd(&text.as_bytes()[..20]), zstd(&text.as_bytes()[20..])].concat(),
    ];
    let mut read = 0;
    for bytes in variants {
        let (ids, names, values, labels) = dense(load(&csv(&dir, &bytes)).unwrap());
        assert_eq!(ids, ["007", "a \"b\", c"]);
        assert_eq!(names, ["x1", "x,2"]);
        assert_eq!(values, [1.5, -2.0, 3.0, 40.0]);
        assert_eq!(labels, Some(vec![false, true]));
        read += 1;
    }
    assert_eq!(read, 9);
}

#[test]
fn without_a_label_column_every_other_column_is_a_feature() {
    let dir = TempDir::new().unwrap();
    let source = Source { label_column: None, ..csv(&dir, b"id,y,x\n1,7,2\n") };
    let (_, names, values, labels) = dense(load(&source).unwrap());
    assert_eq!((names, values, labels), (vec!["y".into(), "x".into()], vec![7.0, 2.0], None));
}

#[test]
fn ids_are_exact_text() {
    let dir = TempDir::new().unwrap();
    let (ids, ..) =
        dense(load(&csv(&dir, b"id,y,x\n1,0,1\n01,0,1\n 1,0,1\nA,0,1\na,1,1\n")).unwrap());
    assert_eq!(ids, ["1", "01", " 1", "A", "a"]);
    let table = load(&svm(&dir, b"1 1:1\n-1 1:1\n", b"a \r\na\n")).unwrap();
    assert_eq!(table.ids, ["a ", "a"]);
}

#[test]
fn libsvm_is_read_with_the_ids_beside_it() {
    let rows = b"+1 1:0.5 3:2\n# a comment\n-1\n-1 2:0 4:-1e3 # a note\n";
    let ids = b"a\nb\nc\n";
    for (zip_rows, zip_ids) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, bytes: &[u8], zip: bool| {
            let path = dir.path().join(format!("{name}{}", if zip { ".gz" } else { "" }));
            fs::write(&path, if zip { gzip(bytes) } else { bytes.to_vec() }).unwrap();
            path
        };
        let path = write("bank.svm", rows, zip_rows);
        write("bank.ids", ids, zip_ids);
        let source = Source { label_column: Some("y".into()), ..Source::new(path, Format::Libsvm) };
        let table = load(&source).unwrap();
        assert_eq!(table.ids, ["a", "b", "c"]);
        assert_eq!(table.labels, Some(vec![true, false, false]));
        let Features::Sparse { columns, indptr, indices, values } = table.features else {
            panic!("libsvm text gave a dense table");
        };
        assert_eq!((columns, indptr), (4, vec![0, 2, 2, 3]));
        assert_eq!((indices, values), (vec![0, 2, 3], vec![0.5, 2.0, -1e3]));
    }
}

#[test]
fn libsvm_labels_are_signs_or_bits_or_ignored() {
    let dir = TempDir::new().unwrap();
    let ids = b"a\nb\n";
    let labels = |rows: &[u8]| load(&svm(&dir, rows, ids)).unwrap().labels.unwrap();
    assert_eq!(labels(b"0 1:1\n1 1:1\n"), [false, true]);
    assert_eq!(labels(b"-1 1:1\n+1.0 1:1\n"), [false, true]);
    for rows in [b"0 1:1\n0 1:1\n".as_slice(), b"0 1:1\n17 1:1\n", b"? 1:1\n1:1\n"] {
        let source = Source { label_column: None, ..svm(&dir, rows, ids) };
        assert!(load(&source).unwrap().labels.is_none());
    }
}

#[test]
fn configured_columns_may_exceed_the_highest_index() {
    let dir = TempDir::new().unwrap();
    let source = Source { columns: Some(9), ..svm(&dir, b"1 3:1\n", b"a\n") };
    assert_eq!(load(&source).unwrap().features.columns(), 9);
}

/// A value that must never show in a message, and an id.
const SECRET: &str = "4242.25";

/// A refused file: why, its content, the code, and what the message must name.
type Case = (&'static str, Vec<u8>, &'static str, &'static [&'static str]);

fn refuse(name: &str, source: &Source, code: &str, parts: &[&str]) {
    let error = load(source).map(|table| table.ids.len()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), code, "{name}: {text}");
    for part in parts {
        assert!(text.contains(part), "{name}: \"{part}\" is not in \"{text}\"");
    }
    assert!(!text.contains("4242"), "{name}: a value or id is in \"{text}\"");
    let folder = source.path.parent().unwrap().to_str().unwrap();
    assert!(!text.contains(folder), "{name}: a folder is in \"{text}\"");
    assert!(!error.hint().is_empty());
}

#[test]
fn bad_csv_is_refused_with_place_and_code() {
    let text = |s: &str| s.replace('$', SECRET).into_bytes();
    let mut cut = gzip(&[b"id,y,x\n".to_vec(), b"1,0,1\n".repeat(1000)].concat());
    cut.truncate(cut.len() - 9);
    let mut cut_zstd = zstd(&[b"id,y,x\n".to_vec(), b"1,0,1\n".repeat(1000)].concat());
    cut_zstd.truncate(cut_zstd.len() - 5);
    let mut flipped = gzip(b"id,y,x\n1,0,1\n");
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    let crlf = |s: &str| text(&s.replace('\n', "\r\n"));
    let cases: Vec<Case> = vec![
        ("CRLF, line", crlf("id,y,x\n1,0,1\n2,0,inf\n"), "data.not_numeric", &["line 3", "\"x\""]),
        ("CRLF, blank", crlf("\nid,y,x\n\n\n1,0,inf\n"), "data.not_numeric", &["line 5"]),
        ("CRLF, cut", crlf("id,y,x\n1,0,1\n2,0"), "data.ragged_row", &["line 3"]),
        ("open quote", text("id,y,x\n1,0,1\n2,\"0,1\n3,0,1"), "data.ragged_row", &["line 3"]),
        (
            "no id column",
            text("ID,y,x\n1,0,1\n"),
            "data.missing_id_column",
            &["bank.csv", "\"id\""],
        ),
        ("no header", text("$,0,1\n$,1,1\n"), "data.missing_id_column", &["bank.csv"]),
        ("no label column", text("id,Y,x\n1,0,1\n"), "data.missing_label_column", &["\"y\""]),
        ("two x", text("id,y,x,x\n1,0,1,1\n"), "data.duplicate_column", &["\"x\""]),
        ("two ids", text("id,y,id\n1,0,1\n"), "data.duplicate_column", &["\"id\""]),
        ("unnamed", text("id,y,,x\n1,0,1,1\n"), "data.unnamed_column", &["column 3"]),
        ("label 2", text("id,y,x\n1,0,1\n2,2,$\n"), "data.label_not_binary", &["line 3", "\"y\""]),
        ("label -1", text("id,y,x\n1,-1,1\n"), "data.label_not_binary", &["line 2"]),
        ("label text", text("id,y,x\n1,yes$,1\n"), "data.label_not_binary", &["line 2"]),
        ("label empty", text("id,y,x\n1,,1\n"), "data.label_not_binary", &["line 2"]),
        ("infinite", text("id,y,x\n1,0,-inf\n"), "data.not_numeric", &["line 2"]),
        ("overflow", text("id,y,x\n1,0,1e999\n"), "data.not_numeric", &["line 2"]),
        (
            "after a quoted line end and a blank line",
            text("id,y,x\n\"1\n1\",0,1\n\n3,0,inf\n"),
            "data.not_numeric",
            &["line 5"],
        ),
        ("decimal comma", text("id,y,x\n1,0,1,5\n"), "data.ragged_row", &["line 2", "4", "3"]),
        ("short", text("id,y,x\n1,0,1\n$,0\n"), "data.ragged_row", &["line 3", "2 fields"]),
        (
            "duplicate",
            text("id,y,x\n$,0,1\nb,0,1\n$,0,1\nb,1,1\n"),
            "data.duplicate_ids",
            &["bank.csv", "\"id\"", "2 ids", "line 4 that of line 2", "line 5 that of line 3"],
        ),
        ("no id", text("id,y,x\n$,0,1\n,0,1\n ,1,1\n"), "data.empty_id", &["2 ids", "lines 3, 4"]),
        ("only id and label", text("id,y\n1,0\n"), "data.no_columns", &["bank.csv"]),
        ("header only", text("id,y,x\n"), "data.empty", &["bank.csv"]),
        ("nothing", Vec::new(), "data.empty", &["bank.csv"]),
        ("nothing, zipped", gzip(b""), "data.empty", &["bank.csv"]),
        ("Latin-1", b"id,y,x\n1,0,1\nJos\xe9,0,1\n".to_vec(), "data.not_utf8", &["line 3"]),
        ("cut gzip", cut, "data.gzip_corrupt", &["bank.csv"]),
        ("gzip with a wrong checksum", flipped, "data.gzip_corrupt", &["bank.csv"]),
        ("gzip header only", b"\x1f\x8b\x08".to_vec(), "data.gzip_corrupt", &["bank.csv"]),
        ("cut zstd", cut_zstd, "data.zstd_corrupt", &["bank.csv"]),
        ("zstd header only", b"\x28\xb5\x2f\xfd".to_vec(), "data.zstd_corrupt", &["bank.csv"]),
        (
            "text after gzip",
            [gzip(b"id,y,x\n1,0,1\n"), b"more".to_vec()].concat(),
            "data.gzip_corrupt",
            &["bank.csv"],
        ),
    ];
    let dir = TempDir::new().unwrap();
    for (name, bytes, code, parts) in &cases {
        refuse(name, &csv(&dir, bytes), code, parts);
    }
    assert_eq!(cases.len(), 32);
}

#[test]
fn weights_are_finite_and_not_negative_and_no_features() {
    let dir = TempDir::new().unwrap();
    let weighted = |text: &str| Source {
        weight_column: Some("w".into()),
        ..csv(&dir, text.replace('$', SECRET).as_bytes())
    };
    let table = load(&weighted("id,w,y,x\na,0.5,0,1\nb,0,1,2\n")).unwrap();
    assert_eq!(table.weights, Some(vec![0.5, 0.0]));
    assert_eq!(dense(table).1, ["x"]);
    for cell in ["", "NA", "-1", "-$", "inf", "nan", "$x"] {
        let source = weighted(&format!("id,w,y,x\na,1,0,1\nb,{cell},1,2\n"));
        refuse(cell, &source, "data.bad_weight", &["bank.csv", "\"w\"", "line 3"]);
    }
    let none = weighted("id,w,y,x\na,0,0,1\nb,0,1,2\n");
    refuse("all zero", &none, "data.weights_all_zero", &["bank.csv", "\"w\""]);
    let other = weighted("id,W,y,x\na,0,0,1\n");
    refuse("no such column", &other, "data.missing_weight_column", &["\"w\"", "line 1"]);
    for column in ["id", "y"] {
        let same = Source { weight_column: Some(column.into()), ..other.clone() };
        refuse(column, &same, "data.missing_weight_column", &[]);
    }
}

#[test]
fn label_and_id_are_two_columns() {
    let dir = TempDir::new().unwrap();
    let source = csv(&dir, b"id,x\n1,0\n");
    let source = Source { label_column: Some("id".into()), ..source };
    refuse("label is the id", &source, "data.missing_label_column", &[]);
}

#[test]
fn bad_libsvm_is_refused_with_place_and_code() {
    let ok = "a\nb\n";
    let cases: Vec<(&str, &str, &str, &str, &[&str])> = vec![
        ("index 0", "1 1:1\n-1 0:1 2:1\n", ok, "data.libsvm_index_zero", &["bank.svm", "line 2"]),
        ("falling", "1 1:1\n-1 3:1 2:1\n", ok, "data.libsvm_unsorted", &["line 2"]),
        ("twice", "1 2:1 2:1\n-1 1:1\n", ok, "data.libsvm_unsorted", &["line 1"]),
        (
            "huge",
            "1 1:1\n1 99999999999999999999999:1\n",
            ok,
            "data.libsvm_index_range",
            &["line 2"],
        ),
        ("above 2^24", "1 16777217:1\n", ok, "data.libsvm_index_range", &["16777216"]),
        ("negative", "1 -1:1\n", ok, "data.libsvm_syntax", &["line 1"]),
        ("signed", "1 +1:1\n", ok, "data.libsvm_syntax", &["line 1"]),
        ("qid", "1 qid:4242 1:1\n", ok, "data.libsvm_syntax", &["line 1"]),
        ("no colon", "1 1:1 4242\n", ok, "data.libsvm_syntax", &["line 1"]),
        ("blank", "1 1:1\n\n-1 1:1\n", ok, "data.libsvm_syntax", &["line 2"]),
        ("NaN", "1 1:1\n-1 7:nan\n", ok, "data.not_numeric", &["line 2", "column \"7\""]),
        ("infinite", "1 1:inf\n", ok, "data.not_numeric", &["line 1"]),
        ("text", "1 1:4242x\n", ok, "data.not_numeric", &["line 1"]),
        ("no value", "1 1:\n", ok, "data.not_numeric", &["line 1"]),
        ("no label", "1 1:1\n1:1\n", ok, "data.missing_label_column", &["line 2", "\"y\""]),
        ("label 2", "1 1:1\n4242 1:1\n", ok, "data.label_not_binary", &["line 2"]),
        ("mixed", "-1 1:1\n0 1:1\n", ok, "data.label_not_binary", &["line 2", "-1 or 1"]),
        ("mixed", "0 1:1\n-1 1:1\n", ok, "data.label_not_binary", &["line 2", "0 or 1"]),
        ("ids short", "1 1:1\n-1 1:1\n", "a\n", "data.ids_length", &["bank.ids has 1", "2 rows"]),
        ("ids long", "1 1:1\n", ok, "data.ids_length", &["bank.ids has 2", "1 rows"]),
        (
            "same ids",
            "1 1:1\n-1 1:1\n",
            "4242\n4242\n",
            "data.duplicate_ids",
            &["bank.ids", "line 2"],
        ),
        ("no id", "1 1:1\n-1 1:1\n", "a\n\n", "data.empty_id", &["bank.ids", "line 2"]),
        ("no entries", "1\n-1\n", ok, "data.no_columns", &["bank.svm"]),
        ("nothing", "", "", "data.empty", &["bank.svm"]),
    ];
    let dir = TempDir::new().unwrap();
    for (name, rows, ids, code, parts) in &cases {
        refuse(name, &svm(&dir, rows.as_bytes(), ids.as_bytes()), code, parts);
    }
    assert_eq!(cases.len(), 24);

    let bytes = svm(&dir, b"1 1:1\n-1 \xff:1\n", b"a\nb\n");
    refuse("not UTF-8", &bytes, "data.not_utf8", &["bank.svm", "line 2"]);
    let bytes = svm(&dir, b"1 1:1\n", b"\xff\n");
    refuse("ids not UTF-8", &bytes, "data.not_utf8", &["bank.ids", "line 1"]);
    let source = Source { columns: Some(2), ..svm(&dir, b"1 3:1\n", b"a\n") };
    refuse("above the columns", &source, "data.libsvm_index_range", &["line 1", "2"]);
}

#[test]
fn missing_files_are_unreadable() {
    let dir = TempDir::new().unwrap();
    let source = Source::new(dir.path().join("none.csv"), Format::Csv);
    refuse("no file", &source, "data.unreadable", &["none.csv"]);
    let source = Source::new(dir.path().to_path_buf().join("."), Format::Csv);
    assert_eq!(load(&source).unwrap_err().code(), "data.unreadable", "a folder");
    let source = svm(&dir, b"1 1:1\n", b"a\n");
    fs::remove_file(dir.path().join("bank.ids")).unwrap();
    refuse("no ids file", &source, "data.unreadable", &["bank.ids"]);
}

#[test]
fn limits_are_exact() {
    let dir = TempDir::new().unwrap();
    let table = b"id,y,x,z\n1,0,1,1\n2,1,1,1\n3,1,1,1\n";
    let with = |source: Source, max_rows, max_cells| Source { max_rows, max_cells, ..source };
    let big = usize::MAX;
    assert!(load(&with(csv(&dir, table), 3, 6)).is_ok());
    refuse("rows", &with(csv(&dir, table), 2, big), "data.too_large", &["2 rows"]);
    refuse("cells", &with(csv(&dir, table), big, 5), "data.too_large", &["5 cells"]);

    let (rows, ids) = (b"1 1:1 2:1\n-1 1:1\n", b"a\nb\n");
    assert!(load(&with(svm(&dir, rows, ids), 2, 3)).is_ok());
    refuse("rows", &with(svm(&dir, rows, b"a\n"), 1, big), "data.too_large", &["1 rows"]);
    refuse("entries", &with(svm(&dir, rows, ids), big, 2), "data.too_large", &["2 entries"]);
    let long = svm(&dir, b"1 1:1\n", b"a\nb\n");
    refuse("ids", &with(long, 1, big), "data.too_large", &["bank.ids", "1 ids"]);
}

/// A small file that unpacks to a huge one must not be unpacked whole.
#[test]
fn decompression_is_bounded() {
    let dir = TempDir::new().unwrap();
    let endless_field = [b"id,y,x\n1,0,\"".to_vec(), vec![b'0'; 8 << 20]].concat();
    let small = |source| Source { max_rows: 10, max_cells: 10, ..source };
    refuse("CSV", &small(csv(&dir, &gzip(&endless_field))), "data.too_large", &["bytes"]);
    refuse("zstd", &small(csv(&dir, &zstd(&endless_field))), "data.too_large", &["bytes"]);
    let endless_line = [b"1 1:1 ".to_vec(), vec![b' '; 8 << 20]].concat();
    let source = small(svm(&dir, &gzip(&endless_line), b"a\n"));
    refuse("libsvm", &source, "data.too_large", &["bytes"]);
}

/// Every code that exists is one that a test above has seen, or the set has grown without tests.
#[test]
fn codes_are_stable_and_complete() {
    let tests = [
        include_str!("mod.rs"),
        include_str!("divided.rs"),
        include_str!("parquet.rs"),
        include_str!("typed.rs"),
    ]
    .concat();
    let error = include_str!("../error.rs");
    let codes: std::collections::BTreeSet<&str> =
        error.split('"').filter(|part| part.starts_with("data.")).collect();
    assert_eq!(codes.len(), 36);
    for code in codes {
        assert!(tests.contains(&format!("\"{code}\"")), "no test provokes {code}");
    }
}

#[test]
fn names_tell_format_and_ids_file() {
    let format = |name: &str| Format::from_path(Path::new(name));
    assert_eq!(format("d/a.csv"), Some(Format::Csv));
    assert_eq!(format("d/a.csv.gz"), Some(Format::Csv));
    assert_eq!(format("party_a.svm.gz"), Some(Format::Libsvm));
    assert_eq!(format("a.libsvm"), Some(Format::Libsvm));
    assert_eq!(format("a.csv.zst"), Some(Format::Csv));
    assert_eq!(format("a.parquet"), Some(Format::Parquet));
    assert_eq!((format("a.parquet.gz"), format("csv"), format("a.gz")), (None, None, None));
    assert_eq!(ids_beside(Path::new("d/x.y.svm")), Path::new("d/x.y.ids"));
    assert_eq!(ids_beside(Path::new("d/x.y.svm.gz")), Path::new("d/x.y.ids.gz"));
    assert_eq!(ids_beside(Path::new("d/x.y.svm.zst")), Path::new("d/x.y.ids.zst"));
}

/// A small training table and a test table with the given text.
fn pair(dir: &TempDir, test: &str) -> (Source, Source) {
    let train = csv(dir, b"id,y,p,q\n1,0,1,2\n2,1,3,4\n");
    let path = dir.path().join("test.csv");
    fs::write(&path, test).unwrap();
    (train.clone(), Source { path, ..train })
}

#[test]
fn a_pair_has_its_columns_in_the_order_of_the_training_set() {
    let dir = TempDir::new().unwrap();
    let (train, test) = pair(&dir, "q,y,id,p\n20,1,7,10\n40,0,8,30\n");
    let (train, test) = load_pair(&train, &test).unwrap();
    let ((_, train_names, ..), (ids, names, values, labels)) = (dense(train), dense(test));
    assert_eq!(names, train_names);
    assert_eq!(values, [10.0, 20.0, 30.0, 40.0]);
    assert_eq!((ids, labels), (vec!["7".into(), "8".into()], Some(vec![true, false])));

    let wide = svm(&dir, b"1 1:1\n-1 5:1\n", b"a\nb\n");
    let path = dir.path().join("narrow.svm");
    fs::write(&path, "1 2:1\n").unwrap();
    fs::write(dir.path().join("narrow.ids"), "a\n").unwrap();
    let narrow = Source { path, ..wide.clone() };
    for (train, test) in [(&wide, &narrow), (&narrow, &wide)] {
        let (train, test) = load_pair(train, test).unwrap();
        assert_eq!((train.features.columns(), test.features.columns()), (5, 5));
    }
}

#[test]
fn a_pair_of_different_columns_is_refused() {
    let dir = TempDir::new().unwrap();
    let code = |(train, test): (Source, Source)| load_pair(&train, &test).unwrap_err();
    for (test, column) in
        [("id,y,p\n1,0,1\n", "q"), ("id,y,p,q,r\n1,0,1,1,1\n", "r"), ("id,y,p,Q\n1,0,1,1\n", "q")]
    {
        let error = code(pair(&dir, test));
        assert_eq!(error.code(), "data.columns_differ");
        let text = error.to_string();
        assert!(text.contains(&format!("\"{column}\"")) && text.contains("test.csv"), "{text}");
    }
    let (train, _) = pair(&dir, "");
    let sparse = svm(&dir, b"1 1:1\n", b"a\n");
    assert_eq!(code((train, sparse)).code(), "data.formats_differ");
}

/// The committed set, as the demo reads it.
#[test]
fn default_credit_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/default_credit/train");
    let a = load(&Source::new(folder.join("party_a.csv.gz"), Format::Csv)).unwrap();
    assert_eq!((a.ids.len(), a.features.columns(), a.labels), (24_732, 10, None));
    let source = Source {
        label_column: Some("y".into()),
        ..Source::new(folder.join("party_b.csv.gz"), Format::Csv)
    };
    let b = load(&source).unwrap();
    assert_eq!((b.ids.len(), b.features.columns()), (23_560, 16));
    assert_eq!(b.labels.unwrap().len(), 23_560);
}
