//! The first step of every attempt: both sides say what they hold of the job, and agree where it goes on
//! (docs/SPEC.md, "Resume").

use super::{
    Run,
    channel::Channel,
    checkpoint::{ChainHash, History, Model, Openings, Position, Store, StoredSetup, setup},
    course::Course,
    error::{Role, SessionError},
    link::Notice,
    setup::{Aligned, Ready, plan_of, prepare_rows},
    vault::{RecordFile, VaultError},
    work::Work,
};
use crate::{
    features::Prepared,
    matrix::Table,
    plan::Plan,
    step::Step,
    train::keys::Keys,
    wire::{DecodeError, Message, Reader, Writer},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

/// What a side holds: the first message of `resume`, 45 bytes. Public to both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Digest of the set-up, if there is one.
    pub(crate) setup: Option<[u8; 32]>,
    /// First and last number of mini-batches that this side can go back to.
    pub(crate) steps: [u32; 2],
    /// Records of openings on disk: chunks of rows, of which A holds what it sent and B its own shares,
    /// and decisions.
    pub(crate) openings: u32,
}

impl Held {
    pub(crate) const BYTES: usize = 45;
}

impl Message for Held {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u8(u8::from(self.setup.is_some()));
        out.bytes(&self.setup.unwrap_or_default());
        self.steps.iter().for_each(|step| out.u32(*step));
        out.u32(self.openings);
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let range = |field| Err(DecodeError::OutOfRange { field });
        let mut r = Reader::new(body);
        let flag = r.u8("set-up flag")?;
        let digest = r.array("set-up digest")?;
        let steps = [r.u32("oldest mini-batch")?, r.u32("newest mini-batch")?];
        let openings = r.u32("openings")?;
        r.finish()?;
        let setup = match flag {
            0 if digest == [0; 32] && steps == [0, 0] => None,
            1 => Some(digest),
            _ => return range("set-up flag"),
        };
        if steps[0] > steps[1] {
            return range("newest mini-batch");
        }
        Ok(Self { setup, steps, openings })
    }
}

/// Where an attempt starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// With nothing: a side has no set-up.
    Start,
    /// After this many mini-batches, with this many records of openings.
    GoOn { step: u32, openings: u32 },
}

/// What both sides conclude from what A and B hold. `bound`: the mini-batch before which this side cannot
/// go, given how many records of openings count.
pub(crate) fn agree(
    a: &Held,
    b: &Held,
    bound: impl FnOnce(u32) -> Result<u32, SessionError>,
) -> Result<Agreed, SessionError> {
    // Only A knows for sure what was opened; B has its share of a chunk before A opens it.
    let opened = if a.setup.is_some() { a.openings } else { a.openings.max(b.openings) };
    let (Some(setup_a), Some(setup_b)) = (a.setup, b.setup) else {
        return if opened > 0 { Err(SessionError::Opened) } else { Ok(Agreed::Start) };
    };
    if setup_a != setup_b {
        return Err(SessionError::Disagreement { what: "set-up of the job", step: Step::Resume });
    }
    let step = a.steps[1].min(b.steps[1]);
    // The empty model needs no file, so it is always common ground.
    let step = if step < a.steps[0].max(b.steps[0]) { 0 } else { step };
    if opened > b.openings {
        let cause = VaultError::Corrupt { file: RecordFile::Openings };
        return Err(SessionError::Checkpoint { side: Role::LabelHolder, cause });
    }
    if opened > 0 && step < bound(opened)? {
        return Err(SessionError::Opened);
    }
    Ok(Agreed::GoOn { step, openings: opened })
}

/// How an attempt begins: after what is on disk, or with alignment.
pub(crate) struct Begun<'v> {
    store: Store<'v>,
    resumed: Option<Box<Resumed>>,
}

/// An earlier attempt's set-up, checked against this one's inputs.
struct Resumed {
    setup: StoredSetup,
    plan: Plan,
    prepared: Prepared,
    history: History,
    position: Position,
}

/// Exchanges what both sides hold. Afterwards the vault is empty, or its openings are the agreed ones.
pub(crate) fn begin<'v>(
    channel: &mut Channel<'_>,
    run: &Run,
    tables: [&Table; 2],
    mut store: Store<'v>,
    work: &mut Work<'_>,
) -> Result<Begun<'v>, SessionError> {
    let at = Step::Resume;
    let role = channel.role();
    work.psi(at, 0, 0);
    let own = Own::read(role, run, tables, &mut store, work)?;
    let records = read_openings(role, &mut store, work)?;
    let held = Held {
        setup: own.as_ref().map(|own| own.digest),
        steps: own.as_ref().map_or([0, 0], |own| [own.history.oldest(), own.history.newest()]),
        openings: records.len() as u32,
    };
    channel.send_message(at, &held)?;
    let peer = channel.receive_message::<Held>(at, Held::BYTES, ())?;
    let steps = own.as_ref().map_or(0, |own| own.plan.steps());
    if own.as_ref().is_some_and(|own| Some(own.digest) == peer.setup)
        && (peer.steps[1] > steps || peer.openings > most_openings(own.as_ref()))
    {
        return Err(channel.bad(at, "it holds more than the job has"));
    }
    let (a, b) = match role {
        Role::FeatureHolder => (&held, &peer),
        Role::LabelHolder => (&peer, &held),
    };
    let bound = |opened: u32| {
        let Some(own) = &own else { return Ok(0) };
        let records = records.get(..opened as usize).unwrap_or(&records);
        let course = Course::read(&own.plan, role, records.to_vec());
        Ok(course.map_err(|_| store.corrupt(RecordFile::Openings))?.bound(&own.plan))
    };
    let agreed = agree(a, b, bound)?;
    let resumed = match (agreed, own) {
        (Agreed::GoOn { step, openings }, Some(own)) => {
            let position = same_position(channel, &own.history, step)?;
            if held.openings > openings {
                // Shares that A has not answered: A's part of them is gone, so they are computed anew.
                store.truncate(RecordFile::Openings, u64::from(openings))?;
            }
            let counted = records.get(..openings as usize).unwrap_or(&records).to_vec();
            let course = Course::read(&own.plan, role, counted)
                .map_err(|_| store.corrupt(RecordFile::Openings))?;
            work.notice(Notice::Resumed {
                step,
                steps,
                rolled_back: held.steps[1] - step,
                opened: course.test_chunks(&own.plan),
            });
            let Own { setup, plan, prepared, history, .. } = own;
            Some(Box::new(Resumed { setup, plan, prepared, history, position }))
        }
        (_, own) => {
            // Before anything of the new start is sent: the peer can only hold a new set-up once this
            // side has no old one.
            store.clear()?;
            if own.is_some() {
                work.notice(Notice::StartedOver);
            }
            None
        }
    };
    Ok(Begun { store, resumed })
}

