//! Files: data sets, configurations, certificates.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use caesar_client::{ClientConfig, JobSpec};
use caesar_node::{
    checkpoint::{Checkpoints, FileVault, Keys},
    config::{Config, Role},
    data::{self, Format, Gauge, Sets, Source, Split},
    job::JobId,
    tls::{Fingerprint, Material, keygen},
};
use mpc_core::{
    features::prepare,
    matrix::Table,
    session::{RecordFile, Vault as _},
};
use tempfile::{NamedTempFile, TempDir};

use crate::split;

/// Only the machine can be at fault here.
const DISK: &str = "a temporary file can be written";

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect(DISK);
    file.write_all(bytes).expect(DISK);
    file
}

/// Small limits, so that a bomb is a small bomb.
fn source(path: &Path, format: Format) -> Source {
    Source { max_rows: 500, max_cells: 5_000, ..Source::new(path, format) }
}

fn check(source: &Source) {
    let gauge = Gauge::new(64 << 20);
    match data::load_sets(&Sets { train: source.clone(), test: None }, &gauge) {
        Ok(tables) => tables.iter().for_each(|table| check_table(source, table)),
        // The words must be there, whatever is in the file.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_table(source: &Source, table: &Table) {
    let rows = table.ids.len();
    assert!((1..=source.max_rows).contains(&rows));
    assert!(table.features.columns() > 0);
    let labelled = source.label_column.is_some();
    assert_eq!(table.labels.as_ref().map(Vec::len), labelled.then_some(rows));
    // Whatever it holds becomes rows of numbers, or is refused.
    let all: Vec<usize> = (0..rows).collect();
    if let Ok(prepared) = prepare(table, table, [&all, &[], &all], false) {
        assert_eq!((prepared.train.len(), prepared.test.len()), (rows, rows));
        assert!(prepared.train.values.iter().all(|v| v.is_finite() && v.abs() <= 4096.0));
    }
}

/// A table, compressed or not, with and without labels, whole or divided.
pub(crate) fn csv(data: &[u8]) {
    let Some(([options], text)) = split(data) else { return };
    typed(options, text, Format::Csv);
}

/// The same in Parquet.
pub(crate) fn parquet(data: &[u8]) {
    let Some(([options], bytes)) = split(data) else { return };
    typed(options, bytes, Format::Parquet);
}

fn typed(options: u8, bytes: &[u8], format: Format) {
    let file = file(bytes);
    let by = match options >> 1 & 3 {
        0 | 1 => Split::Both,
        2 => Split::Hash { test: 0.5, salt: String::new() },
        _ => Split::Column { column: "fold".to_owned(), test: vec!["1".to_owned()] },
    };
    check(&Source {
        label_column: (options & 1 == 1).then(|| "y".to_owned()),
        positive_class: (options & 8 == 8).then(|| "gold".to_owned()),
        split: Some(by),
        ..source(file.path(), format)
    });
}

/// Sparse rows and the file of their ids, with a zero byte between the two.
pub(crate) fn libsvm(data: &[u8]) {
    let Some(([labelled, columns], both)) = split(data) else { return };
    let cut = both.iter().position(|byte| *byte == 0).unwrap_or(both.len());
    let (rows, ids) = (file(&both[..cut]), file(both.get(cut + 1..).unwrap_or_default()));
    check(&Source {
        ids_path: Some(ids.path().to_owned()),
        label_column: (labelled % 2 == 1).then(|| "label".to_owned()),
        columns: (columns > 0).then_some(columns.into()),
        ..source(rows.path(), Format::Libsvm)
    });
}

/// The job whose checkpoints [`checkpoint_file`] reads.
pub const CHECKPOINT_JOB: JobId = JobId::from_bytes([9; 16]);

/// The folder of that job in a data folder, and its vault, under a key that everybody knows.
pub fn vault(data_dir: &Path) -> (PathBuf, FileVault) {
    let key = Keys::default_file(data_dir);
    if !key.exists() {
        fs::write(&key, [5; 32]).expect(DISK);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect(DISK);
    }
    let keys = Keys::load(None, &[], data_dir).expect("the key is there");
    let folder = data_dir.join("checkpoints").join(CHECKPOINT_JOB.to_string());
    fs::create_dir_all(&folder).expect(DISK);
    let vault = Checkpoints::new(data_dir, keys, Role::A).open(CHECKPOINT_JOB);
    (folder, vault.expect("an empty folder has no foreign key"))
}

/// One file of a job's checkpoints: a whole one, or one that records are appended to.
pub(crate) fn checkpoint_file(data: &[u8]) {
    let Some(([appended], bytes)) = split(data) else { return };
    let (file, name) = match appended % 2 == 0 {
        true => (RecordFile::Setup, "setup"),
        false => (RecordFile::Log(0), "log-0000000000"),
    };
    let data_dir = TempDir::new().expect(DISK);
    let (folder, mut vault) = vault(data_dir.path());
    fs::write(folder.join(name), bytes).expect(DISK);
    assert_eq!(vault.list(), Ok(vec![file]));
    let read = |vault: &mut FileVault| {
        let mut records = Vec::new();
        let outcome = vault.read(file, &mut |record| {
            records.push(record);
            true
        });
        outcome.map(|()| records)
    };
    let Ok(mut before) = read(&mut vault) else { return };
    // What reads well can be gone on with, and a torn record at its end is no part of it.
    if vault.append(file, b"next").is_ok() {
        before.push(b"next".to_vec().into());
        assert_eq!(read(&mut vault), Ok(before));
    }
}

/// A node's configuration, beside a certificate `node` and its key.
pub(crate) fn node_config(data: &[u8]) {
    let folder = TempDir::new().expect(DISK);
    keygen(folder.path(), "node", &[]).expect(DISK);
    let path = folder.path().join("node.toml");
    fs::write(&path, data).expect(DISK);
    match Config::load(&path) {
        Ok(config) => {
            // The peer is the first who may connect, and nobody may twice.
            assert_eq!(config.identities[0].0, config.peer.fingerprint);
            for (index, (pin, _)) in config.identities.iter().enumerate() {
                assert!(config.identities[..index].iter().all(|(other, _)| other != pin));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A job, as the command line takes it.
pub(crate) fn job_spec(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(spec) = JobSpec::from_toml(text) {
        spec.validate().expect("what was read is in its range");
    }
}

/// Certificates and keys in PEM, for the node and for a client.
pub(crate) fn tls_material(data: &[u8]) {
    let file = file(data);
    let _ = Fingerprint::of_pem_file(file.path());
    let _ = Material::load(file.path(), file.path());
    let _ = ClientConfig::from_pem("localhost:1", data, data, data);
}
