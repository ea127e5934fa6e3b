use std::{collections::BTreeMap, fs, path::Path};

use mpc_core::session::{RecordFile, Vault, VaultError};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{keys::MasterKey, *};

const JOB: JobId = JobId::from_bytes([3; 16]);
const SECRET: &[u8] = b"p and q of the model";

fn key(n: u8) -> MasterKey {
    MasterKey::new(Zeroizing::new([n; 32]))
}

fn keys(current: u8, previous: &[u8]) -> Keys {
    Keys::new(key(current), previous.iter().map(|&n| key(n)).collect())
}

fn checkpoints(folder: &Path, keys: Keys) -> Checkpoints {
    Checkpoints::new(folder, keys, Role::A)
}

fn vault(folder: &Path) -> FileVault {
    checkpoints(folder, keys(1, &[])).open(JOB).unwrap()
}

fn write(vault: &mut FileVault, file: RecordFile, records: &[Vec<u8>]) -> Result<(), VaultError> {
    vault.write(file, &mut records.iter().cloned().map(Zeroizing::new))
}

/// What a file holds, and how reading it ended.
fn read(vault: &mut FileVault, file: RecordFile) -> (Vec<Vec<u8>>, Result<(), VaultError>) {
    let mut records = Vec::new();
    let end = vault.read(file, &mut |record| {
        records.push(record.to_vec());
        true
    });
    (records, end)
}

fn whole(vault: &mut FileVault, file: RecordFile) -> Vec<Vec<u8>> {
    let (records, end) = read(vault, file);
    end.unwrap();
    records
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("checkpoints").join(JOB.to_string()).join(name)
}

fn three() -> Vec<Vec<u8>> {
    vec![b"one".to_vec(), Vec::new(), SECRET.to_vec()]
}

const LOG: RecordFile = RecordFile::Log(7);

fn append_all(vault: &mut FileVault, records: &[Vec<u8>]) {
    records.iter().for_each(|record| vault.append(LOG, record).unwrap());
}

#[derive(Clone, Debug)]
enum Action {
    Write(u8, Vec<Vec<u8>>),
    Append(u8, Vec<u8>),
    Truncate(u8, u64),
    Remove(u8),
    Sync(u8),
    /// The process ends, with this many bytes of one more record in the file.
    Crash(u8, usize),
    /// The disk is full after this many bytes, for the next append or write.
    Full(u8, Vec<u8>, usize, bool),
    Rekey,
}

fn action() -> impl Strategy<Value = Action> {
    let record = || proptest::collection::vec(any::<u8>(), 0..40);
    let records = proptest::collection::vec(record(), 0..4);
    prop_oneof![
        2 => (0u8..2, records).prop_map(|(f, r)| Action::Write(f, r)),
        8 => (2u8..4, record()).prop_map(|(f, r)| Action::Append(f, r)),
        3 => (2u8..4, 0u64..6).prop_map(|(f, n)| Action::Truncate(f, n)),
        1 => (0u8..4).prop_map(Action::Remove),
        1 => (2u8..4).prop_map(Action::Sync),
        3 => (2u8..4, 0usize..60).prop_map(|(f, n)| Action::Crash(f, n)),
        2 => (0u8..4, record(), 0usize..90, any::<bool>())
            .prop_map(|(f, r, n, again)| Action::Full(f, r, n, again)),
        1 => Just(Action::Rekey),
    ]
}

