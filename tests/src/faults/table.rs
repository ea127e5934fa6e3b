//! What came of many runs.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{Kind, Outcome, Phase, Verdict};

/// The counts that are printed and written as JSON. The names of the first five are kept.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Jobs run.
    pub runs: usize,
    /// That succeeded with the right report.
    pub ended_right: usize,
    /// With a wrong report, or with another end at each node.
    pub ended_wrong: usize,
    /// In which nothing moved any more.
    pub hung: usize,
    /// That failed, or whose node did not come back.
    pub needed_hand: usize,
    /// Of the first run; the others follow it.
    pub seed: u64,
    /// Things that went wrong in all runs.
    pub faults: usize,
    /// Cuts that were to come when the job had ended already.
    pub missed: usize,
    /// Wall clock of all runs.
    pub seconds: f64,
    /// Run by run.
    pub outcomes: Vec<Outcome>,
}

impl Summary {
    /// Counts runs that began with this seed.
    pub fn of(seed: u64, outcomes: Vec<Outcome>) -> Self {
        let count = |verdict| outcomes.iter().filter(|o| o.verdict == verdict).count();
        let faults = || outcomes.iter().flat_map(|o| &o.faults);
        Self {
            runs: outcomes.len(),
            ended_right: count(Verdict::EndedRight),
            ended_wrong: count(Verdict::EndedWrong),
            hung: count(Verdict::Hung),
            needed_hand: count(Verdict::NeededHand),
            seed,
            faults: faults().filter(|f| f.phase.is_some()).count(),
            missed: faults().filter(|f| f.phase.is_none()).count(),
            seconds: outcomes.iter().map(|o| o.seconds).sum(),
            outcomes,
        }
    }

    /// Whether nothing is to be complained of.
    pub fn all_right(&self) -> bool {
        self.ended_right == self.runs
    }
}

/// For each kind of fault and phase: of how many, how many were in runs that ended right.
pub fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    let phases = || Phase::ALL.into_iter().chain([Phase::Ended]);
    let header = ["fault"].into_iter().chain(phases().map(Phase::name)).chain(["all"]);
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    let mut row = |name: &str, is_it: &dyn Fn(&str) -> bool| {
        let mut cells = vec![name.to_owned()];
        for phase in phases().map(Some).chain([None]) {
            let (mut right, mut all) = (0, 0);
            for outcome in outcomes {
                for fault in outcome.faults.iter().filter(|f| is_it(f.kind)) {
                    let Some(struck) = fault.phase else { continue };
                    if phase.is_none_or(|phase| phase == struck) {
                        all += 1;
                        right += usize::from(outcome.verdict == Verdict::EndedRight);
                    }
                }
            }
            cells.push(if all == 0 { "-".to_owned() } else { format!("{right}/{all}") });
        }
        table.add_row(cells);
    };
    for kind in Kind::NAMES {
        row(kind, &|name| name == kind);
    }
    row("all", &|_| true);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Struck;

    fn outcome(verdict: Verdict, faults: &[(&'static str, Option<Phase>)]) -> Outcome {
        let faults = faults.iter().map(|&(kind, phase)| Struck { kind, phase }).collect();
        let (plan, detail) = (String::new(), String::new());
        Outcome { seed: 1, plan, verdict, detail, faults, seconds: 2.0 }
    }

    #[test]
    fn counts_names_and_cells() {
        let outcomes = vec![
            outcome(Verdict::EndedRight, &[("kill A", Some(Phase::Train)), ("reset", None)]),
            outcome(Verdict::Hung, &[("kill A", Some(Phase::Train)), ("hold", Some(Phase::Psi))]),
            outcome(Verdict::NeededHand, &[]),
            outcome(Verdict::EndedWrong, &[]),
        ];
        let cells = table(&outcomes).to_string();
        let line = |name: &str| -> Vec<String> {
            let line = cells.lines().find(|l| l.contains(name)).unwrap();
            let cells = line.split(['│', '┆']).map(|c| c.trim().to_owned());
            cells.filter(|c| !c.is_empty()).collect()
        };
        assert_eq!(line("kill A"), ["kill A", "-", "-", "-", "1/2", "-", "-", "-", "1/2"]);
        assert_eq!(line("hold"), ["hold", "-", "0/1", "-", "-", "-", "-", "-", "0/1"]);
        assert_eq!(line("reset")[1..], ["-"; 8]);

        let summary = Summary::of(7, outcomes);
        let json = serde_json::to_value(&summary).unwrap();
        for (name, count) in
            [("runs", 4), ("ended_right", 1), ("ended_wrong", 1), ("hung", 1), ("needed_hand", 1)]
        {
            assert_eq!(json[name], count, "{name}");
        }
        assert_eq!((summary.faults, summary.missed), (3, 1));
        assert!(!summary.all_right());
        assert!(Summary::of(7, vec![outcome(Verdict::EndedRight, &[])]).all_right());
    }
}
