//! The arrows between the crates and the licences of what they use.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use caesar_e2e::workspace_root;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Of what is built on this machine; packages for other systems are left to cargo-deny.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).unwrap();
    MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .other_options(["--locked", "--filter-platform", host].map(str::to_owned))
        .exec()
        .unwrap()
}

/// Everything a package builds with: its normal and build dependencies and theirs, by name.
fn closure(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|n| (&n.id, n)).collect();
    let root = metadata.workspace_packages().into_iter().find(|p| p.name.as_str() == package);
    let mut todo = vec![&root.unwrap_or_else(|| panic!("no package {package}")).id];
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        for dep in &nodes[id].deps {
            let built = dep.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development);
            if built && seen.insert(&dep.pkg) {
                todo.push(&dep.pkg);
            }
        }
    }
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn every_crate_sees_only_what_the_design_lets_it_see() {
    let metadata = metadata();
    let own: BTreeSet<String> =
        metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let cases: [(&str, &[&str]); 7] = [
        ("paillier", &[]),
        ("mpc-core", &["paillier"]),
        ("caesar-proto", &[]),
        ("caesar-node", &["caesar-proto", "mpc-core", "paillier"]),
        ("caesar-client", &["caesar-proto"]),
        ("caesar-e2e", &["caesar-client", "caesar-proto"]),
        ("caesar-bench", &["caesar-client", "caesar-e2e", "caesar-proto"]),
    ];
    for (package, allowed) in cases {
        let sees: Vec<String> = closure(&metadata, package).intersection(&own).cloned().collect();
        let extra: Vec<_> = sees.iter().filter(|s| !allowed.contains(&s.as_str())).collect();
        assert!(extra.is_empty(), "{package} depends on {extra:?}");
    }
    // A package that is new has to be put into the list above.
    let listed: BTreeSet<String> = cases.iter().map(|(p, _)| (*p).to_owned()).collect();
    assert_eq!(own, listed);
}

#[test]
fn protocol_crates_know_no_runtime_network_or_store() {
    let metadata = metadata();
    let io = ["tokio", "tonic", "prost", "hyper", "rustls", "rusqlite", "axum", "mio", "socket2"];
    for package in ["paillier", "mpc-core"] {
        let sees = closure(&metadata, package);
        let found: Vec<_> = io.iter().filter(|name| sees.contains(**name)).collect();
        assert!(found.is_empty(), "{package} builds {found:?}");
    }
    // The check can see them where they are.
    let node = closure(&metadata, "caesar-node");
    assert!(["tokio", "tonic", "rusqlite"].iter().all(|name| node.contains(*name)));
}

#[test]
fn the_client_builds_no_protocol_code() {
    let sees = closure(&metadata(), "caesar-client");
    let heavy = ["crypto-bigint", "crypto-primes", "curve25519-dalek", "num-bigint", "rayon"];
    let found: Vec<_> = heavy.iter().filter(|name| sees.contains(**name)).collect();
    assert!(found.is_empty(), "caesar-client builds {found:?}");
}

#[test]
fn every_licence_is_on_the_list() {
    let metadata = metadata();
    let deny = fs::read_to_string(workspace_root().join("deny.toml")).unwrap();
    let deny: toml::Table = deny.parse().unwrap();
    let list = deny["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<&str> = list.iter().map(|l| l.as_str().unwrap()).collect();
    let mut checked = 0;
    for package in &metadata.packages {
        let name = &package.name;
        let licence = package.license.as_deref();
        let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(is_allowed(licence, &allowed), "{name} is under {licence}");
        checked += 1;
    }
    assert!(checked > 100, "only {checked} packages: the metadata is not complete");
}

/// Evaluates an SPDX expression of `AND`, `OR`, `WITH` and parentheses; `/` is an old form of `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
    let result = any(&mut tokens, allowed);
    assert!(tokens.is_empty(), "cannot read the licence {expression:?}");
    result
}

fn any(tokens: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let mut result = all(tokens, allowed);
    while tokens.last() == Some(&"OR") {
        tokens.pop();
        result |= all(tokens, allowed);
    }
    result
}

fn all(tokens: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let mut result = one(tokens, allowed);
    while tokens.last() == Some(&"AND") {
        tokens.pop();
        result &= one(tokens, allowed);
    }
    result
}

fn one(tokens: &mut Vec<&str>, allowed: &[&str]) -> bool {
    let mut name = tokens.pop().unwrap_or_default().to_owned();
    if name == "(" {
        let result = any(tokens, allowed);
        return tokens.pop() == Some(")") && result;
    }
    if tokens.last() == Some(&"WITH") {
        tokens.pop();
        name = format!("{name} WITH {}", tokens.pop().unwrap_or_default());
    }
    allowed.contains(&name.as_str())
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "MIT AND Apache-2.0",
        "(GPL-3.0 OR MIT) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "MIT WITH x"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

/// Computed ciphertexts have bytes for local storage only (rule 1 of the design): whoever encodes them
/// elsewhere is about to send what was not sanitised.
#[test]
fn only_checkpoints_encode_ciphertexts_that_are_not_sanitised() {
    let mut callers = BTreeSet::new();
    let mut folders = vec![workspace_root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if [".to_local_bytes(", ".snapshot("].iter().any(|call| text.contains(call)) {
                    let path = path.strip_prefix(workspace_root()).unwrap();
                    callers.insert(path.to_string_lossy().into_owned());
                }
            }
        }
    }
    let allowed = [
        "crates/mpc-core/src/session/checkpoint/model.rs",
        "crates/mpc-core/src/session/tests/checkpoint.rs",
        "crates/paillier/src/tests/products.rs",
    ];
    assert!(callers.iter().eq(&allowed), "{callers:?}");
}
