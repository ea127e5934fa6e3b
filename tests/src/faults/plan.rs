//! What is to go wrong in a run, and when: drawn from a seed.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{Party, proxy::Way, synthetic::Numbers};

/// The phases of a job, in their order, by the names that progress has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Data is loaded, the job is offered and accepted.
    Data,
    /// Private set intersection.
    Psi,
    /// Bounds, keys, oblivious transfers.
    Setup,
    /// Mini-batches.
    Train,
    /// Scores of the test rows.
    Evaluate,
    /// Agreement, and the end.
    Finish,
    /// The job has ended. No plan aims at it; what comes too late happens there.
    Ended,
}

impl Phase {
    /// Those of a job under way.
    pub const ALL: [Phase; 6] =
        [Phase::Data, Phase::Psi, Phase::Setup, Phase::Train, Phase::Evaluate, Phase::Finish];

    /// The name that progress shows.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Data => "data",
            Phase::Psi => "psi",
            Phase::Setup => "setup",
            Phase::Train => "train",
            Phase::Evaluate => "evaluate",
            Phase::Finish => "finish",
            Phase::Ended => "ended",
        }
    }

    /// The phase of this name. What a node calls otherwise lies before the protocol.
    pub fn of(name: &str) -> Phase {
        Self::ALL.into_iter().find(|phase| phase.name() == name).unwrap_or(Phase::Data)
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `kill -9` of a node, which is started again after so long.
    Kill(Party, Duration),
    /// `kill -9` of both; A and B are started again after so long each.
    KillBoth(Duration, Duration),
    /// The connection is reset.
    Reset,
    /// The connection is ended in an orderly way.
    Close,
    /// The connection falls silent and nobody is told.
    HalfOpen,
    /// The connection is reset, and no new one comes about for so long.
    Refuse(Duration),
    /// Nothing passes for so long; the connection stays.
    Hold(Duration),
    /// A bit is flipped on its way.
    Corrupt(Way, u8),
}

impl Kind {
    /// Names of all kinds, for tables.
    pub const NAMES: [&'static str; 9] = [
        "kill A",
        "kill B",
        "kill both",
        "reset",
        "close",
        "half-open",
        "refuse",
        "hold",
        "corrupt",
    ];

    /// The name for tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Kind::Kill(Party::A, _) => "kill A",
            Kind::Kill(Party::B, _) => "kill B",
            Kind::KillBoth(..) => "kill both",
            Kind::Reset => "reset",
            Kind::Close => "close",
            Kind::HalfOpen => "half-open",
            Kind::Refuse(_) => "refuse",
            Kind::Hold(_) => "hold",
            Kind::Corrupt(..) => "corrupt",
        }
    }

    /// The kind of this number, with what is left open drawn at random.
    fn draw(number: usize, numbers: &mut Numbers) -> Kind {
        let mut pause = |most: u64| Duration::from_millis(numbers.bits() % most);
        match number % Self::NAMES.len() {
            0 => Kind::Kill(Party::A, pause(4000)),
            1 => Kind::Kill(Party::B, pause(4000)),
            2 => Kind::KillBoth(pause(4000), pause(4000)),
            3 => Kind::Reset,
            4 => Kind::Close,
            5 => Kind::HalfOpen,
            6 => Kind::Refuse(pause(8000)),
            // Shorter and longer than the silence after which a peer counts as lost.
            7 => Kind::Hold(pause(12_000)),
            _ => {
                let bits = numbers.bits();
                let way = if bits & 1 == 0 { Way::Forth } else { Way::Back };
                Kind::Corrupt(way, (bits >> 1) as u8 % 8)
            }
        }
    }
}

/// When it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// At a byte of a phase, as an uninterrupted job has them: at this fraction of those that pass
    /// in this direction. For the first fault of a run only.
    Byte {
        /// The phase.
        phase: Phase,
        /// 0 to 1.
        fraction: f64,
        /// The direction.
        way: Way,
    },
    /// So long after a node shows a phase, or a later one.
    Seen {
        /// The node.
        at: Party,
        /// The phase.
        phase: Phase,
        /// While training: the share of the mini-batches that are done, 0 to 1.
        fraction: f64,
        /// The pause.
        pause: Duration,
    },
    /// After so many bytes more in a direction, counted from when the fault before was over.
    More {
        /// The direction.
        way: Way,
        /// The bytes.
        bytes: u64,
    },
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// What.
    pub kind: Kind,
    /// When.
    pub moment: Moment,
}

impl Incident {
    fn new(mut kind: Kind, moment: Moment) -> Self {
        // The byte that is waited for is the one that is changed.
        if let (
            Kind::Corrupt(way, _),
            Moment::Byte { way: of_moment, .. } | Moment::More { way: of_moment, .. },
        ) = (&mut kind, &moment)
        {
            *way = *of_moment;
        }
        Self { kind, moment }
    }
}

/// All that goes wrong in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// One to three, in their order.
    pub incidents: Vec<Incident>,
}

