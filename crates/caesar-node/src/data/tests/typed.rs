//! Kinds of columns, missing values, what the catalogue says, classes, the bound on memory.

use mpc_core::matrix::{Column, Recipe, Scale};

use super::*;

/// The columns of a table: name and cells as text, `-` for a missing one.
fn shown(table: &Table) -> Vec<(String, String)> {
    let Features::Typed(columns) = &table.features else { panic!("a sparse table") };
    let cells = |column: &Column| match &column.values {
        Values::Numeric(numbers) => {
            let text = |v: Option<f64>| v.map_or("-".to_owned(), |v| v.to_string());
            numbers.iter().map(text).collect::<Vec<_>>().join(" ")
        }
        Values::Categorical(codes) => {
            let cells = (0..codes.len()).map(|row| codes.get(row).unwrap_or("-"));
            cells.map(|cell| format!("'{cell}'")).collect::<Vec<_>>().join(" ").replace("'-'", "-")
        }
    };
    columns.iter().map(|column| (column.name.clone(), cells(column))).collect()
}

#[track_caller]
fn shows(source: &Source, expected: &[(&str, &str)]) {
    let table = load(source).unwrap();
    let expected: Vec<_> =
        expected.iter().map(|(n, c)| ((*n).to_owned(), (*c).to_owned())).collect();
    assert_eq!(shown(&table), expected);
}

fn settings(text: &str) -> Schema {
    let columns = toml::from_str(text).unwrap();
    Schema { columns, ..Schema::default() }
}

#[test]
fn kinds_are_inferred_from_all_cells() {
    let dir = TempDir::new().unwrap();
    let text = "id,y,number,text,gaps,mixed,nothing\n\
                a,0,1,x,,1,\n\
                b,1, 2.5 ,y,NA,01,null\n\
                c,0,-1e3, x ,NaN,one,NaN\n\
                d,1,007,NA,4,,\n";
    shows(
        &csv(&dir, text.as_bytes()),
        &[
            ("number", "1 2.5 -1000 7"),
            ("text", "'x' 'y' ' x ' -"),
            ("gaps", "- - - 4"),
            // As the cells stand, not as the numbers that some of them are.
            ("mixed", "'1' '01' 'one' -"),
            ("nothing", "- - - -"),
        ],
    );
}

/// What the first rows cannot tell costs another pass, and nothing else.
#[test]
fn a_late_cell_can_change_the_kind_of_its_column() {
    let dir = TempDir::new().unwrap();
    let rows = 10_100;
    let mut text = "id,y,x,z\n".to_owned();
    for row in 0..rows {
        let x = if row == rows - 2 { "late".to_owned() } else { format!("{row:05}") };
        text += &format!("i{row},{},{x},{row}\n", row % 2);
    }
    let source = csv(&dir, text.as_bytes());
    let gauge = Gauge::new(Source::DEFAULT_MEMORY);
    let table = load_one(&source, &gauge).unwrap();
    let columns = shown(&table);
    assert!(columns[0].1.starts_with("'00000' '00001'") && columns[0].1.contains("'late'"));
    assert!(columns[1].1.starts_with("0 1 2"));
    assert_eq!(table.ids.len(), rows);
    assert_eq!(gauge.progress(), (1.0, 2 * rows as u64));
    // What was stored in the first pass is given back.
    let fixed = Source { schema: settings("x = { type = \"categorical\" }"), ..source };
    let other = Gauge::new(Source::DEFAULT_MEMORY);
    load_one(&fixed, &other).unwrap();
    assert_eq!(gauge.used(), other.used());
}

