//! Live progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::text::{describe_progress, measures, place};
use crate::Job;

/// Shows one job's progress until it is dropped.
#[derive(Debug)]
pub struct ProgressView(View);

#[derive(Debug)]
enum View {
    Bar(ProgressBar),
    Lines { since: Instant, shown: Option<(String, Instant)> },
}

/// Between two lines of one phase: the longer a job takes, the less a line says that is new.
fn pause(shown_for: Duration) -> Duration {
    (shown_for / 20).clamp(Duration::from_secs(3), Duration::from_secs(60))
}

impl ProgressView {
    /// A bar if standard error is a terminal, lines otherwise.
    pub fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(View::Lines { since: Instant::now(), shown: None });
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(View::Bar(bar))
    }

    /// Shows the job as it is now.
    pub fn update(&mut self, job: &Job) {
        match &mut self.0 {
            View::Bar(bar) => update_bar(bar, job),
            View::Lines { since, shown } => {
                let key = format!("{} {}", job.state, job.progress.phase);
                let pause = pause(since.elapsed());
                let due =
                    shown.as_ref().is_none_or(|(last, at)| *last != key || at.elapsed() >= pause);
                if due {
                    // Progress that nobody can read is no reason to stop.
                    let _ = writeln!(std::io::stderr(), "{}", line(job));
                    *shown = Some((key, Instant::now()));
                }
            }
        }
    }
}

impl Default for ProgressView {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        if let View::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn line(job: &Job) -> String {
    if job.progress.phase.is_empty() && job.progress.step.is_empty() || job.state.has_ended() {
        job.state.to_string()
    } else {
        format!("{}: {}", job.state, describe_progress(&job.progress))
    }
}

fn update_bar(bar: &ProgressBar, job: &Job) {
    const COUNTED: &str = "{spinner} {prefix} {bar:30} {pos}/{len} {wide_msg}";
    const OPEN: &str = "{spinner} {prefix} {wide_msg}";
    let progress = &job.progress;
    let counted = progress.iterations > 0;
    let template = if counted { COUNTED } else { OPEN };
    bar.set_style(ProgressStyle::with_template(template).expect("a constant, valid template"));
    if counted {
        bar.set_length(progress.iterations.into());
        bar.set_position(progress.iteration.into());
    }
    bar.set_prefix(place(progress));
    bar.set_message(measures(progress).join(", "));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn an_hour_of_lines_fits_on_a_few_screens() {
        let (mut at, mut lines) = (Duration::ZERO, 0);
        while at < Duration::from_secs(3600) {
            at += pause(at);
            lines += 1;
        }
        assert!((60..150).contains(&lines), "{lines}");
        assert_eq!(pause(Duration::from_secs(10)), Duration::from_secs(3));
    }
}
