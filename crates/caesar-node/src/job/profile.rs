//! Where the time of an attempt goes, step by step. Has no clock of its own: whoever calls says what
//! time it is.
//!
//! The protocol's thread is in one of three states: in a call of the link that sends, in one that
//! receives, or between two calls, which is computing (and its disk). Computing belongs to the
//! step that was announced; without a word, after receiving to the message that came, and after sending
//! to what comes next. So each moment is counted once, and the sums are the time of the whole attempt.

use std::time::{Duration, Instant};

use mpc_core::step::Step;

/// What one step took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Between the calls of the link.
    pub compute: Duration,
    /// In receiving.
    pub wait: Duration,
    /// In sending.
    pub link: Duration,
    /// Sent for it.
    pub sent: Traffic,
    /// Received for it.
    pub received: Traffic,
}

/// Messages in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many.
    pub messages: u64,
    /// The bytes of their bodies.
    pub bytes: u64,
}

impl Traffic {
    fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// The account of one attempt. It begins with its first entry.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Up to when everything is accounted for.
    since: Option<Instant>,
    /// What this side computes for, where that is known.
    computing: Option<Step>,
    steps: [Spent; Step::ALL.len()],
}

impl Profile {
    fn spent(&mut self, step: Step) -> &mut Spent {
        let index = Step::ALL.iter().position(|&other| other == step);
        // Every step is in the list.
        &mut self.steps[index.unwrap_or(0)]
    }

    /// The time since the last entry.
    fn lap(&mut self, now: Instant) -> Duration {
        let since = self.since.replace(now).unwrap_or(now);
        now.saturating_duration_since(since)
    }

    /// What follows is of `step`: it was announced, or a call of the link for it begins.
    pub fn enter(&mut self, step: Step, now: Instant) {
        let took = self.lap(now);
        let before = self.computing.replace(step).unwrap_or(step);
        self.spent(before).compute += took;
    }

    /// The link has taken a message.
    pub fn sent(&mut self, step: Step, bytes: usize, now: Instant) {
        let took = self.lap(now);
        let spent = self.spent(step);
        spent.link += took;
        spent.sent.count(bytes);
        // What follows prepares the next message.
        self.computing = None;
    }

    /// The link has given a message.
    pub fn received(&mut self, step: Step, bytes: usize, now: Instant) {
        let took = self.lap(now);
        let spent = self.spent(step);
        spent.wait += took;
        spent.received.count(bytes);
        self.computing = Some(step);
    }

    /// The attempt is over: the last stretch of computing ends. Without effect before it began.
    pub fn stop(&mut self, now: Instant) {
        if let Some(step) = self.computing {
            self.enter(step, now);
        }
    }

    /// The steps that took place, in the order of a run.
    pub fn steps(&self) -> impl Iterator<Item = (Step, &Spent)> {
        let took_place = |(_, spent): &(Step, &Spent)| **spent != Spent::default();
        Step::ALL.iter().copied().zip(&self.steps).filter(took_place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that the test turns.
    struct Clock(Instant);

    impl Clock {
        fn after(&mut self, ms: u64) -> Instant {
            self.0 += Duration::from_millis(ms);
            self.0
        }
    }

    fn millis(spent: &Spent) -> [u128; 3] {
        [spent.compute, spent.wait, spent.link].map(|d| d.as_millis())
    }

    #[test]
    fn every_moment_goes_to_one_step_and_one_state() {
        let mut clock = Clock(Instant::now());
        let mut profile = Profile::default();
        profile.enter(Step::Forward, clock.after(1000));
        // Packing.
        profile.enter(Step::Forward, clock.after(7));
        profile.sent(Step::Forward, 100, clock.after(3));
        profile.enter(Step::Forward, clock.after(1));
        profile.received(Step::Forward, 40, clock.after(20));
        // Opening, then the choices, which are announced.
        profile.enter(Step::ErrorOle, clock.after(5));
        profile.enter(Step::ErrorOle, clock.after(2));
        profile.sent(Step::ErrorOle, 9, clock.after(0));
        // The extension follows a message of another step and is not announced.
        profile.enter(Step::OtExtension, clock.after(11));
        profile.sent(Step::OtExtension, 1, clock.after(4));
        profile.enter(Step::ErrorOle, clock.after(0));
        profile.received(Step::ErrorOle, 8, clock.after(6));
        profile.stop(clock.after(13));
        let found: Vec<_> = profile.steps().map(|(step, spent)| (step, millis(spent))).collect();
        assert_eq!(
            found,
            [
                (Step::OtExtension, [11, 0, 4]),
                (Step::Forward, [13, 20, 3]),
                (Step::ErrorOle, [15, 6, 0]),
            ]
        );
        let sum: Duration = profile.steps().map(|(_, s)| s.compute + s.wait + s.link).sum();
        assert_eq!(sum, Duration::from_millis(7 + 3 + 1 + 20 + 5 + 2 + 11 + 4 + 6 + 13));
        let traffic: Vec<_> = profile.steps().map(|(_, s)| (s.sent, s.received)).collect();
        let of = |messages, bytes| Traffic { messages, bytes };
        assert_eq!(traffic, [(of(1, 1), of(0, 0)), (of(1, 100), of(1, 40)), (of(1, 9), of(1, 8))]);
    }

    #[test]
    fn nothing_is_counted_before_the_first_entry_or_without_one() {
        let mut clock = Clock(Instant::now());
        let mut profile = Profile::default();
        profile.stop(clock.after(5));
        assert_eq!(profile.steps().count(), 0);
        profile.enter(Step::Finish, clock.after(5));
        profile.received(Step::Finish, 0, clock.after(1));
        let (step, spent) = profile.steps().next().unwrap();
        assert_eq!((step, millis(spent)), (Step::Finish, [0, 1, 0]));
    }
}
