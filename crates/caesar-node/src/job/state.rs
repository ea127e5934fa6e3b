//! The life of a job as a pure function. `docs/STATE_MACHINE.md` has the diagram.

use std::fmt;

use thiserror::Error;

use crate::error::Failure;

/// Where a job stands. The same states exist on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// At B: persisted, waiting for its turn, its data or the peer. At A: an attempt has ended, B's
    /// next offer is awaited.
    Queued,
    /// B has offered it to A, or A has received the offer; A checks and loads.
    Offered,
    /// A has accepted; both compute.
    Running,
    /// Ended with a result at B.
    Succeeded,
    /// Ended with a failure that both sides know.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [State; 6] = [
        State::Queued,
        State::Offered,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ];

    /// The stable name in the store and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Offered => "offered",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether nothing can happen to the job any more.
    pub const fn has_ended(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a job has ended, with the reason of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is a result at B.
    Succeeded,
    /// It failed.
    Failed(Failure),
    /// Somebody cancelled it.
    Cancelled,
}

impl Verdict {
    /// The event that this is at A, when B says it.
    pub fn decided(&self) -> Event {
        match self {
            Verdict::Succeeded => Event::DecidedSucceeded,
            Verdict::Failed(_) => Event::DecidedFailed,
            Verdict::Cancelled => Event::DecidedCancelled,
        }
    }

    /// Why, if it failed.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Verdict::Failed(failure) => Some(failure),
            Verdict::Succeeded | Verdict::Cancelled => None,
        }
    }
}

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// B makes an offer (at A: the offer arrives).
    Offer,
    /// A accepts the offer (at A: sends the acceptance).
    Accept,
    /// The engine ended well; at B only.
    Succeed,
    /// Anything went wrong on either side.
    Fail,
    /// A client of either side cancelled.
    Cancel,
    /// The attempt has ended, the job has not: a node was restarted or stops.
    Restart,
    /// At A: B says that the job has succeeded.
    DecidedSucceeded,
    /// At A: B says that the job has failed.
    DecidedFailed,
    /// At A: B says that the job was cancelled.
    DecidedCancelled,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 9] = [
        Event::Offer,
        Event::Accept,
        Event::Succeed,
        Event::Fail,
        Event::Cancel,
        Event::Restart,
        Event::DecidedSucceeded,
        Event::DecidedFailed,
        Event::DecidedCancelled,
    ];
}

/// An event that cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{event:?} cannot happen to a job that is {state}")]
pub struct Illegal {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// The state after an event.
///
/// # Errors
/// [`Illegal`]; the state does not change. In particular the first event that ends a job at B wins, and
/// B's word decides at A.
pub const fn transition(state: State, event: Event) -> Result<State, Illegal> {
    use {Event as E, State as S};
    match (state, event) {
        (S::Queued, E::Offer) => Ok(S::Offered),
        (S::Offered, E::Accept) => Ok(S::Running),
        (S::Running, E::Succeed) => Ok(S::Succeeded),
        (S::Queued | S::Offered | S::Running, E::Fail) => Ok(S::Failed),
        (S::Queued | S::Offered | S::Running, E::Cancel) => Ok(S::Cancelled),
        (S::Offered | S::Running, E::Restart) => Ok(S::Queued),
        (S::Queued | S::Succeeded | S::Failed | S::Cancelled, E::Restart) => Ok(state),
        (_, E::DecidedSucceeded) => Ok(S::Succeeded),
        (_, E::DecidedFailed) => Ok(S::Failed),
        (_, E::DecidedCancelled) => Ok(S::Cancelled),
        _ => Err(Illegal { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, written out: a change of the function must be made here as well.
    #[test]
    fn every_pair_of_state_and_event() {
        use State::{Cancelled, Failed, Offered, Queued, Running, Succeeded};
        // Columns: Offer, Accept, Succeed, Fail, Cancel, Restart.
        let table: [(State, [Option<State>; 6]); 6] = [
            (Queued, [Some(Offered), None, None, Some(Failed), Some(Cancelled), Some(Queued)]),
            (Offered, [None, Some(Running), None, Some(Failed), Some(Cancelled), Some(Queued)]),
            (Running, [None, None, Some(Succeeded), Some(Failed), Some(Cancelled), Some(Queued)]),
            (Succeeded, [None, None, None, None, None, Some(Succeeded)]),
            (Failed, [None, None, None, None, None, Some(Failed)]),
            (Cancelled, [None, None, None, None, None, Some(Cancelled)]),
        ];
        // And B's decisions, which hold whatever A believed.
        let decided = [Some(Succeeded), Some(Failed), Some(Cancelled)];
        assert_eq!(table.map(|(s, _)| s), State::ALL);
        for (state, row) in table {
            let row = row.into_iter().chain(decided);
            for (event, expected) in Event::ALL.into_iter().zip(row) {
                let expected = expected.ok_or(Illegal { state, event });
                assert_eq!(transition(state, event), expected, "{state} + {event:?}");
            }
        }
    }

    #[test]
    fn ended_jobs_stay_ended_unless_b_decides() {
        for state in State::ALL.into_iter().filter(|s| s.has_ended()) {
            for event in &Event::ALL[..6] {
                let event = *event;
                assert_eq!(transition(state, event).unwrap_or(state), state);
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        assert_eq!(State::from_name("RUNNING"), None);
    }
}
