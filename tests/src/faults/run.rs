//! One job with everything that goes wrong in it.

use std::time::Duration;

use caesar_client::{Job, JobId, JobSpec, JobState, Report};
use serde::Serialize;
use tokio::{
    sync::oneshot,
    task::block_in_place,
    time::{Instant, sleep},
};

use super::{
    eyes::{Eyes, Sight},
    plan::{Incident, Kind, Moment, Phase, Plan},
    verdict::{self, Verdict},
};
use crate::{
    Pair, Party,
    proxy::{Fault, FaultProxy, Way},
};

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_millis(20);
/// A job that shows no change for so long hangs. Making keys is the longest time without one.
const STALL: Duration = Duration::from_secs(150);
/// A job that takes longer hangs, whatever it shows.
const LONGEST: Duration = Duration::from_secs(900);
/// How long one node may still show a job as running that has ended at the other.
const DISAGREE: Duration = Duration::from_secs(60);

/// How long A may take to hear of a job that has ended at B.
const UNHEARD: Duration = Duration::from_secs(3);

/// The last bytes of a job, which stand for its finish: some tens of them are, but heartbeats make
/// jobs differ by hundreds.
const FINISH_BYTES: u64 = 1000;

/// Bytes that have passed in both directions since the job was submitted.
type Bytes = [u64; 2];

/// A job that nothing disturbed: what it reports, and at which bytes it goes through its phases.
#[derive(Debug)]
pub struct Reference {
    /// What B's node reported.
    pub report: Report,
    /// How long it took.
    pub took: Duration,
    /// For each phase the bytes before it and after it.
    spans: [(Bytes, Bytes); Phase::ALL.len()],
}

impl Reference {
    /// Lets the job end at these bytes at the latest.
    fn end_at(&mut self, end: Bytes) {
        for way in [0, 1] {
            let [.., evaluate, finish] = &mut self.spans;
            finish.1[way] = finish.1[way].min(end[way]);
            finish.0[way] = finish.1[way].saturating_sub(FINISH_BYTES);
            evaluate.1[way] = evaluate.1[way].min(finish.0[way]).max(evaluate.0[way]);
        }
    }

    /// Takes the earlier end of two undisturbed jobs, so that fewer faults come too late.
    pub(super) fn end_no_later_than(&mut self, other: &Reference) {
        self.end_at(other.spans[Phase::Finish as usize].1);
    }
}

/// One fault, as it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Struck {
    /// The name of its kind.
    pub kind: &'static str,
    /// The phase of the job then; nothing if it was a cut and came too late.
    pub phase: Option<Phase>,
}

/// A run and its end.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Of its plan.
    pub seed: u64,
    /// Its plan, in words.
    pub plan: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it did not end right.
    pub detail: String,
    /// What was done to it.
    pub faults: Vec<Struck>,
    /// From submission to the end.
    pub seconds: f64,
}

/// Why waiting ended.
enum Wait {
    /// The moment has come.
    Now,
    /// The job has ended before.
    Ended,
}

struct Run<'a> {
    pair: &'a mut Pair,
    eyes: Eyes,
    id: JobId,
    started: Instant,
    /// Bytes that had passed before the job.
    base: Bytes,
    /// The last that each node said.
    last: [Option<Job>; 2],
    /// When something changed last.
    moved: Instant,
    /// When a node first showed the end.
    ended: Option<Instant>,
}

fn proxy(pair: &Pair) -> &FaultProxy {
    pair.proxy().expect("pairs of fault runs have a proxy")
}

fn index(way: Way) -> usize {
    match way {
        Way::Forth => 0,
        Way::Back => 1,
    }
}

fn passed(pair: &Pair) -> Bytes {
    Way::BOTH.map(|way| proxy(pair).traffic(way).bytes)
}