/// The first two are written as wholes, the others appended to.
fn file(n: u8) -> RecordFile {
    [RecordFile::Setup, RecordFile::Snapshot(4), RecordFile::Log(4), RecordFile::Openings]
        [usize::from(n)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any sequence of calls, crashes, full disks and new keys leaves what a map would hold.
    #[test]
    fn behaves_like_a_map(actions in proptest::collection::vec(action(), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let mut model: BTreeMap<RecordFile, Vec<Vec<u8>>> = BTreeMap::new();
        let mut now = 1;
        let mut vault = checkpoints(folder.path(), keys(now, &[])).open(JOB).unwrap();
        for action in actions {
            match action {
                Action::Write(n, records) => {
                    write(&mut vault, file(n), &records).unwrap();
                    model.insert(file(n), records);
                }
                Action::Append(n, record) => {
                    vault.append(file(n), &record).unwrap();
                    model.entry(file(n)).or_default().push(record);
                }
                Action::Truncate(n, records) => {
                    let cut = vault.truncate(file(n), records);
                    match model.get_mut(&file(n)) {
                        Some(known) if known.len() as u64 >= records => {
                            cut.unwrap();
                            known.truncate(records as usize);
                        }
                        Some(_) => prop_assert_eq!(cut, Err(VaultError::Corrupt { file: file(n) })),
                        None => prop_assert!(matches!(cut, Err(VaultError::Io { .. })), "{cut:?}"),
                    }
                }
                Action::Remove(n) => {
                    vault.remove(file(n)).unwrap();
                    model.remove(&file(n));
                }
                Action::Sync(n) => {
                    let known = model.contains_key(&file(n));
                    prop_assert_eq!(vault.sync(file(n)).is_ok(), known);
                }
                Action::Crash(n, bytes) => {
                    // The beginning of a record that the file has already is that of a record.
                    let name = ["", "", "log-0000000004", "openings"][usize::from(n)];
                    let path = path(folder.path(), name);
                    if let Some(known) = model.get(&file(n)) {
                        // Whoever writes a record has cut off what was torn before.
                        vault.truncate(file(n), known.len() as u64).unwrap();
                        let mut text = fs::read(&path).unwrap();
                        let record = text[72..].to_vec();
                        let torn = bytes.min(record.len()).min(44);
                        text.extend(&record[..torn]);
                        fs::write(&path, text).unwrap();
                    }
                    vault = checkpoints(folder.path(), vault_keys(now)).open(JOB).unwrap();
                }
                Action::Full(n, record, room, again) => {
                    vault.room = Some(room);
                    let tried = match n {
                        0 | 1 => write(&mut vault, file(n), std::slice::from_ref(&record)),
                        _ => vault.append(file(n), &record),
                    };
                    vault.room = None;
                    match (&tried, n) {
                        (Ok(()), 0 | 1) => drop(model.insert(file(n), vec![record])),
                        (Ok(()), _) => model.entry(file(n)).or_default().push(record),
                        (Err(e), _) => prop_assert!(matches!(e, VaultError::Io { .. }), "{e}"),
                    }
                    if again {
                        vault = checkpoints(folder.path(), vault_keys(now)).open(JOB).unwrap();
                    }
                }
                Action::Rekey => {
                    now += 1;
                    vault = checkpoints(folder.path(), vault_keys(now)).open(JOB).unwrap();
                }
            }
            let files: Vec<_> = model.keys().copied().collect();
            prop_assert_eq!(vault.list().unwrap(), files);
            for (file, records) in &model {
                prop_assert_eq!(&whole(&mut vault, *file), records);
            }
        }
    }
}

/// Every key so far.
fn vault_keys(now: u8) -> Keys {
    keys(now, &(1..now).collect::<Vec<_>>())
}

/// Every change of one byte and every length of a file: never wrong records, never a panic.
#[test]
fn no_change_of_a_file_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    let records = three();
    write(&mut vault, RecordFile::Setup, &records).unwrap();
    append_all(&mut vault, &records);
    for (file, name) in [(RecordFile::Setup, "setup"), (LOG, "log-0000000007")] {
        let path = path(folder.path(), name);
        let good = fs::read(&path).unwrap();
        let mut changed = Vec::new();
        for at in 0..good.len() {
            for bit in [1, 0x80] {
                let mut bytes = good.clone();
                bytes[at] ^= bit;
                changed.push((format!("bit {bit} of byte {at}"), bytes));
            }
        }
        changed.extend((0..good.len()).map(|n| (format!("cut off at {n}"), good[..n].to_vec())));
        for more in [1, 45, 100] {
            let bytes = [good.as_slice(), &vec![0; more]].concat();
            changed.push((format!("{more} zeros more"), bytes));
        }
        changed.push(("the first record twice".to_owned(), {
            let first = &good[117..117 + 48];
            [&good[..117], first, &good[117..]].concat()
        }));
        for (what, bytes) in changed {
            fs::write(&path, bytes).unwrap();
            let (found, end) = read(&mut vault_again(folder.path()), file);
            assert!(records.starts_with(&found), "{name}, {what}: {found:?}");
            if file == LOG && end.is_ok() {
                // A cut-off file has fewer records, and so has one whose last length is too large.
                assert!(
                    what.starts_with("cut") || what.starts_with("bit") || what.ends_with("more"),
                    "{name}, {what}"
                );
                assert!(found.len() < 3 || what.ends_with("more"), "{name}, {what}");
            } else {
                assert_eq!(end, Err(VaultError::Corrupt { file }), "{name}, {what}");
            }
        }
        fs::write(&path, good).unwrap();
        assert_eq!(whole(&mut vault_again(folder.path()), file), records);
    }
}

fn vault_again(folder: &Path) -> FileVault {
    // Not `open`, which looks for keys that it does not have.
    FileVault::new(folder.join("checkpoints").join(JOB.to_string()), JOB, keys(1, &[]))
}

#[test]
fn records_of_other_places_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    append_all(&mut vault, &three());
    let at = path(folder.path(), "log-0000000007");
    let before = fs::read(&at).unwrap();
    // Another file of the same job.
    fs::copy(&at, path(folder.path(), "log-0000000008")).unwrap();
    let (found, end) = read(&mut vault, RecordFile::Log(8));
    assert_eq!((found.len(), end), (0, Err(VaultError::Corrupt { file: RecordFile::Log(8) })));
    // Another job.
    let other = JobId::from_bytes([4; 16]);
    let theirs = folder.path().join("checkpoints").join(other.to_string());
    fs::create_dir(&theirs).unwrap();
    fs::copy(&at, theirs.join("log-0000000007")).unwrap();
    let mut stranger = checkpoints(folder.path(), keys(1, &[])).open(other).unwrap();
    assert_eq!(read(&mut stranger, LOG).1, Err(VaultError::Corrupt { file: LOG }));
    // A record that stood there before the file was cut off and went on differently.
    vault.truncate(LOG, 1).unwrap();
    append_all(&mut vault, &[b"".to_vec(), b"other".to_vec()]);
    let mut mixed = fs::read(&at).unwrap();
    let second = 117 + 48;
    assert_eq!(mixed[..second], before[..second]);
    // The old second record, empty like the new one, before the new third.
    mixed[second..second + 45].copy_from_slice(&before[second..second + 45]);
    fs::write(&at, mixed).unwrap();
    let (found, end) = read(&mut vault_again(folder.path()), LOG);
    assert_eq!((found.len(), end), (2, Err(VaultError::Corrupt { file: LOG })));
}

