//! From two tables to a session that is ready to train: seed, intersections, bounds, keys.

use paillier::{ModulusBits, ModulusProof, PublicKey, SecretKey};
use rand::CryptoRng;

use super::{
    Run, align,
    channel::Channel,
    error::{Role, SessionError, Split},
    row_sets::RowSets,
    seed,
    work::Work,
};
use crate::{
    binding::Binding,
    features::{Prepared, Transform, prepare, prepare_with},
    matrix::Table,
    plan::{Plan, PublicBounds},
    psi::Intersection,
    step::Step,
    train::{batch::Columns, keys::Keys},
    wire::Message,
};

/// The two tables of a party and how they line up with the peer's.
pub(crate) struct Aligned {
    pub(crate) binding: Binding,
    /// Seed of the row order.
    pub(crate) rows_seed: [u8; 32],
    pub(crate) train: Intersection,
    pub(crate) test: Intersection,
    /// What the rows of both are used for.
    pub(crate) sets: RowSets,
}

/// What training and evaluation need, apart from labels.
pub(crate) struct Ready {
    pub(crate) plan: Plan,
    pub(crate) prepared: Prepared,
    pub(crate) columns: Columns,
    pub(crate) keys: Keys,
}

/// Seed and both intersections.
pub(crate) fn align(
    channel: &mut Channel<'_>,
    run: &Run,
    tables: [&Table; 2],
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Aligned, SessionError> {
    work.psi(Step::Seed, 0, 0);
    let seed = seed::exchange(channel, &run.job, rng)?;
    let binding = run.binding(seed.session);
    let [train, test] = tables;
    let train_ids = train.ids.len();
    let train = align::intersect(channel, &binding, Split::Train, train, rng, |done, total| {
        work.psi(Step::PsiTrain, done, total);
    })?;
    let before = train_ids + train.peer_ids;
    let test = align::intersect(channel, &binding, Split::Test, test, rng, |done, total| {
        work.psi(Step::PsiTest, before + done, before + total);
    })?;
    let sets = RowSets::new(tables[0], [&train, &test], run.parameters.validation);
    Ok(Aligned { binding, rows_seed: seed.rows, train, test, sets })
}

/// Scaling, bounds and admission, then keys.
pub(crate) fn ready(
    channel: &mut Channel<'_>,
    run: &Run,
    aligned: &Aligned,
    tables: [&Table; 2],
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Ready, SessionError> {
    let role = channel.role();
    work.setup(Step::Bounds);
    let prepared = prepare_rows(run, role, tables, &aligned.sets, None)?;
    channel.send_message(Step::Bounds, &prepared.bounds)?;
    let peer = channel.receive_message::<PublicBounds>(Step::Bounds, 64, ())?;
    let plan = plan_of(run, role, aligned.sets.counts(), prepared.bounds, peer)?;
    work.planned(&plan);
    let keys = exchange_keys(channel, aligned, &plan, work, rng)?;
    Ok(Ready::new(role, plan, prepared, keys))
}

/// The own rows of both intersections as numbers, by a transform of an earlier attempt or a new one.
pub(crate) fn prepare_rows(
    run: &Run,
    role: Role,
    [train, test]: [&Table; 2],
    sets: &RowSets,
    transform: Option<Transform>,
) -> Result<Prepared, SessionError> {
    let rows = [&sets.train, &sets.validation, &sets.test].map(Vec::as_slice);
    let prepared = match transform {
        None => prepare(train, test, rows, run.parameters.whiten),
        Some(fitted) => prepare_with(fitted, train, test, rows),
    };
    prepared.map_err(|cause| SessionError::Features { side: role, cause })
}

/// The plan that both sides compute from both sides' bounds.
pub(crate) fn plan_of(
    run: &Run,
    role: Role,
    rows: [usize; 3],
    own: PublicBounds,
    peer: PublicBounds,
) -> Result<Plan, SessionError> {
    let (a, b) = match role {
        Role::FeatureHolder => (own, peer),
        Role::LabelHolder => (peer, own),
    };
    Ok(Plan::new(&run.parameters, rows, a, b)?)
}

impl Ready {
    pub(crate) fn new(role: Role, plan: Plan, prepared: Prepared, keys: Keys) -> Self {
        let columns = Columns::new(&prepared, role == Role::LabelHolder, &plan);
        Self { plan, prepared, columns, keys }
    }
}

/// One fresh key pair each, with a proof of the modulus that is bound to the session; the digest of
/// what both sides computed so far travels with it.
fn exchange_keys(
    channel: &mut Channel<'_>,
    aligned: &Aligned,
    plan: &Plan,
    work: &mut Work<'_>,
    rng: &mut impl CryptoRng,
) -> Result<Keys, SessionError> {
    let step = Step::Keys;
    let bits = plan.modulus_bits;
    // First a cheap agreement on everything computed so far, then the expensive keys.
    let digest = agreed_digest(aligned, plan);
    channel.send(step, digest.to_vec())?;
    if channel.receive_exact(step, digest.len())? != digest {
        return Err(SessionError::Disagreement { what: "plan of the job", step });
    }
    work.setup(step);
    let own = generate_key(channel.role(), bits, rng);
    let tag = |role: Role| aligned.binding.tag(&format!("paillier key of {role}"));
    let proof = ModulusProof::prove(&own, &tag(channel.role()), rng);
    let mut body = own.public().to_bytes();
    body.extend_from_slice(&proof.encode());
    channel.send(step, body)?;
    let modulus_len = bits.bytes();
    let body = channel.receive_exact(step, modulus_len + ModulusProof::encoded_len(bits))?;
    let (modulus, proof) = body.split_at(modulus_len);
    let peer = ModulusProof::decode(bits, proof)
        .and_then(|proof| proof.verify(bits, modulus, &tag(channel.role().peer())))
        .map_err(|e| channel.bad(step, e))?;
    reject_own_key(channel, step, own.public(), &peer)?;
    Keys::new(own, peer, rng).map_err(|e| SessionError::Bug { step, what: e.to_string() })
}

/// The key pair of a job.
#[cfg(not(test))]
fn generate_key(_: Role, bits: ModulusBits, rng: &mut impl CryptoRng) -> SecretKey {
    SecretKey::generate(bits, rng)
}

/// Tests of this crate do not wait for primes; runs of whole nodes do.
#[cfg(test)]
fn generate_key(role: Role, bits: ModulusBits, _: &mut impl CryptoRng) -> SecretKey {
    paillier::fixtures::test_key(bits, role.index())
}

/// A peer that returns our own key would receive what we believe it cannot open.
fn reject_own_key(
    channel: &Channel<'_>,
    step: Step,
    own: &PublicKey,
    peer: &PublicKey,
) -> Result<(), SessionError> {
    if own.to_bytes() == peer.to_bytes() {
        return Err(channel.bad(step, "the peer sent this side's own key"));
    }
    Ok(())
}

fn agreed_digest(aligned: &Aligned, plan: &Plan) -> [u8; 32] {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 agreed inputs");
    h.update(&aligned.train.sha256).update(&aligned.test.sha256).update(&plan.digest());
    *h.finalize().as_bytes()
}

impl Run {
    /// Hash of what both sides agreed to.
    pub(crate) fn parameters_hash(&self) -> [u8; 32] {
        *blake3::hash(&self.parameters.to_bytes()).as_bytes()
    }

    /// The binding of this attempt once the session is known.
    pub(crate) fn binding(&self, session: [u8; 32]) -> Binding {
        Binding {
            session,
            attempt: self.attempt,
            parameters: self.parameters_hash(),
            certificate_a: self.certificate_a,
            certificate_b: self.certificate_b,
        }
    }
}