/// Runs a job that nothing disturbs.
///
/// # Errors
/// If it does not succeed.
pub(super) async fn undisturbed(
    pair: &mut Pair,
    spec: &JobSpec,
) -> Result<Reference, Box<dyn std::error::Error>> {
    let mut run = Run::submit(pair, "undisturbed", spec).await?;
    let mut samples: Vec<(Phase, Bytes)> = Vec::new();
    let before_end = loop {
        run.look().await.map_err(|(_, why)| why)?;
        if let Some(job) = &run.last[Party::B as usize] {
            samples.push((Phase::of(&job.progress.phase), run.bytes()));
        }
        if run.has_ended() {
            break run.bytes();
        }
    };
    let took = run.started.elapsed();
    if run.last.iter().flatten().any(|job| job.state != JobState::Succeeded) {
        return Err(format!("an undisturbed job failed: {:?}", run.last).into());
    }
    let report = run.report().await.ok_or("an undisturbed job has no report")?;
    // From the last look before the phase to the first one after it: wide enough for a phase that
    // is over between two looks.
    let spans = Phase::ALL.map(|phase| {
        let first = samples.iter().position(|(seen, _)| *seen >= phase);
        let before = first.and_then(|first| first.checked_sub(1));
        let after = samples.iter().find(|(seen, _)| *seen > phase);
        (
            before.map_or([0, 0], |before| samples[before].1),
            after.map_or(before_end, |(_, bytes)| *bytes),
        )
    });
    let mut reference = Reference { report, took, spans };
    reference.end_at(before_end);
    Ok(reference)
}

/// Runs a job and does to it what the plan says.
pub(super) async fn disturbed(
    pair: &mut Pair,
    spec: &JobSpec,
    plan: &Plan,
    reference: &Reference,
) -> Outcome {
    let started = Instant::now();
    let mut faults = Vec::new();
    let name = format!("faults {}", plan.seed);
    let (verdict, detail) = match Run::submit(pair, &name, spec).await {
        Ok(mut run) => match run.suffer(plan, reference, &mut faults).await {
            Ok(()) => run.judge(&reference.report).await,
            Err(end) => end,
        },
        Err(error) => (Verdict::NeededHand, format!("the job cannot be submitted: {error}")),
    };
    let line = proxy(pair);
    line.disarm();
    line.refuse_for(Duration::ZERO);
    line.hold_for(Duration::ZERO);
    Outcome {
        seed: plan.seed,
        plan: plan.to_string(),
        verdict,
        detail,
        faults,
        seconds: started.elapsed().as_secs_f64(),
    }
}

impl<'a> Run<'a> {
    async fn submit(
        pair: &'a mut Pair,
        name: &str,
        spec: &JobSpec,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut eyes = Eyes::on(pair);
        let client = eyes.client(Party::B).await.ok_or("B's node does not answer")?;
        let base = passed(pair);
        let started = Instant::now();
        let job = client.submit(&JobSpec { name: name.to_owned(), ..spec.clone() }).await?;
        let (id, last) = (job.id.clone(), [None, Some(job)]);
        Ok(Self { pair, eyes, id, started, base, last, moved: started, ended: None })
    }

    fn bytes(&self) -> Bytes {
        let now = passed(self.pair);
        [now[0] - self.base[0], now[1] - self.base[1]]
    }

    fn phase(&self, party: Party) -> Phase {
        let job = self.last[party as usize].as_ref();
        job.map_or(Phase::Data, |job| Phase::of(&job.progress.phase))
    }

    /// Whether both nodes show the end. A node that never hears of a job has none to show.
    fn has_ended(&self) -> bool {
        let ended = |job: &Option<Job>| job.as_ref().map(|job| job.state.has_ended());
        match [ended(&self.last[0]), ended(&self.last[1])] {
            [None, Some(true)] => self.ended.is_some_and(|since| since.elapsed() > UNHEARD),
            [at_a, at_b] => at_a == Some(true) && at_b == Some(true),
        }
    }