/// What is written again after a truncation, a torn record or a new start shares no nonce with what
/// stood there.
#[test]
fn no_nonce_is_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = path(folder.path(), "log-0000000007");
    let nonce = || fs::read(&at).unwrap()[117 + 5..117 + 29].to_vec();
    let mut seen = HashSet::new();
    let mut now = vault(folder.path());
    for round in 0..50 {
        now.append(LOG, b"the same content").unwrap();
        assert!(seen.insert(nonce()), "round {round}");
        match round % 3 {
            0 => now.truncate(LOG, 0).unwrap(),
            1 => {
                let bytes = fs::read(&at).unwrap();
                fs::write(&at, &bytes[..bytes.len() - 1]).unwrap();
                now = vault(folder.path());
            }
            _ => {
                now.remove(LOG).unwrap();
                now = vault(folder.path());
            }
        }
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    let (old, new) = (three(), vec![vec![9; 100]]);
    for room in 0..300 {
        write(&mut vault, RecordFile::Setup, &old).unwrap();
        vault.room = Some(room);
        let tried = write(&mut vault, RecordFile::Setup, &new);
        vault.room = None;
        let now = whole(&mut vault, RecordFile::Setup);
        match tried {
            Ok(()) => assert_eq!(now, new, "room for {room}"),
            Err(VaultError::Io { action, detail }) => {
                assert_eq!((now, action), (old.clone(), "written"), "room for {room}");
                assert!(detail.contains("setup"), "{detail}");
            }
            Err(other) => panic!("room for {room}: {other}"),
        }
    }
    let left: Vec<_> = fs::read_dir(path(folder.path(), "")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// A long record of which any number of bytes is in the file, and then a short one.
#[test]
fn what_is_left_of_a_record_does_not_show_behind_the_next() {
    let long = vec![5; 200];
    for left in (0..long.len() + 45).step_by(7) {
        for ended in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut now = vault(folder.path());
            append_all(&mut now, &three());
            now.room = Some(left);
            assert!(now.append(LOG, &long).is_err(), "{left} bytes");
            now.room = None;
            if ended {
                // The process ended before it could restore the file.
                let at = path(folder.path(), "log-0000000007");
                let good = fs::read(&at).unwrap();
                let mut other = FileVault::new(at.parent().unwrap().into(), JOB, keys(1, &[]));
                other.append(LOG, &long).unwrap();
                let torn = fs::read(&at).unwrap();
                fs::write(&at, &torn[..good.len() + left]).unwrap();
                now = vault(folder.path());
            }
            assert_eq!(whole(&mut now, LOG), three(), "{left} bytes, ended: {ended}");
            now.append(LOG, b"four").unwrap();
            let four = [three(), vec![b"four".to_vec()]].concat();
            assert_eq!(whole(&mut now, LOG), four, "{left} bytes, ended: {ended}");
        }
    }
}

#[test]
fn a_disk_that_refuses_is_named_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: nothing can be made in it, whoever runs the test.
    fs::write(folder.path().join("checkpoints"), "").unwrap();
    let mut vault = vault(folder.path());
    let refused = write(&mut vault, RecordFile::Setup, &three()).unwrap_err();
    assert!(matches!(&refused, VaultError::Io { action: "written", .. }), "{refused}");
    let refused = vault.append(LOG, b"x").unwrap_err();
    assert!(matches!(&refused, VaultError::Io { action: "written", .. }), "{refused}");
    let missing = read(&mut vault, RecordFile::Openings).1.unwrap_err();
    assert!(matches!(&missing, VaultError::Io { action: "read", .. }), "{missing}");
}