#[test]
fn the_catalogue_decides_over_the_cells() {
    let dir = TempDir::new().unwrap();
    let text = b"id,y,zip,n,skip\na,0,01,1,4242\nb,1,2,-9,k4242\n";
    let schema = settings(
        "zip = { type = \"categorical\" }\nn = { scale = \"none\" }\nskip = { type = \"ignore\" }",
    );
    let source = Source {
        schema: Schema { missing_values: Some(vec!["-9".to_owned()]), ..schema },
        ..csv(&dir, text)
    };
    shows(&source, &[("zip", "'01' '2'"), ("n", "1 -")]);
    let Features::Typed(columns) = load(&source).unwrap().features else { panic!() };
    assert_eq!(columns[1].recipe, Recipe { scale: Scale::None, ..Recipe::default() });

    let with =
        |text: &str| Source { schema: settings(text), ..csv(&dir, b"id,y,x\na,0,1\nb,1,k$\n") };
    let numeric = with("x = { type = \"numeric\" }");
    refuse("numeric by type", &numeric, "data.not_numeric", &["bank.csv", "line 3", "\"x\""]);
    refuse("numeric by log", &with("x = { log = true }"), "data.not_numeric", &["line 3"]);
    refuse("a slip", &with("X = { log = true }"), "data.unknown_setting", &["\"X\""]);
    refuse("nothing left", &with("x = { type = \"ignore\" }"), "data.no_columns", &["bank.csv"]);
    // A list of its own says what is missing; then NA and the empty cell are text like any.
    let own = Schema { missing_values: Some(vec!["?".to_owned()]), ..Schema::default() };
    let source = Source { schema: own, ..csv(&dir, b"id,y,x\na,0,NA\nb,1,?\nc,1,\n") };
    shows(&source, &[("x", "'NA' - ''")]);
}

#[test]
fn a_jobs_features_are_picked_by_name() {
    let dir = TempDir::new().unwrap();
    let file = csv(&dir, b"id,y,age,zip4,zip5\na,0,1,2,3\n");
    let with = |features: &[&str]| Source {
        features: features.iter().map(|&f| f.to_owned()).collect(),
        ..file.clone()
    };
    shows(&with(&["*", "!zip*"]), &[("age", "1")]);
    // Neither the id nor the label is a feature, whatever a pattern says.
    shows(&with(&["*"]), &[("age", "1"), ("zip4", "2"), ("zip5", "3")]);
    refuse("none", &with(&["income"]), "data.no_feature_selected", &["bank.csv"]);
    let sparse = Source { features: vec!["*".to_owned()], ..svm(&dir, b"1 1:1\n", b"a\n") };
    refuse("libsvm", &sparse, "data.no_names", &["bank.svm", "features"]);
    // What is not picked is not read.
    let bad = Source { features: vec!["age".to_owned()], ..csv(&dir, b"id,y,age,z\na,0,1,inf\n") };
    shows(&bad, &[("age", "1")]);
}

#[test]
fn labels_are_zeros_and_ones_or_one_class_against_the_others() {
    let dir = TempDir::new().unwrap();
    let labels = |cells: [&str; 3], class: Option<&str>| {
        let rows = (0..).zip(cells).map(|(i, cell)| format!("{i},{cell},1\n")).collect::<String>();
        let source = csv(&dir, format!("id,y,x\n{rows}").as_bytes());
        load(&Source { positive_class: class.map(str::to_owned), ..source })
            .map(|t| t.labels.unwrap())
    };
    assert_eq!(labels(["0", "1.0", " 1"], None).unwrap(), [false, true, true]);
    assert_eq!(labels(["true", "FALSE", "True"], None).unwrap(), [true, false, true]);
    let classes = ["gold", "silver", " gold "];
    assert_eq!(labels(classes, Some("gold")).unwrap(), [true, false, true]);
    assert_eq!(labels(classes, Some("silver")).unwrap(), [false, true, false]);
    assert_eq!(labels(["3", "1", "2"], Some("2")).unwrap(), [false, false, true]);
    let code = |cells, class| labels(cells, class).unwrap_err().code();
    assert_eq!(code(["gold", "1", "0"], None), "data.label_not_binary");
    assert_eq!(code(["NaN", "1", "0"], None), "data.label_not_binary");
    for missing in ["", "NA", "null"] {
        assert_eq!(code(["gold", missing, "silver"], Some("gold")), "data.missing_label");
    }
    assert_eq!(code(classes, Some("Gold")), "data.no_positive_class");

    let sparse = |class: &str| {
        let source = svm(&dir, b"3 1:1\n-1 1:1\n2 1:1\n", b"a\nb\nc\n");
        load(&Source { positive_class: Some(class.to_owned()), ..source })
            .map(|t| t.labels.unwrap())
    };
    assert_eq!(sparse("2").unwrap(), [false, false, true]);
    assert_eq!(sparse("4").unwrap_err().code(), "data.no_positive_class");
}

