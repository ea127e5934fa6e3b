//! One data set as training and test rows.

use super::*;

fn divided(source: Source, split: Split) -> Result<[Arc<Table>; 2], DataError> {
    let sets = Sets { train: Source { split: Some(split), ..source }, test: None };
    load_sets(&sets, &Gauge::new(Source::DEFAULT_MEMORY))
}

fn hash(test: f64) -> Split {
    Split::Hash { test, salt: "s".to_owned() }
}

fn column(test: &[&str]) -> Split {
    let test = test.iter().map(|&t| t.to_owned()).collect();
    Split::Column { column: "fold".to_owned(), test }
}

/// What one party puts on one side the other does too, whatever its format.
#[test]
fn both_parties_divide_by_the_same_hash() {
    let dir = TempDir::new().unwrap();
    let ids: Vec<String> = (0..400).map(|i| format!("id{i}")).collect();
    let mut text = "id,y,x\n".to_owned();
    let (mut rows, mut beside) = (String::new(), String::new());
    for (i, id) in ids.iter().enumerate() {
        text += &format!("{id},{},{i}\n", i % 2);
        rows += &format!("{} 1:{}\n", i % 2, i + 1);
        beside += &format!("{id}\n");
    }
    let [train, test] = divided(csv(&dir, text.as_bytes()), hash(0.25)).unwrap();
    assert_eq!(train.ids.len() + test.ids.len(), 400);
    assert!((60..140).contains(&test.ids.len()), "{}", test.ids.len());
    let sparse = svm(&dir, rows.as_bytes(), beside.as_bytes());
    let [train_b, test_b] = divided(sparse, hash(0.25)).unwrap();
    assert_eq!((&train.ids, &test.ids), (&train_b.ids, &test_b.ids));
    assert_eq!((&train.labels, &test.labels), (&train_b.labels, &test_b.labels));
    // Each row keeps what is its own.
    for table in [train, test] {
        let (ids, _, values, labels) = dense(Arc::unwrap_or_clone(table));
        for ((id, value), label) in ids.iter().zip(values).zip(labels.unwrap()) {
            assert_eq!((id, label), (&format!("id{value}"), value % 2.0 == 1.0));
        }
    }
    for table in [train_b, test_b] {
        let Features::Sparse { indptr, values, .. } = &table.features else { panic!() };
        assert_eq!(indptr.len(), table.ids.len() + 1);
        for (id, value) in table.ids.iter().zip(values) {
            assert_eq!(id, &format!("id{}", value - 1.0));
        }
    }
}

#[test]
fn a_column_divides_and_is_no_feature() {
    let dir = TempDir::new().unwrap();
    let text = b"fold,id,y,x\n2023,a,0,1\n2024,b,1,2\n,c,0,3\n2024,a,1,4\nt,d,1,5\n";
    let [train, test] = divided(csv(&dir, text), column(&["2024", "t"])).unwrap();
    let (ids, names, values, labels) = dense(Arc::unwrap_or_clone(train));
    assert_eq!((ids, names), (vec!["a".into(), "c".into()], vec!["x".into()]));
    assert_eq!((values, labels), (vec![1.0, 3.0], Some(vec![false, false])));
    // The same customer may be in both.
    let (ids, _, values, _) = dense(Arc::unwrap_or_clone(test));
    assert_eq!((ids, values), (vec!["b".into(), "a".into(), "d".into()], vec![2.0, 4.0, 5.0]));
}

#[test]
fn where_the_peer_has_the_column_all_rows_may_be_either() {
    let dir = TempDir::new().unwrap();
    let [train, test] = divided(csv(&dir, b"id,y,x\na,0,1\nb,1,2\n"), Split::Both).unwrap();
    assert!(Arc::ptr_eq(&train, &test), "one table in memory");
    assert_eq!(train.ids, ["a", "b"]);
}

#[test]
fn divisions_that_cannot_be_made_are_refused() {
    let dir = TempDir::new().unwrap();
    let text = b"id,y,fold,x\na,0,1,1\nb,1,1,2\nb,1,2,3\nc,0,1,4242\nc,1,1,5\n";
    let code = |split| divided(csv(&dir, text), split).unwrap_err();
    let one_sided = |value: &str| {
        let unique = csv(&dir, b"id,y,fold,x\na,0,1,1\nb,1,1,2\n");
        let error = divided(unique, column(&[value])).unwrap_err();
        assert_eq!(error.code(), "data.empty_part");
        error.to_string()
    };
    assert!(one_sided("3").contains("testing"));
    assert!(one_sided("1").contains("training"));
    // Ids are unique in each part, and the lines are those of the file.
    let error = code(column(&["2"]));
    assert_eq!(error.code(), "data.duplicate_ids");
    assert!(error.to_string().contains("line 6 that of line 5"), "{error}");
    let other = divided(csv(&dir, b"id,y,x\na,0,1\n"), column(&["1"])).unwrap_err();
    assert_eq!(other.code(), "data.missing_split_column");
    for taken in ["id", "y"] {
        let split = Split::Column { column: taken.to_owned(), test: vec!["1".to_owned()] };
        assert_eq!(code(split).code(), "data.missing_split_column");
    }
    let sparse = divided(svm(&dir, b"1 1:1\n", b"a\n"), column(&["1"])).unwrap_err();
    assert_eq!(sparse.code(), "data.no_names");
    assert_eq!(divided(csv(&dir, b"id,y,x\n"), hash(0.5)).unwrap_err().code(), "data.empty");
}
