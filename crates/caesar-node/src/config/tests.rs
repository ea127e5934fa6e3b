use std::fs;

use super::*;
use crate::testing::Pki;

fn refused(pki: &Pki, text: &str) -> String {
    let path = pki.path().join("wrong.toml");
    fs::write(&path, text).unwrap();
    Config::load(&path).expect_err(text).to_string()
}

#[test]
fn both_examples_load_with_paths_relative_to_the_file() {
    let pki = Pki::new();
    let a = pki.config_a();
    assert_eq!(a.role, Role::A);
    assert_eq!(a.data_dir, pki.path().join("data-a"));
    assert_eq!(a.dataset("a").unwrap().path, pki.path().join("a.csv"));
    assert_eq!(a.peer.fingerprint, pki.pin("bank"));
    assert_eq!(a.identities.len(), 2);
    assert_eq!(a.limits.threads, 1);
    let b = pki.config_b("127.0.0.1:7443");
    assert_eq!((b.role, b.peer.connect.as_deref()), (Role::B, Some("127.0.0.1:7443")));
}

#[test]
fn every_mistake_names_its_setting() {
    let pki = Pki::new();
    let (a, b) = (pki.text_a(), pki.text_b("127.0.0.1:7443"));
    let own = pki.pin("bank").to_string();
    let cases = [
        (a.replace("role = \"A\"", "role = \"C\""), "unknown variant `C`"),
        (a.replace("data_dir", "datadir"), "unknown field `datadir`"),
        (a.replace("127.0.0.1:0", "localhost"), "listen: expected IP:PORT"),
        (a.replace("[limits]", "[limits]\nthreads = 0"), "limits.threads: 0 is outside"),
        (a.replace("[limits]", "[limits]\nthread = 2"), "unknown field `thread`"),
        (a.replace("allow_peers = [\"bank\"]", "allow_peers = [\"bnak\"]"), "`bnak`"),
        (a.replace("id_column = \"id\"", ""), "datasets.a: CSV and Parquet need `id_column`"),
        (a.replace("name = \"secret\"", "name = \"a\""), "datasets.a: is listed twice"),
        (a.replace("id_column", "label_column = \"y\"\nid_column"), "role A has no labels"),
        (
            b.replace("label_column", "split_column = \"fold\"\nlabel_column"),
            "`split_column` is for A's tables",
        ),
        (a.replace("id_column", "sample_weight_column = \"w\"\nid_column"), "is for B's tables"),
        (
            a.replace("[limits]", "[datasets.schema.f]\nlog = true\nclip = [2, 1]\n[limits]"),
            "datasets.secret.schema.f: `clip` is two numbers",
        ),
        (
            a.replace("[limits]", "[datasets.defaults]\ntype = \"numeric\"\n[limits]"),
            "datasets.secret.defaults: `type` is for single columns",
        ),
        (
            a.replace("[limits]", "[datasets.schema.f]\nlogs = true\n[limits]"),
            "unknown field `logs`",
        ),
        (
            a.replace("format = \"csv\"", "format = \"libsvm\"\nmissing_values = [\"?\"]"),
            "are for CSV and Parquet",
        ),
        (a.replace("\"platform.key.pem\"", "\"bank.key.pem\""), "tls: certificate"),
        (a.replace("\"platform.key.pem\"", "\"none.pem\""), "cannot read"),
        (a.replace("\"bank.cert.pem\"", "\"bank.key.pem\""), "peer.certificate"),
        (a.replace("\"bank.cert.pem\"", "\"platform.cert.pem\""), "this node's own"),
        (a.replace("\"ops.cert.pem\"", "\"bank.cert.pem\""), "the same certificate as peer `bank`"),
        (a.replace("role = \"client\"", "role = \"admin\""), "unknown variant `admin`"),
        (a.replace("certificate = \"bank.cert.pem\"", ""), "peer: needs `certificate`"),
        (a.replace("certificate = \"bank.cert.pem\"", "fingerprint = \"12\""), "peer.fingerprint"),
        (
            a.replace("name = \"bank\"", &format!("name = \"bank\"\nfingerprint = \"{own}\"")),
            "peer: has both",
        ),
        (b.replace("label_column = \"y\"", ""), "role B needs `label_column`"),
        (b.replace("127.0.0.1:7443", "bank.example"), "peer.connect: expected HOST:PORT"),
        (b.replace("127.0.0.1:7443", "127.0.0.1:0"), "peer.connect: expected HOST:PORT"),
        (
            a.clone() + "[checkpoints]\nkey_file = \"x\"\nkey_env = \"Y\"",
            "checkpoints: has both `key_file` and `key_env`",
        ),
        (a.clone() + "[checkpoints]\nkey = \"x\"", "unknown field `key`"),
        ("role = ".to_owned(), "wrong.toml"),
    ];
    for (text, expected) in cases {
        let message = refused(&pki, &text);
        assert!(message.contains(expected), "expected `{expected}` in: {message}");
    }
}