/// A test file that is not as the training file was.
#[test]
fn drift_is_refused_at_the_first_difference_or_has_a_rule() {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        Source { label_column: Some("y".to_owned()), ..Source::new(path, Format::Csv) }
    };
    let train = write("train.csv", "id,y,n,c\n1,0,5,a\n2,1,6,7\n");
    let test = |text: &str| load_pair(&train, &write("test.csv", text));
    let error = test("id,y,n,c\n1,0,5,a\n2,1,4242k,a\n").unwrap_err();
    assert_eq!(error.code(), "data.type_differs");
    let message = error.to_string();
    for part in ["test.csv", "\"n\"", "line 3", "train.csv"] {
        assert!(message.contains(part) && !message.contains("4242"), "{message}");
    }
    assert_eq!(test("id,y,n,c\n1,0,inf,a\n").unwrap_err().code(), "data.not_numeric");
    assert_eq!(test("id,y,n\n1,0,5\n").unwrap_err().code(), "data.columns_differ");
    assert_eq!(test("id,y,n,c,d\n1,0,5,a,1\n").unwrap_err().code(), "data.columns_differ");
    // Categories that all look like numbers are categories still.
    let (_, numbers) = test("id,c,n,y\n1,7,,0\n2,8,1,1\n").unwrap();
    assert_eq!(shown(&numbers), [("n".into(), "- 1".into()), ("c".into(), "'7' '8'".into())]);
    // The training set's settings are those of both, whatever the test set's own entry says.
    let train = Source { schema: settings("n = { type = \"categorical\" }"), ..train };
    let (_, text) = load_pair(&train, &write("test.csv", "id,y,n,c\n1,0,x,a\n")).unwrap();
    assert_eq!(shown(&text)[0].1, "'x'");
}

#[test]
fn memory_is_bounded_and_what_a_table_takes_is_small() {
    let dir = TempDir::new().unwrap();
    let rows = 20_000;
    let mut text = "id,y,small,money,text\n".to_owned();
    for row in 0..rows {
        text += &format!("i{row},{},{},{}.25,c{}\n", row % 2, row % 100, row % 300, row % 7);
    }
    let source = csv(&dir, text.as_bytes());
    let gauge = Gauge::new(64 << 20);
    load_one(&source, &gauge).unwrap();
    // One, two and one bytes a row of the columns, and the id's 150.
    let (least, most) = (rows * (1 + 2 + 1), rows * 170);
    assert!((least..most).contains(&gauge.used()), "{}", gauge.used());
    let tight = Gauge::new(gauge.used() - 1);
    let error = load_one(&source, &tight).unwrap_err();
    assert_eq!(error.code(), "data.memory_limit");
    assert!(error.hint().contains("limits.data_memory_mib"), "{}", error.hint());
    assert!(load_one(&source, &Gauge::new(2 << 20)).unwrap_err().to_string().contains("2 MiB"));
    let sparse = svm(&dir, &b"1 1:1 2:1\n0 3:1\n".repeat(1000), &ids(2000));
    assert_eq!(load_one(&sparse, &Gauge::new(100_000)).unwrap_err().code(), "data.memory_limit");
    load_one(&sparse, &Gauge::new(1 << 20)).unwrap();
}

fn ids(count: usize) -> Vec<u8> {
    (0..count).map(|i| format!("{i}\n")).collect::<String>().into_bytes()
}