#[test]
fn files_hold_no_content_and_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = vault(folder.path());
    write(&mut vault, RecordFile::Setup, &three()).unwrap();
    append_all(&mut vault, &three());
    for name in ["setup", "log-0000000007"] {
        let bytes = fs::read(path(folder.path(), name)).unwrap();
        assert!(!bytes.windows(8).any(|w| SECRET.windows(8).any(|s| s == w)), "{name}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            |name| fs::metadata(path(folder.path(), name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("setup"), mode("log-0000000007")), (0o700, 0o600, 0o600));
    }
}

#[test]
fn keys_can_be_changed_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut old = vault(folder.path());
    write(&mut old, RecordFile::Setup, &three()).unwrap();
    append_all(&mut old, &three());

    let open = |keys| checkpoints(folder.path(), keys).open(JOB);
    let missing = open(keys(2, &[])).unwrap_err();
    assert_eq!(missing.code, code::CHECKPOINT_KEY);
    assert!(missing.hint.contains("previous_key_files"), "{missing}");

    let mut both = open(keys(2, &[1])).unwrap();
    assert_eq!(whole(&mut both, RecordFile::Setup), three());
    both.append(LOG, b"four").unwrap();
    write(&mut both, RecordFile::Setup, &three()).unwrap();
    drop(both);
    // Everything has been written again since.
    let mut new = open(keys(2, &[])).unwrap();
    assert_eq!(whole(&mut new, RecordFile::Setup), three());
    assert_eq!(whole(&mut new, LOG).len(), 4);
}

#[test]
fn only_jobs_that_are_kept_keep_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    let all = checkpoints(folder.path(), keys(1, &[]));
    assert_eq!(all.keep_only(&HashSet::new()).unwrap(), 0);
    let jobs = [1, 2, 3].map(|n| JobId::from_bytes([n; 16]));
    for job in jobs {
        append_all(&mut all.open(job).unwrap(), &three());
    }
    fs::create_dir(folder.path().join("checkpoints/something")).unwrap();
    assert_eq!(all.keep_only(&HashSet::from([jobs[1]])).unwrap(), 2);
    assert_eq!(all.open(jobs[0]).unwrap().list().unwrap(), []);
    assert_eq!(all.open(jobs[1]).unwrap().list().unwrap(), [LOG]);
    assert!(folder.path().join("checkpoints/something").is_dir());
    all.remove(jobs[1]).unwrap();
    all.remove(jobs[1]).unwrap();
    assert_eq!(all.open(jobs[1]).unwrap().list().unwrap(), []);
}
