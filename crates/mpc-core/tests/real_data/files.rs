//! Reading the data sets of `data/` and, where present, of the folder with the larger ones.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use mpc_core::matrix::{Features, Table};
use serde_json::Value;

/// The folder of a data set: under `$CAESAR_DATA`, or `data/` of the repository. `None`, with a line that
/// says so, if it is in neither.
pub(crate) fn find(set: &str) -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = [repository.join("data")];
    let from_env = std::env::var_os("CAESAR_DATA").map(PathBuf::from);
    let found = from_env.into_iter().chain(folders).map(|folder| folder.join(set));
    let found = found.into_iter().find(|folder| folder.join("expected.json").is_file());
    if found.is_none() {
        println!("skipped 1 set: {set} is not in $CAESAR_DATA or data/");
    }
    found
}

/// `expected.json` of a set.
pub(crate) fn expected(folder: &Path) -> Value {
    serde_json::from_str(&read(&folder.join("expected.json"))).unwrap()
}

/// The rows of one party, `a` or `b`, in `train` or `test`.
pub(crate) fn table(folder: &Path, split: &str, party: char) -> Table {
    let base = folder.join(split).join(format!("party_{party}"));
    let text = |ending: &str| {
        let plain = base.with_extension(ending);
        let zipped = base.with_extension(format!("{ending}.gz"));
        [plain, zipped].into_iter().find(|path| path.exists()).map(|path| read(&path))
    };
    match text("csv") {
        Some(csv) => dense(&csv),
        None => sparse(&text("svm").unwrap(), &text("ids").unwrap(), party == 'b'),
    }
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().is_some_and(|e| e == "gz") {
        true => GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap(),
        false => bytes.as_slice().read_to_string(&mut text).unwrap(),
    };
    text
}

/// The names of a header, which may be quoted.
fn header(line: &str) -> Vec<String> {
    let mut quoted = false;
    let fields = line.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    fields.map(str::to_owned).collect()
}

/// `id[,y],features`, numbers without quotes.
fn dense(text: &str) -> Table {
    let mut lines = text.lines();
    let mut names = header(lines.next().unwrap());
    assert_eq!(names.remove(0), "id");
    let has_label = names[0] == "y";
    if has_label {
        names.remove(0);
    }
    let (mut ids, mut values, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        let mut cells = line.split(',');
        ids.push(cells.next().unwrap().to_owned());
        if has_label {
            labels.push(cells.next().unwrap() == "1");
        }
        values.extend(cells.map(|cell| cell.parse::<f64>().unwrap()));
    }
    assert_eq!(values.len(), ids.len() * names.len());
    let features = Features::dense(names, &values);
    Table { ids, features, labels: has_label.then_some(labels), weights: None }
}

fn sparse(text: &str, ids: &str, has_label: bool) -> Table {
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        labels.push(fields.next().unwrap() == "+1");
        for (index, value) in fields.map(|field| field.split_once(':').unwrap()) {
            indices.push(index.parse::<u32>().unwrap() - 1);
            values.push(value.parse().unwrap());
        }
        indptr.push(indices.len());
    }
    assert_eq!(labels.len(), ids.len());
    let columns = indices.iter().max().map_or(0, |&j| j as usize + 1);
    let features = Features::Sparse { columns, indptr, indices, values };
    Table { ids, features, labels: has_label.then_some(labels), weights: None }
}