#[test]
fn a_pin_can_be_a_fingerprint_with_or_without_colons() {
    let pki = Pki::new();
    let pin = pki.pin("bank").to_string();
    let colons = pin.as_bytes().chunks(2).map(|c| std::str::from_utf8(c).unwrap().to_uppercase());
    for text in [pin.clone(), colons.collect::<Vec<_>>().join(":")] {
        let line = format!("fingerprint = \"{text}\"");
        let text = pki.text_a().replace("certificate = \"bank.cert.pem\"", &line);
        assert_eq!(pki.load("a.toml", &text).peer.fingerprint, pki.pin("bank"));
    }
}

#[test]
fn a_pinned_file_with_two_certificates_is_ambiguous() {
    let pki = Pki::new();
    let read = |name: &str| fs::read_to_string(pki.path().join(name)).unwrap();
    let both = read("bank.cert.pem") + &read("ops.cert.pem");
    fs::write(pki.path().join("both.pem"), both).unwrap();
    let message = refused(&pki, &pki.text_a().replace("bank.cert.pem", "both.pem"));
    assert!(message.contains("holds 2 certificates"), "{message}");
}

#[test]
#[cfg(unix)]
fn a_key_that_everybody_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let pki = Pki::new();
    let key = pki.path().join("platform.key.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let message = refused(&pki, &pki.text_a());
    assert!(message.contains("chmod 600"), "{message}");
}

#[test]
fn check_config_finds_missing_files_and_describes_the_rest() {
    let pki = Pki::new();
    let config = pki.config_a();
    let message = summary(&config).unwrap_err().to_string();
    assert!(message.contains("datasets.a.path") && message.contains("a.csv"), "{message}");
    pki.write_data();
    let text = summary(&config).unwrap();
    for expected in ["role          A", "waits for the peer", "client `ops`", "open to bank"] {
        assert!(text.contains(expected), "expected `{expected}` in: {text}");
    }
}

#[test]
fn check_config_reads_the_keys_of_checkpoints() {
    let pki = Pki::new();
    pki.write_data();
    let text = summary(&pki.config_a()).unwrap();
    assert!(text.contains("checkpoint.key, beside what it protects"), "{text}");
    assert!(!pki.path().join("data-a/checkpoint.key").exists(), "check-config makes nothing");

    fs::write(pki.path().join("new.key"), "ab".repeat(32)).unwrap();
    let with = |previous: &str| {
        let keys = format!("[checkpoints]\nkey_file = \"new.key\"\n{previous}");
        summary(&pki.load("a.toml", &(pki.text_a() + &keys)))
    };
    make_private(&pki.path().join("new.key"));
    let text = with("").unwrap();
    assert!(text.contains("new.key") && !text.contains("abab"), "{text}");
    let message = with("previous_key_envs = [\"CAESAR_NO_SUCH_KEY\"]").unwrap_err().to_string();
    assert!(message.contains("CAESAR_NO_SUCH_KEY is not set"), "{message}");
    fs::write(pki.path().join("old.key"), "short").unwrap();
    make_private(&pki.path().join("old.key"));
    let message = with("previous_key_files = [\"old.key\"]").unwrap_err().to_string();
    assert!(message.contains("old.key") && message.contains("64 hexadecimal"), "{message}");
}

fn make_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The examples must not drift from the settings that exist.
#[test]
fn deployed_examples_have_known_settings_and_true_defaults() {
    let platform: raw::File =
        toml::from_str(include_str!("../../../../deploy/examples/platform.toml")).unwrap();
    assert_eq!(format!("{:?}", platform.limits), format!("{:?}", Limits::default()));
    assert_eq!(format!("{:?}", platform.log), format!("{:?}", Log::default()));
    let bank: raw::File =
        toml::from_str(include_str!("../../../../deploy/examples/bank.toml")).unwrap();
    assert_eq!((platform.role, bank.role), (Role::A, Role::B));
    assert!(platform.peer.connect.is_none() && bank.peer.connect.is_some());
}
