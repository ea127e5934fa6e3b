//! Tables.

use std::time::{Duration, SystemTime};

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::{
    evaluation,
    text::{clean, describe_progress},
};
use crate::{Job, Progress, Report};

pub(super) fn table(header: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
    for column in numbers_from..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// One line a job.
pub fn jobs_table(jobs: &[Job]) -> String {
    let mut table = table(&["job", "state", "name", "progress", "submitted"], 5);
    for job in jobs {
        let progress = match &job.failure {
            Some(failure) => clean(&failure.code),
            None if job.state.has_ended() => String::new(),
            None => describe_progress(&job.progress),
        };
        table.add_row([
            job.id.to_string(),
            job.state.to_string(),
            clean(&job.spec.name),
            progress,
            format!("{} ago", since(job.submitted)),
        ]);
    }
    table.to_string()
}

fn since(time: SystemTime) -> HumanDuration {
    // A node's clock may be ahead of ours.
    HumanDuration(Duration::from_secs(time.elapsed().unwrap_or_default().as_secs()))
}

/// Everything about one job but its report.
pub fn status_table(job: &Job) -> String {
    let mut table = table(&["job", job.id.as_str()], 2);
    let data = &job.spec.data;
    table.add_row(["name", &clean(&job.spec.name)]);
    table.add_row(["state", job.state.name()]);
    if job.attempt > 1 {
        table.add_row(["attempt", &job.attempt.to_string()]);
    }
    if let Some(why) = &job.interrupted {
        let why = format!("{}: {}", clean(&why.code), clean(&why.message));
        table.add_row(["last interrupted", &why]);
    }
    table.add_row(["submitted", &format!("{} ago", since(job.submitted))]);
    if let Some(ended) = job.ended {
        table.add_row(["ended", &format!("{} ago", since(ended))]);
    }
    let names = |train: &str, test: &str| match test {
        "" => format!("{}, divided", clean(train)),
        test => format!("train {}, test {}", clean(train), clean(test)),
    };
    table.add_row(["data at A", &names(&data.train_a, &data.test_a)]);
    table.add_row(["data at B", &names(&data.train_b, &data.test_b)]);
    // What has ended waits for nothing.
    let (eta, waiting) = (job.progress.eta, job.progress.waiting);
    let (eta, waiting) = if job.state.has_ended() { (None, None) } else { (eta, waiting) };
    let not_connected = match job.state.has_ended() {
        true => String::new(),
        false => job.progress.not_connected.clone(),
    };
    let progress = Progress { eta, waiting, not_connected, ..job.progress.clone() };
    table.add_row(["progress", &describe_progress(&progress)]);
    table.to_string()
}

/// A report: rows, quality, tenths, time, traffic and warnings.
pub fn report_table(report: &Report) -> String {
    let mut rows = table(&["rows", "A", "B", "in both"], 1);
    rows.add_row([
        "train".to_owned(),
        count(report.rows_a),
        count(report.rows_b),
        count(report.intersection_train),
    ]);
    rows.add_row([
        "test".to_owned(),
        String::new(),
        String::new(),
        count(report.intersection_test),
    ]);
    rows.add_row([
        "columns".to_owned(),
        count(report.columns_a),
        count(report.columns_b),
        String::new(),
    ]);

    let mut times = table(&["phase", "seconds"], 1);
    for (phase, seconds) in [
        ("alignment (PSI)", report.seconds_psi),
        ("set-up", report.seconds_setup),
        ("training", report.seconds_train),
        ("evaluation", report.seconds_eval),
        ("whole job", report.seconds_total),
    ] {
        times.add_row([phase.to_owned(), format!("{seconds:.1}")]);
    }

    let mut traffic = table(&["traffic", "A to B", "B to A"], 1);
    traffic.add_row([
        "payload".to_owned(),
        HumanBytes(report.bytes_a_to_b).to_string(),
        HumanBytes(report.bytes_b_to_a).to_string(),
    ]);
    traffic.add_row([
        "ciphertexts".to_owned(),
        count(report.ciphertexts_a_to_b),
        count(report.ciphertexts_b_to_a),
    ]);

    let evaluation = report.evaluation.as_ref();
    let quality = evaluation.map_or_else(|| quality(report), evaluation::headline);
    let mut parts = vec![rows.to_string(), quality];
    parts.extend(evaluation.and_then(evaluation::deciles));
    parts.extend([times.to_string(), traffic.to_string()]);
    let mut text = parts.join("\n");
    text.push_str(&format!(
        "\n{} iterations: {} epoch(s), batch {}, learning rate {}, L2 {}; {}-bit modulus, {} kernel",
        count(report.iterations.into()),
        report.epochs,
        report.batch_size,
        report.learning_rate,
        report.l2,
        report.modulus_bits,
        clean(&report.kernel),
    ));
    text.push_str(&options(report));
    for warning in &report.warnings {
        text.push_str(&format!("\nwarning: {}", clean(warning)));
    }
    text
}

/// What of training is not as the default rule has it, a line, and the training curve.
fn options(report: &Report) -> String {
    let schedule = match report.schedule.as_str() {
        "" | "constant" => None,
        name => Some(format!("{} schedule", clean(name))),
    };
    let flags = [
        (report.whitened, "whitened columns"),
        (report.weighted, "weighted rows"),
        (report.stopped == "no-progress", "ended early: no progress"),
        (report.stopped == "time-limit", "ended early: time limit"),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, text)| text.to_owned());
    let parts: Vec<String> = schedule.into_iter().chain(flags).collect();
    let mut text = String::new();
    if !parts.is_empty() {
        text.push_str(&format!("\n{}", parts.join("; ")));
    }
    if !report.training_curve.is_empty() {
        let mut curve = table(&["epoch", "KS", "AUC"], 1);
        for point in &report.training_curve {
            curve.add_row([point.epoch.to_string(), figure(point.ks), figure(point.auc)]);
        }
        let rows = count(report.validation_rows);
        text.push_str(&format!("\nvalidation, {rows} rows set aside\n{curve}"));
    }
    text
}