    /// Waits a little and looks at both nodes.
    ///
    /// # Errors
    /// The verdict on a job that hangs.
    async fn look(&mut self) -> Result<(), (Verdict, String)> {
        sleep(LOOK).await;
        for party in [Party::A, Party::B] {
            let Sight::Job(job) = self.eyes.look(party, &self.id).await else { continue };
            let last = &mut self.last[party as usize];
            let shows = |job: &Job| {
                let p = &job.progress;
                let place = (p.phase.clone(), p.step.clone(), p.iteration);
                (job.state, place, p.bytes_sent, p.bytes_received)
            };
            if last.as_ref().map(shows) != Some(shows(&job)) {
                self.moved = Instant::now();
            }
            if job.state.has_ended() {
                self.ended.get_or_insert_with(Instant::now);
            }
            *last = Some(*job);
        }
        let what = match self.ended {
            Some(since) if since.elapsed() > DISAGREE && !self.has_ended() => {
                "it has ended at one node only"
            }
            _ if self.moved.elapsed() > STALL => "nothing moves",
            _ if self.started.elapsed() > LONGEST => "it does not come to an end",
            _ => return Ok(()),
        };
        let shows = |party: Party| match &self.last[party as usize] {
            Some(job) => format!("{} in {} {}", job.state, job.progress.phase, job.progress.step),
            None => "unknown".to_owned(),
        };
        Err((Verdict::Hung, format!("{what}: {} at A, {} at B", shows(Party::A), shows(Party::B))))
    }

    /// Looks until `over`.
    async fn look_until(&mut self, over: Instant) -> Result<(), (Verdict, String)> {
        while Instant::now() < over {
            self.look().await?;
        }
        Ok(())
    }

    async fn suffer(
        &mut self,
        plan: &Plan,
        reference: &Reference,
        faults: &mut Vec<Struck>,
    ) -> Result<(), (Verdict, String)> {
        for &Incident { kind, moment } in &plan.incidents {
            let mut phase = self.strike(kind, moment, reference).await?;
            // What a job has left must survive a death of its node after the end as well.
            if phase.is_none() && matches!(kind, Kind::Kill(..) | Kind::KillBoth(..)) {
                phase = Some(Phase::Ended);
                (self.last, self.ended) = ([None, None], None);
                self.act(kind)?;
            }
            if phase.is_some() {
                self.repair(kind).await?;
            }
            faults.push(Struck { kind: kind.name(), phase });
        }
        Ok(())
    }

    /// Waits for the moment and does it. Returns the phase of the job then, or nothing if the job ended
    /// before.
    async fn strike(
        &mut self,
        kind: Kind,
        moment: Moment,
        reference: &Reference,
    ) -> Result<Option<Phase>, (Verdict, String)> {
        let phase = match moment {
            Moment::Byte { phase, fraction, way } => {
                let (start, end) = reference.spans[phase as usize];
                let (start, end) = (start[index(way)], end[index(way)]);
                let at = start + (fraction * end.saturating_sub(start) as f64) as u64;
                let after = at.saturating_sub(self.bytes()[index(way)]);
                self.strike_at(kind, way, after).await?.map(|()| phase)
            }
            Moment::More { way, bytes } => {
                let struck = self.strike_at(kind, way, bytes).await?;
                struck.map(|()| self.phase(Party::B))
            }
            Moment::Seen { at, phase, fraction, pause } => {
                let wait = self.until_seen(at, phase, fraction).await?;
                if matches!(wait, Wait::Ended) {
                    return Ok(None);
                }
                let shown = self.phase(at);
                sleep(pause).await;
                self.act(kind)?;
                Some(shown)
            }
        };
        Ok(phase)
    }

    /// Does it when so many more bytes have passed. Cuts and flips hit that very byte.
    async fn strike_at(
        &mut self,
        kind: Kind,
        way: Way,
        after: u64,
    ) -> Result<Option<()>, (Verdict, String)> {
        let line = proxy(self.pair);
        let mut told = line.tell_after(way, after);
        match kind {
            Kind::Reset | Kind::Refuse(_) => line.inflict_after(way, after, Fault::Reset),
            Kind::Close => line.inflict_after(way, after, Fault::Close),
            Kind::HalfOpen => line.inflict_after(way, after, Fault::HalfOpen),
            Kind::Corrupt(_, bit) => line.flip_after(way, after, bit),
            Kind::Kill(..) | Kind::KillBoth(..) | Kind::Hold(_) => {}
        }
        match self.until_told(&mut told).await? {
            Wait::Ended => {
                proxy(self.pair).disarm();
                Ok(None)
            }
            Wait::Now => {
                match kind {
                    Kind::Kill(..) | Kind::KillBoth(..) | Kind::Hold(_) => self.act(kind)?,
                    Kind::Refuse(time) => proxy(self.pair).refuse_for(time),
                    _ => {}
                }
                Ok(Some(()))
            }
        }
    }

