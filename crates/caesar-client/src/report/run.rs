//! What was run on which data, and what it took.

use maud::{Markup, html};

use super::{
    Document,
    chart::bar,
    curves,
    format::{bytes, count, duration, fixed},
    table, text,
};
use crate::{PartyProfile, Report, Schedule, Side, StepProfile};

pub(super) fn training(document: &Document<'_>) -> Markup {
    let report = document.report;
    let asked = &document.spec.training;
    let chosen = |by_client: bool| text(if by_client { "the job" } else { "default rule" });
    let rows = [
        vec![text("epochs"), text(count(report.epochs.into())), chosen(asked.epochs.is_some())],
        vec![
            text("rows a mini-batch"),
            text(count(report.batch_size.into())),
            chosen(asked.batch_size.is_some()),
        ],
        vec![
            text("learning rate"),
            text(report.learning_rate.to_string()),
            chosen(asked.learning_rate.is_some()),
        ],
        vec![
            text("schedule"),
            text(&report.schedule),
            chosen(asked.schedule != Schedule::Constant),
        ],
        vec![text("whitened columns"), text(yes(report.whitened)), chosen(asked.whiten)],
        vec![
            text("weighted rows"),
            text(yes(report.weighted)),
            chosen(asked.class_weight.is_some() || asked.sample_weights),
        ],
        vec![
            text("rows set aside for validation"),
            text(count(report.validation_rows)),
            chosen(asked.validation.is_some()),
        ],
        vec![text("L2 penalty"), text(report.l2.to_string()), chosen(asked.l2.is_some())],
        vec![
            text("modulus, bits"),
            text(count(report.modulus_bits.into())),
            chosen(document.spec.modulus_bits.is_some()),
        ],
    ];
    html! {
        @if !report.training_curve.is_empty() {
            div class="figures" { (curves::training(&report.training_curve)) }
        }
        (table("Parameters", &["setting", "value", "chosen by"], &rows))
        p class="note" {
            "Logistic regression by mini-batch gradient descent, " (count(report.iterations.into()))
            " mini-batches in all." (stopped(report)) " The largest score of a test row is about ±" (fixed(report.max_abs_z, 2))
            "; the error of the logistic function is accurate to ±" (fixed(report.series_window, 0)) "."
        }
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// Why training ended early, as a sentence.
fn stopped(report: &Report) -> &'static str {
    match report.stopped.as_str() {
        "" => "",
        "no-progress" => " Training ended early: the KS of the validation rows had stopped rising.",
        "time-limit" => " Training ended early: its time was over.",
        _ => " Training ended early.",
    }
}

pub(super) fn data(document: &Document<'_>) -> Markup {
    let (report, data) = (document.report, &document.spec.data);
    let rows = [
        vec![text("data set, training"), text(&data.train_a), text(&data.train_b), text("")],
        vec![text("data set, test"), text(&data.test_a), text(&data.test_b), text("")],
        vec![
            text("training rows"),
            text(count(report.rows_a)),
            text(count(report.rows_b)),
            text(count(report.intersection_train)),
        ],
        vec![text("test rows"), text(""), text(""), text(count(report.intersection_test))],
        vec![
            text("columns"),
            text(count(report.columns_a)),
            text(count(report.columns_b)),
            text(count(report.columns_a + report.columns_b)),
        ],
    ];
    html! {
        (table("Rows and columns", &["", "A, platform", "B, bank", "in both"], &rows))
        dl class="hashes" {
            div {
                dt { "SHA-256 of the common training ids" }
                dd { code { (report.intersection_sha256_train) } }
            }
            div {
                dt { "SHA-256 of the common test ids" }
                dd { code { (report.intersection_sha256_test) } }
            }
        }
        p class="note" {
            "Of the sorted common ids, each followed by a newline: both institutions can check that they "
            "aligned the same rows."
        }
    }
}

pub(super) fn cost(report: &Report) -> Markup {
    let phases = [
        ("alignment", report.seconds_psi),
        ("set-up", report.seconds_setup),
        ("training", report.seconds_train),
        ("evaluation", report.seconds_eval),
        ("whole job", report.seconds_total),
    ];
    let longest = phases.iter().map(|phase| phase.1).fold(1e-9, f64::max);
    let times: Vec<Vec<Markup>> = phases
        .iter()
        .map(|&(name, seconds)| vec![text(name), text(duration(seconds)), bar(seconds / longest)])
        .collect();
    let traffic = [
        vec![text("payload"), text(bytes(report.bytes_a_to_b)), text(bytes(report.bytes_b_to_a))],
        vec![
            text("ciphertexts"),
            text(count(report.ciphertexts_a_to_b)),
            text(count(report.ciphertexts_b_to_a)),
        ],
    ];
    html! {
        div class="figures" {
            (table("Time at B by phase", &["phase", "time", "share of the longest"], &times))
            (table("Traffic between the nodes", &["", "A to B", "B to A"], &traffic))
        }
        (profile(report))
        p class="note" { "Arithmetic kernel at B: " (report.kernel) "." }
    }
}

/// Where the time of the last attempt went.
fn profile(report: &Report) -> Markup {
    let of = |side| report.profile.iter().find(|profile| profile.party == side);
    let Some(b) = of(Side::B).filter(|profile| !profile.steps.is_empty()) else {
        return html! {};
    };
    let a = of(Side::A);
    let step = |profile: Option<&PartyProfile>, name: &str| -> [Markup; 2] {
        let found = profile.and_then(|p| p.steps.iter().find(|step| step.step == name));
        let cell = |of: fn(&StepProfile) -> f64| {
            text(found.map_or_else(|| "–".to_owned(), |step| fixed(of(step), 2)))
        };
        [cell(|step| step.compute_seconds), cell(|step| step.wait_seconds + step.link_seconds)]
    };
    let rows: Vec<Vec<Markup>> = b
        .steps
        .iter()
        .map(|spent| {
            let [a_works, a_waits] = step(a, &spent.step);
            let [b_works, b_waits] = step(Some(b), &spent.step);
            let traffic = text(bytes(spent.bytes_sent + spent.bytes_received));
            vec![html! { code { (spent.step) } }, a_works, a_waits, b_works, b_waits, traffic]
        })
        .collect();
    let header = ["step", "A computes", "A waits", "B computes", "B waits", "messages"];
    html! { (table("Seconds by step of the protocol, last attempt", &header, &rows)) }
}