/// Figures of a node that told no evaluation.
fn quality(report: &Report) -> String {
    let mut quality = table(&["model", "KS", "AUC", "F1 at 0.5"], 1);
    quality.add_row([
        "bank alone".to_owned(),
        figure(report.ks_bank_only),
        figure(report.auc_bank_only),
        figure(report.f1_bank_only),
    ]);
    quality.add_row([
        "joint".to_owned(),
        figure(report.ks_joint),
        figure(report.auc_joint),
        figure(report.f1_joint),
    ]);
    quality.add_row([
        "lift".to_owned(),
        format!("{:+.4}", report.ks_lift()),
        format!("{:+.4}", report.auc_lift()),
        format!("{:+.4}", report.f1_joint - report.f1_bank_only),
    ]);
    quality.to_string()
}

pub(super) fn figure(value: f64) -> String {
    format!("{value:.4}")
}

pub(super) fn count(value: u64) -> String {
    HumanCount(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::report_table;
    use crate::convert::report_from_wire;

    #[test]
    fn the_report_shows_both_models_the_lift_and_every_warning() {
        let wire = caesar_proto::v1::JobResult {
            job_id: "j".to_owned(),
            intersection_sha256_train: "0".repeat(64),
            intersection_sha256_test: "0".repeat(64),
            rows_a: 24_732,
            ks_bank_only: 0.25,
            ks_joint: 0.375,
            warnings: vec!["column x is constant".to_owned(), "second".to_owned()],
            ..Default::default()
        };
        let text = report_table(&report_from_wire(wire).unwrap());
        for part in
            ["24,732", "0.2500", "0.3750", "+0.1250", "warning: column x", "warning: second"]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