/// What this side has on disk, checked.
struct Own {
    setup: StoredSetup,
    digest: [u8; 32],
    plan: Plan,
    prepared: Prepared,
    history: History,
}

impl Own {
    fn read(
        role: Role,
        run: &Run,
        tables: [&Table; 2],
        store: &mut Store<'_>,
        work: &mut Work<'_>,
    ) -> Result<Option<Self>, SessionError> {
        let Some(mut setup) = StoredSetup::read(store)? else { return Ok(None) };
        setup.check_inputs(role, run, tables)?;
        let sets = setup.sets(run, tables);
        let transform = setup.transform.take();
        let prepared = prepare_rows(run, role, tables, &sets, transform)?;
        let plan = plan_of(run, role, sets.counts(), prepared.bounds, setup.peer_bounds)?;
        setup.check_plan(role, &plan)?;
        let digest = setup.digest(role);
        let history = History::read(store, &plan, ChainHash::start(&digest))?;
        for &file in &history.corrupt {
            work.notice(Notice::Corrupt { file });
        }
        Ok(Some(Self { setup, digest, plan, prepared, history }))
    }
}

/// Most records of openings that the job can have.
fn most_openings(own: Option<&Own>) -> u32 {
    own.map_or(0, |own| Course::most_records(&own.plan))
}

/// Records of openings on disk.
fn read_openings(
    role: Role,
    store: &mut Store<'_>,
    work: &mut Work<'_>,
) -> Result<Vec<Zeroizing<Vec<u8>>>, SessionError> {
    let Openings { records, whole } = store.openings()?;
    if !whole {
        if role == Role::FeatureHolder {
            // What was opened cannot be told any more, and must not be opened again with other noise.
            return Err(store.corrupt(RecordFile::Openings));
        }
        work.notice(Notice::Corrupt { file: RecordFile::Openings });
    }
    Ok(records)
}

/// Both sides saw the same mini-batches up to the agreed one.
fn same_position(
    channel: &mut Channel<'_>,
    history: &History,
    step: u32,
) -> Result<Position, SessionError> {
    let at = Step::Resume;
    let hash = history.chain(step).ok_or(SessionError::Bug {
        step: at,
        what: "the agreed mini-batch is not among the own ones".to_owned(),
    })?;
    let position = Position { step, hash };
    channel.send_message(at, &position)?;
    if channel.receive_message::<Position>(at, Position::BYTES, ())? != position {
        return Err(SessionError::Disagreement { what: "mini-batches done so far", step: at });
    }
    Ok(position)
}

impl<'v> Begun<'v> {
    /// The alignment of an earlier attempt, bound to this one, or a new one.
    pub(crate) fn align(
        &self,
        channel: &mut Channel<'_>,
        run: &Run,
        tables: [&Table; 2],
        work: &mut Work<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Aligned, SessionError> {
        let Some(Resumed { setup, .. }) = self.resumed.as_deref() else {
            return super::setup::align(channel, run, tables, work, rng);
        };
        Ok(Aligned {
            binding: run.binding(setup.session),
            rows_seed: setup.rows_seed,
            train: setup.train.clone(),
            test: setup.test.clone(),
            sets: setup.sets(run, tables),
        })
    }

    /// The same keys with new generators and the model as far as it is agreed, or a new set-up, which is
    /// on disk then, and the empty model.
    pub(crate) fn ready(
        self,
        channel: &mut Channel<'_>,
        run: &Run,
        aligned: &Aligned,
        tables: [&Table; 2],
        work: &mut Work<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Ready, Model<'v>), SessionError> {
        let Self { mut store, resumed } = self;
        let Some(resumed) = resumed else {
            let ready = super::setup::ready(channel, run, aligned, tables, work, rng)?;
            let digest = setup::write(&mut store, run, aligned, &ready, tables)?;
            let model = Model::empty(store, &ready, ChainHash::start(&digest))?;
            return Ok((ready, model));
        };
        let Resumed { setup, plan, prepared, history, position } = *resumed;
        work.planned(&plan);
        work.setup(Step::Keys);
        let keys = Keys::new(setup.own, setup.peer, rng)
            .map_err(|e| SessionError::Bug { step: Step::Keys, what: e.to_string() })?;
        let ready = Ready::new(channel.role(), plan, prepared, keys);
        let model = Model::resume(store, &ready, &setup.rows_seed, history, position)?;
        Ok((ready, model))
    }
}
