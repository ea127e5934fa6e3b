//! A job's report as one HTML page: no script, nothing from a network, made to be read and printed.
//!
//! Text that came with the job, such as its name, is escaped like all other text. The page forbids
//! itself everything but its own style by a content security policy.

mod chart;
mod curves;
mod format;
mod parties;
mod quality;
mod result;
mod run;

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Job, JobSpec, Report};

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// What was asked for.
    pub spec: &'a JobSpec,
    /// What came of it.
    pub report: &'a Report,
    /// When the job was submitted, if that is known.
    pub submitted: Option<SystemTime>,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

impl<'a> Document<'a> {
    /// Of a job and its result.
    pub fn new(job: &'a Job, report: &'a Report) -> Self {
        Self { spec: &job.spec, report, submitted: Some(job.submitted), ended: job.ended }
    }
}

/// The whole page.
pub fn render(document: &Document<'_>) -> String {
    let title = match document.spec.name.trim() {
        "" => "Joint model",
        name => name,
    };
    let sections = sections(document);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) " – CAESAR report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    p class="kind" { "Evaluation of a joint model" }
                    h1 { (title) }
                    (meta(document))
                    nav aria-label="Sections" {
                        ul {
                            @for section in &sections {
                                li { a href={ "#" (section.id) } { (section.title) } }
                            }
                        }
                    }
                }
                main {
                    @for section in &sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.content)
                        }
                    }
                }
                footer {
                    p {
                        "Made by " code { "caesar report" } " of the figures that the label holder's node "
                        "told. Counts are of groups of test rows, scores and thresholds are rounded; no row "
                        "can be read off this page."
                    }
                }
            }
        }
    };
    page.into_string()
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    content: Markup,
}

fn sections(document: &Document<'_>) -> Vec<Section> {
    let report = document.report;
    let mut out = Vec::new();
    let mut add = |id, title, content| out.push(Section { id, title, content });
    add("result", "Result", result::summary(report));
    if let Some(evaluation) = report.evaluation.as_ref().filter(|e| !e.joint.bins.is_empty()) {
        add("separation", "Separation", quality::separation(evaluation));
        add("deciles", "Tenths of the rows", quality::deciles(evaluation));
        add("thresholds", "Thresholds", quality::thresholds(evaluation));
        add("calibration", "Calibration", quality::calibration(evaluation));
        add("stability", "Stability", quality::stability(evaluation));
    }
    add("training", "Training", run::training(document));
    add("data", "Data", run::data(document));
    add("learned", "Who learned what", parties::learned(report));
    add("cost", "Time and traffic", run::cost(report));
    add("method", "How the figures are made", parties::method(report));
    out
}

/// Identity and times of the job.
fn meta(document: &Document<'_>) -> Markup {
    let report = document.report;
    let fields = [
        ("Job", Some(report.job_id.to_string())),
        ("Submitted", document.submitted.map(format::moment)),
        ("Ended", document.ended.map(format::moment)),
        ("Test rows", Some(format::count(report.intersection_test))),
    ];
    html! {
        dl class="meta" {
            @for (name, value) in fields {
                @if let Some(value) = value {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

/// A table whose first column names its rows; `wide` ones may be moved sideways on a narrow screen.
fn table(caption: &str, header: &[&str], rows: &[Vec<Markup>]) -> Markup {
    let id = format!(
        "table-{}",
        caption.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    );
    html! {
        div class="table" role="region" aria-labelledby=(id) tabindex="0" {
            table {
                caption id=(id) { (caption) }
                thead {
                    tr {
                        @for name in header {
                            @if name.is_empty() { td {} } @else { th scope="col" { (name) } }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A cell of plain text.
fn text(value: impl Into<String>) -> Markup {
    let value: String = value.into();
    html! { (value) }
}
