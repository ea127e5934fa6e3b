//! The HTML page of a report: well-formed, on its own, escaped, and whole. `tests/browser/run` looks at
//! it in a browser.

#![cfg(feature = "report")]
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::SystemTime};

use caesar_client::{
    JobSpec, Report,
    report::{Document, render},
};
use serde_json::{Value, json};

/// What `caesar result --json` printed of a job on default_credit (see `data/default_credit`).
fn result() -> Value {
    serde_json::from_str(include_str!("fixtures/result.json")).unwrap()
}

fn spec() -> JobSpec {
    JobSpec::from_toml(include_str!("fixtures/job.toml")).unwrap()
}

fn page_of(spec: &JobSpec, mut result: Value, training_curve: Vec<(u32, f64)>) -> String {
    let point = |(epoch, ks): (u32, f64)| json!({ "epoch": epoch, "ks": ks, "auc": 0.7 });
    result["training_curve"] = training_curve.into_iter().map(point).collect();
    let report: Report = serde_json::from_value(result).unwrap();
    let submitted = Some(SystemTime::UNIX_EPOCH);
    render(&Document { spec, report: &report, submitted, ended: None })
}

fn page() -> String {
    page_of(&spec(), result(), Vec::new())
}

/// Tags in order, with their attributes; panics where the page is not well-formed.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    const VOID: [&str; 2] = ["!doctype", "meta"];
    let mut open: Vec<String> = Vec::new();
    let mut out = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>') || open.last().is_some_and(|t| t == "style"), "{text}");
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "tags are not nested");
            continue;
        }
        let (name, mut attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let name = name.to_lowercase();
        let mut pairs = Vec::new();
        while let Some((key, after)) = attributes.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("an attribute's value ends");
            pairs.push((key.trim().to_owned(), value.to_owned()));
            attributes = after;
        }
        if !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        out.push((name, pairs));
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    out
}

fn values<'a>(tags: &'a [(String, Vec<(String, String)>)], key: &str) -> Vec<&'a str> {
    let pairs = tags.iter().flat_map(|(_, pairs)| pairs);
    pairs.filter(|(k, _)| k == key).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn the_page_is_well_formed_and_its_references_lead_somewhere() {
    let page = page_of(&spec(), result(), vec![(1, 0.3), (2, 0.35)]);
    let tags = tags(&page);
    let ids = values(&tags, "id");
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "an id is there twice: {ids:?}");
    for target in values(&tags, "href") {
        let id = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} leaves the page"));
        assert!(distinct.contains(id), "{target} leads nowhere");
    }
    for ids in values(&tags, "aria-labelledby") {
        assert!(ids.split(' ').all(|id| distinct.contains(id)), "{ids} name nothing");
    }
    let charts = tags.iter().filter(|(name, pairs)| {
        name == "svg" && pairs.contains(&("role".to_owned(), "img".to_owned()))
    });
    assert_eq!(charts.count(), 8);
    let numbers = ["NaN", "inf", "-0\""];
    for wrong in numbers {
        let drawn = ["d", "cx", "cy", "x", "y", "width"].map(|key| values(&tags, key)).concat();
        assert!(drawn.iter().all(|value| !value.contains(wrong)), "{wrong} in a chart");
    }
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let page = page();
    for outside in
        ["http:", "https:", "//", "src=", "@import", "url(", "<link", "<script", "<iframe"]
    {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    let tags = tags(&page);
    for (name, pairs) in &tags {
        for (key, _) in pairs {
            assert!(!key.starts_with("on") && key != "style", "{key} in {name}");
        }
    }
    let policy = values(&tags, "content").into_iter().find(|c| c.contains("default-src"));
    assert!(policy.unwrap().starts_with("default-src 'none'; style-src 'unsafe-inline';"));
}

#[test]
fn text_of_the_job_is_never_markup() {
    const EVIL: &str = "</style><script>alert(1)</script><img src=x onerror=\"alert('2')\">&amp;";
    let mut spec = spec();
    for field in [
        &mut spec.name,
        &mut spec.data.train_a,
        &mut spec.data.test_a,
        &mut spec.data.train_b,
        &mut spec.data.test_b,
    ] {
        *field = EVIL.to_owned();
    }
    let mut result = result();
    result["warnings"] = json!([EVIL]);
    result["kernel"] = EVIL.into();
    result["intersection_sha256_train"] = EVIL.into();
    for party in 0..2 {
        result["profile"][party]["steps"][0]["step"] = EVIL.into();
    }
    let page = page_of(&spec, result, Vec::new());
    let tags = tags(&page);
    let names: BTreeSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!names.contains("script") && !names.contains("img"), "{names:?}");
    // Title twice, four data sets, warning, kernel, hash, step.
    let shown = page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count();
    assert_eq!(shown, 10);
    assert!(page.contains("&amp;amp;"), "it was unescaped once");
}