    async fn until_told(
        &mut self,
        told: &mut oneshot::Receiver<()>,
    ) -> Result<Wait, (Verdict, String)> {
        loop {
            tokio::select! {
                biased;
                // The sender is dropped only when the trap is disarmed, which happens here alone.
                _ = &mut *told => return Ok(Wait::Now),
                looked = self.look() => looked?,
            }
            if self.has_ended() {
                return Ok(Wait::Ended);
            }
        }
    }

    async fn until_seen(
        &mut self,
        at: Party,
        phase: Phase,
        fraction: f64,
    ) -> Result<Wait, (Verdict, String)> {
        loop {
            if self.has_ended() {
                return Ok(Wait::Ended);
            }
            if let Some(job) = self.last[at as usize].as_ref().filter(|job| !job.state.has_ended())
            {
                let p = &job.progress;
                let shown = Phase::of(&p.phase);
                let enough = f64::from(p.iteration) >= fraction * f64::from(p.iterations);
                if shown > phase || (shown == phase && (phase != Phase::Train || enough)) {
                    return Ok(Wait::Now);
                }
            }
            self.look().await?;
        }
    }

    /// Does it now.
    fn act(&mut self, kind: Kind) -> Result<(), (Verdict, String)> {
        let line = proxy(self.pair);
        match kind {
            Kind::Kill(party, _) => self.kill(&[party])?,
            Kind::KillBoth(..) => self.kill(&[Party::A, Party::B])?,
            Kind::Reset => line.inflict(Fault::Reset),
            Kind::Close => line.inflict(Fault::Close),
            Kind::HalfOpen => line.inflict(Fault::HalfOpen),
            Kind::Refuse(time) => {
                line.refuse_for(time);
                line.inflict(Fault::Reset);
            }
            Kind::Hold(time) => line.hold_for(time),
            Kind::Corrupt(way, bit) => line.flip_after(way, 0, bit),
        }
        Ok(())
    }

    fn kill(&mut self, parties: &[Party]) -> Result<(), (Verdict, String)> {
        for &party in parties {
            let killed = self.pair.node_mut(party).kill();
            killed.map_err(|error| (Verdict::NeededHand, error.to_string()))?;
        }
        Ok(())
    }

    /// Waits until the fault is over, and starts nodes again.
    async fn repair(&mut self, kind: Kind) -> Result<(), (Verdict, String)> {
        let now = Instant::now();
        let mut restarts = match kind {
            Kind::Kill(party, down) => vec![(down, party)],
            Kind::KillBoth(a, b) => vec![(a, Party::A), (b, Party::B)],
            Kind::Refuse(time) | Kind::Hold(time) => return self.look_until(now + time).await,
            Kind::Reset | Kind::Close | Kind::HalfOpen | Kind::Corrupt(..) => vec![],
        };
        restarts.sort_unstable_by_key(|(down, _)| *down);
        for (down, party) in restarts {
            self.look_until(now + down).await?;
            block_in_place(|| self.pair.restart(party)).map_err(|error| {
                (Verdict::NeededHand, format!("{} does not come back: {error}", party.name()))
            })?;
            self.moved = Instant::now();
        }
        Ok(())
    }

    async fn report(&mut self) -> Option<Report> {
        let client = self.eyes.client(Party::B).await?;
        client.result(&self.id).await.ok()
    }

    /// Waits for the end and judges it.
    async fn judge(&mut self, reference: &Report) -> (Verdict, String) {
        while !self.has_ended() {
            for party in [Party::A, Party::B] {
                if !self.pair.node_mut(party).is_running() {
                    let what = format!("{} has stopped by itself", party.name());
                    return (Verdict::NeededHand, what);
                }
            }
            if let Err(end) = self.look().await {
                return end;
            }
        }
        let report = self.report().await;
        let [at_a, at_b] = &self.last;
        verdict::of_ended(at_a.as_ref(), at_b.as_ref(), report.as_ref(), reference)
    }
}