impl Plan {
    /// The plan of a seed. Consecutive seeds go through all kinds and phases for their first fault;
    /// everything else is random.
    pub fn draw(seed: u64) -> Self {
        let mut numbers = Numbers::new(seed);
        // So that neighbouring seeds share no numbers.
        let mut numbers = Numbers::new(numbers.bits() ^ seed.rotate_left(32));
        let (kinds, phases) = (Kind::NAMES.len() as u64, Phase::ALL.len() as u64);
        let (kind, round) = (seed % kinds, seed / kinds);
        let phase = Phase::ALL[((kind + round % phases) % phases) as usize];
        let kind = Kind::draw(kind as usize, &mut numbers);
        let mut incidents = vec![Incident::new(kind, first_moment(phase, &mut numbers))];
        for _ in 0..numbers.bits() % 3 {
            let number = numbers.bits() as usize % Kind::NAMES.len();
            let kind = Kind::draw(number, &mut numbers);
            incidents.push(Incident::new(kind, later_moment(&mut numbers)));
        }
        Self { seed, incidents }
    }
}

fn party(numbers: &mut Numbers) -> Party {
    if numbers.bits() & 1 == 0 { Party::A } else { Party::B }
}

fn way(numbers: &mut Numbers) -> Way {
    if numbers.bits() & 1 == 0 { Way::Forth } else { Way::Back }
}

fn first_moment(phase: Phase, numbers: &mut Numbers) -> Moment {
    let by_time = match phase {
        Phase::Data => true,
        // Long enough to be seen from outside.
        Phase::Setup | Phase::Train => numbers.bits() & 1 == 0,
        Phase::Psi | Phase::Evaluate | Phase::Finish | Phase::Ended => false,
    };
    if !by_time {
        return Moment::Byte { phase, fraction: numbers.unit(), way: way(numbers) };
    }
    let most = match phase {
        Phase::Data => 60,
        // Keys are made, which takes seconds.
        Phase::Setup => 3000,
        _ => 300,
    };
    Moment::Seen {
        at: party(numbers),
        phase,
        fraction: numbers.unit(),
        pause: Duration::from_millis(numbers.bits() % most),
    }
}

fn later_moment(numbers: &mut Numbers) -> Moment {
    match numbers.bits() % 3 {
        // While the nodes find each other again and compare where they stand.
        0 => {
            // Evenly over orders of magnitude, 1 to about 100,000.
            let bytes = (numbers.unit() * 11.5).exp() as u64;
            Moment::More { way: way(numbers), bytes }
        }
        1 => Moment::Seen {
            at: party(numbers),
            phase: Phase::Data,
            fraction: 0.0,
            pause: Duration::from_millis(numbers.bits() % 5000),
        },
        _ => Moment::Seen {
            at: party(numbers),
            phase: if numbers.bits().is_multiple_of(4) { Phase::Evaluate } else { Phase::Train },
            fraction: numbers.unit(),
            pause: Duration::from_millis(numbers.bits() % 300),
        },
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Kind::Kill(_, down) => write!(f, " for {} ms", down.as_millis()),
            Kind::KillBoth(a, b) => write!(f, " for {} and {} ms", a.as_millis(), b.as_millis()),
            Kind::Refuse(time) | Kind::Hold(time) => write!(f, " for {} ms", time.as_millis()),
            Kind::Corrupt(way, bit) => write!(f, " bit {bit} {}", way_name(*way)),
            Kind::Reset | Kind::Close | Kind::HalfOpen => Ok(()),
        }
    }
}

fn way_name(way: Way) -> &'static str {
    match way {
        Way::Forth => "B to A",
        Way::Back => "A to B",
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Byte { phase, fraction, way } => {
                let percent = fraction * 100.0;
                write!(f, "at {percent:.1} % of the {} bytes {}", phase.name(), way_name(*way))
            }
            Moment::Seen { at, phase, fraction, pause } => {
                write!(f, "{} ms after {at:?} shows {}", pause.as_millis(), phase.name())?;
                if *phase == Phase::Train {
                    write!(f, " {:.0} %", fraction * 100.0)?;
                }
                Ok(())
            }
            Moment::More { way, bytes } => write!(f, "{bytes} bytes {} later", way_name(*way)),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, incident) in self.incidents.iter().enumerate() {
            let between = if index > 0 { "; then " } else { "" };
            write!(f, "{between}{} {}", incident.kind, incident.moment)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_neighbours_differ() {
        for seed in [0, 1, 77, u64::MAX] {
            assert_eq!(Plan::draw(seed), Plan::draw(seed));
            assert!((1..=3).contains(&Plan::draw(seed).incidents.len()));
        }
        let texts: BTreeSet<_> = (0..200).map(|seed| Plan::draw(seed).to_string()).collect();
        assert_eq!(texts.len(), 200);
    }

    #[test]
    fn a_hundred_consecutive_seeds_meet_every_kind_in_every_phase() {
        for start in [0, 1, 12_345] {
            let met: BTreeSet<(&str, Phase)> = (start..start + 100)
                .map(|seed| {
                    let first = Plan::draw(seed).incidents[0];
                    let phase = match first.moment {
                        Moment::Byte { phase, .. } | Moment::Seen { phase, .. } => phase,
                        Moment::More { .. } => panic!("the first fault has none before it"),
                    };
                    (first.kind.name(), phase)
                })
                .collect();
            assert_eq!(met.len(), Kind::NAMES.len() * Phase::ALL.len(), "from {start}");
            let kinds: BTreeSet<_> = met.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, Kind::NAMES.into_iter().collect());
        }
    }

    #[test]
    fn phases_have_the_names_of_progress() {
        for phase in Phase::ALL {
            assert_eq!(Phase::of(phase.name()), phase);
        }
        assert_eq!(Phase::of(""), Phase::Data);
    }
}