#[test]
fn every_section_and_figure_is_there() {
    let (page, result) = (page(), result());
    let tags = tags(&page);
    let ids = values(&tags, "id");
    for id in [
        "result",
        "separation",
        "deciles",
        "thresholds",
        "calibration",
        "stability",
        "training",
        "data",
        "learned",
        "cost",
        "method",
        "chart-ks",
        "chart-roc",
        "chart-pr",
        "chart-gains",
        "chart-lift",
        "chart-distribution",
        "chart-calibration",
    ] {
        assert!(ids.contains(&id), "{id} is missing");
    }
    assert!(!ids.contains(&"chart-training"), "a curve of nothing");
    let evaluation = &result["evaluation"];
    let number = |value: &Value| value.as_f64().unwrap();
    for figure in [
        number(&evaluation["joint"]["ks"]["value"]),
        number(&evaluation["joint"]["auc"]["high"]),
        number(&evaluation["bank_only"]["ks"]["low"]),
        number(&evaluation["joint"]["average_precision"]),
        number(&evaluation["stability"]["psi"]),
    ] {
        assert!(page.contains(&format!("{figure:.3}")), "{figure} is missing");
    }
    for text in ["24,732", "7,550", "credit-cards-train", "psi-train", "who reads this"] {
        assert!(page.contains(text), "{text} is missing");
    }
    let positives = result["evaluation"]["positives"].as_u64().unwrap();
    let groups: u64 = evaluation["joint"]["bins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["positives"].as_u64().unwrap())
        .sum();
    assert_eq!(groups, positives, "the fixture is not of one job");
}

#[test]
fn what_a_job_does_not_have_is_left_out() {
    let ids = |page: &str| -> Vec<String> {
        values(&tags(page), "id").into_iter().map(str::to_owned).collect()
    };
    // A node that tells no evaluation.
    let mut old = result();
    old["evaluation"] = Value::Null;
    old["profile"] = json!([]);
    let page = page_of(&spec(), old, Vec::new());
    assert!(page.contains("told no curves"));
    let left = ids(&page);
    assert!(left.contains(&"cost".to_owned()) && !left.contains(&"deciles".to_owned()), "{left:?}");

    // Too few rows of a class.
    let mut few = result();
    few["evaluation"]["positives"] = Value::Null;
    few["evaluation"]["stability"] = Value::Null;
    for model in ["joint", "bank_only"] {
        few["evaluation"][model]["bins"] = json!([]);
    }
    let page = page_of(&spec(), few, Vec::new());
    assert!(page.contains("too few test rows"));
    assert!(!ids(&page).contains(&"separation".to_owned()));

    // One group only, and a training curve of one epoch.
    let mut one = result();
    let rows = one["evaluation"]["rows"].clone();
    let positives = one["evaluation"]["positives"].clone();
    let bin = json!([{ "decile": 1, "rows": rows, "positives": positives, "low": null,
        "mean_score": -1.0, "mean_probability": 0.25 }]);
    for model in ["joint", "bank_only"] {
        one["evaluation"][model]["bins"] = bin.clone();
    }
    let page = page_of(&JobSpec { name: String::new(), ..spec() }, one, vec![(1, 0.3)]);
    assert!(ids(&page).contains(&"chart-training".to_owned()));
    assert!(page.contains("<h1>Joint model</h1>"), "a page without a title");
    assert!(!page.contains("NaN"), "a figure of nothing");
}

#[test]
fn a_gain_is_claimed_only_if_its_interval_bears_it() {
    for (low, high, claim) in [
        (0.01, 0.1, "better than the bank"),
        (-0.1, -0.01, "worse than the bank"),
        (-0.01, 0.1, "do not show"),
    ] {
        let mut result = result();
        result["evaluation"]["ks_gain"] = json!({ "value": 0.5, "low": low, "high": high });
        let page = page_of(&spec(), result, Vec::new());
        assert!(page.contains(claim), "{claim} for {low} to {high}");
    }
}
