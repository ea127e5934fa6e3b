//! The set-up of a job on disk: what alignment agreed on, and the keys.
//!
//! Record 0 is the header, the others are the own rows of the training and then of the test
//! intersection. The only secret in it is this party's key; the file is for this party alone.

use paillier::{ModulusBits, PublicKey, SecretKey};
use zeroize::Zeroizing;

use super::{RECORD_BYTES, store::Store};
use crate::{
    binding::PROTOCOL_VERSION,
    features::Transform,
    matrix::{Features, Table},
    plan::{Plan, PublicBounds},
    psi::Intersection,
    session::{
        Run,
        error::{Role, SessionError, Split},
        row_sets::RowSets,
        setup::{Aligned, Ready},
        vault::RecordFile,
    },
    wire::{DecodeError, Message, Reader, Writer},
};

/// Rows a record, four bytes each.
const ROWS: usize = RECORD_BYTES / 4;
/// Bytes of an encoded [`PublicBounds`].
const BOUNDS_BYTES: usize = 8;

/// A set-up as it was read back.
pub(crate) struct StoredSetup {
    pub(crate) session: [u8; 32],
    pub(crate) rows_seed: [u8; 32],
    pub(crate) train: Intersection,
    pub(crate) test: Intersection,
    pub(crate) peer_bounds: PublicBounds,
    pub(crate) own: SecretKey,
    pub(crate) peer: PublicKey,
    /// What made the rows of a typed table.
    pub(crate) transform: Option<Transform>,
    plan: [u8; 32],
    inputs: Inputs,
}

/// What must be the same again when a job goes on.
#[derive(Debug, PartialEq, Eq)]
struct Inputs {
    version: u32,
    parameters: [u8; 32],
    options: [u8; 32],
    certificates: [[u8; 32]; 2],
    tables: [[u8; 32]; 2],
}

impl Inputs {
    fn of(run: &Run, tables: [&Table; 2]) -> Self {
        Self {
            version: PROTOCOL_VERSION,
            parameters: run.parameters_hash(),
            options: run.options.digest(),
            certificates: [run.certificate_a, run.certificate_b],
            tables: tables.map(table_digest),
        }
    }
}

/// Hash of what **both** sides know of a set-up; equal exactly if they can go on together. Public to
/// both.
pub(crate) fn digest(
    role: Role,
    session: &[u8; 32],
    rows_seed: &[u8; 32],
    intersections: [&Intersection; 2],
    plan: &[u8; 32],
    [own, peer]: [&PublicKey; 2],
) -> [u8; 32] {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 set-up");
    h.update(session).update(rows_seed);
    h.update(&intersections[0].sha256).update(&intersections[1].sha256).update(plan);
    let (a, b) = match role {
        Role::FeatureHolder => (own, peer),
        Role::LabelHolder => (peer, own),
    };
    h.update(&a.to_bytes()).update(&b.to_bytes());
    *h.finalize().as_bytes()
}

/// Writes the set-up of a fresh run and returns its [`digest`].
pub(crate) fn write(
    store: &mut Store<'_>,
    run: &Run,
    aligned: &Aligned,
    ready: &Ready,
    tables: [&Table; 2],
) -> Result<[u8; 32], SessionError> {
    let Ready { plan, keys, .. } = ready;
    let role = store.role();
    let inputs = Inputs::of(run, tables);
    let bits = plan.modulus_bits;
    // With room for everything, so that no unwiped copy of the key is left behind.
    let mut out = Writer::with_capacity(1024 + 2 * bits.bytes());
    out.u32(inputs.version);
    out.u32(bits.bits());
    out.bytes(&inputs.parameters);
    out.bytes(&inputs.options);
    inputs.certificates.iter().chain(&inputs.tables).for_each(|hash| out.bytes(hash));
    out.bytes(&aligned.binding.session);
    out.bytes(&aligned.rows_seed);
    out.bytes(&plan.digest());
    plan.bounds[role.peer().index()].encode(&mut out);
    for split in [&aligned.train, &aligned.test] {
        out.u32(split.peer_ids as u32);
        out.u32(split.rows.len() as u32);
        out.bytes(&split.sha256);
    }
    out.bytes(&keys.own.to_secret_bytes());
    out.bytes(&keys.peer.to_bytes());
    let header = Zeroizing::new(out.into_bytes());
    let rows = [&aligned.train, &aligned.test].into_iter().flat_map(|split| {
        split.rows.chunks(ROWS).map(|rows| {
            Zeroizing::new(rows.iter().flat_map(|&row| (row as u32).to_le_bytes()).collect())
        })
    });
    // The set-up is the last to be written: with it everything that it stands for is there.
    if let Some(transform) = &ready.prepared.transform {
        let bytes = Zeroizing::new(transform.to_bytes());
        let mut records = bytes.chunks(RECORD_BYTES).map(|part| Zeroizing::new(part.to_vec()));
        store.write(RecordFile::Transform, &mut records)?;
    }
    store.write(RecordFile::Setup, &mut std::iter::once(header).chain(rows))?;
    Ok(digest(
        role,
        &aligned.binding.session,
        &aligned.rows_seed,
        [&aligned.train, &aligned.test],
        &plan.digest(),
        [keys.own.public(), &keys.peer],
    ))
}

impl StoredSetup {
    /// The stored set-up, if there is one.
    ///
    /// # Errors
    /// [`SessionError::Checkpoint`] if it cannot be read or is corrupt: without its key nothing of the job
    /// is of use.
    pub(crate) fn read(store: &mut Store<'_>) -> Result<Option<Self>, SessionError> {
        let file = RecordFile::Setup;
        if !store.list()?.contains(&file) {
            return Ok(None);
        }
        let mut header: Option<(Self, [usize; 2])> = None;
        let whole = store.read(file, |record| match &mut header {
            None => {
                header = Some(decode_header(record)?);
                Ok(())
            }
            Some((setup, counts)) => {
                let full = setup.train.rows.len() == counts[0];
                let (split, count) = match full {
                    false => (&mut setup.train, counts[0]),
                    true => (&mut setup.test, counts[1]),
                };
                let (rows, rest) = record.as_chunks::<4>();
                if !rest.is_empty() || rows.len() > count - split.rows.len() {
                    return Err(DecodeError::OutOfRange { field: "rows" });
                }
                split.rows.extend(rows.iter().map(|row| u32::from_le_bytes(*row) as usize));
                Ok(())
            }
        })?;
        match header {
            Some((setup, counts))
                if whole && [&setup.train, &setup.test].map(|s| s.rows.len()) == counts =>
            {
                Ok(Some(Self { transform: read_transform(store)?, ..setup }))
            }
            _ => Err(store.corrupt(file)),
        }
    }

    /// Whether the job may go on with these inputs.
    ///
    /// # Errors
    /// [`SessionError::InputsChanged`], [`SessionError::TableChanged`].
    pub(crate) fn check_inputs(
        &self,
        role: Role,
        run: &Run,
        tables: [&Table; 2],
    ) -> Result<(), SessionError> {
        let inputs = Inputs::of(run, tables);
        let changed = |what| Err(SessionError::InputsChanged { side: role, what });
        if self.inputs.version != inputs.version {
            return changed("version of the protocol");
        }
        let asked = |inputs: &Inputs| (inputs.parameters, inputs.options);
        if asked(&self.inputs) != asked(&inputs) {
            return changed("parameters of the job");
        }
        if self.inputs.certificates != inputs.certificates {
            return changed("nodes' certificates");
        }
        for (i, split) in [Split::Train, Split::Test].into_iter().enumerate() {
            let rows = [&self.train, &self.test][i].rows.iter();
            let fits = rows.max().is_none_or(|&row| row < tables[i].ids.len());
            if self.inputs.tables[i] != inputs.tables[i] || !fits {
                return Err(SessionError::TableChanged { side: role, split });
            }
        }
        Ok(())
    }

    /// Whether what follows from the inputs is what it was.
    ///
    /// # Errors
    /// [`SessionError::InputsChanged`]: another version of the software computes another plan.
    pub(crate) fn check_plan(&self, role: Role, plan: &Plan) -> Result<(), SessionError> {
        if self.plan == plan.digest() {
            return Ok(());
        }
        Err(SessionError::InputsChanged { side: role, what: "plan that follows from its data" })
    }

    /// What the rows are used for.
    pub(crate) fn sets(&self, run: &Run, tables: [&Table; 2]) -> RowSets {
        RowSets::new(tables[0], [&self.train, &self.test], run.parameters.validation)
    }

    /// See [`digest`].
    pub(crate) fn digest(&self, role: Role) -> [u8; 32] {
        digest(
            role,
            &self.session,
            &self.rows_seed,
            [&self.train, &self.test],
            &self.plan,
            [self.own.public(), &self.peer],
        )
    }
}

/// What made the rows of a typed table; `None` if there is no such file.
fn read_transform(store: &mut Store<'_>) -> Result<Option<Transform>, SessionError> {
    let file = RecordFile::Transform;
    if !store.list()?.contains(&file) {
        return Ok(None);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let whole = store.read(file, |record| {
        bytes.extend_from_slice(record);
        Ok(())
    })?;
    match Transform::decode(&bytes, ()) {
        Ok(transform) if whole => Ok(Some(transform)),
        _ => Err(store.corrupt(file)),
    }
}

/// The set-up without its rows, and how many rows each intersection has.
fn decode_header(record: &[u8]) -> Result<(StoredSetup, [usize; 2]), DecodeError> {
    let range = |field| DecodeError::OutOfRange { field };
    let mut r = Reader::new(record);
    let version = r.u32("version")?;
    let bits = ModulusBits::from_bits(r.u32("modulus_bits")?).ok_or(range("modulus_bits"))?;
    let inputs = Inputs {
        version,
        parameters: r.array("parameters")?,
        options: r.array("options")?,
        certificates: [r.array("certificate")?, r.array("certificate")?],
        tables: [r.array("table")?, r.array("table")?],
    };
    let session = r.array("session")?;
    let rows_seed = r.array("seed")?;
    let plan = r.array("plan")?;
    let peer_bounds = PublicBounds::decode(r.bytes(BOUNDS_BYTES, "bounds")?, ())?;
    let mut counts = [0; 2];
    let mut split = |count: &mut usize| {
        let peer_ids = r.u32("set size")? as usize;
        *count = r.u32("rows")? as usize;
        Ok(Intersection { rows: Vec::new(), peer_ids, sha256: r.array("ids")? })
    };
    let [train, test] = [split(&mut counts[0])?, split(&mut counts[1])?];
    let own = SecretKey::from_secret_bytes(bits, r.bytes(bits.bytes(), "secret key")?)
        .map_err(|_| range("secret key"))?;
    let peer = PublicKey::from_stored_bytes(bits, r.bytes(bits.bytes(), "public key")?)
        .map_err(|_| range("public key"))?;
    r.finish()?;
    Ok((
        StoredSetup {
            session,
            rows_seed,
            train,
            test,
            peer_bounds,
            own,
            peer,
            transform: None,
            plan,
            inputs,
        },
        counts,
    ))
}

/// Hash of ids, values, labels and weights as they were read.
fn table_digest(table: &Table) -> [u8; 32] {
    let mut h = blake3::Hasher::new_derive_key("caesar/v1 table");
    let text = |h: &mut blake3::Hasher, texts: &[String]| {
        h.update(&(texts.len() as u64).to_le_bytes());
        for text in texts {
            h.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
    };
    let reals = |h: &mut blake3::Hasher, values: &[f64]| {
        h.update(&(values.len() as u64).to_le_bytes());
        for value in values {
            h.update(&value.to_bits().to_le_bytes());
        }
    };
    text(&mut h, &table.ids);
    match &table.features {
        Features::Typed(columns) => {
            h.update(&[0]);
            h.update(&(columns.len() as u64).to_le_bytes());
            columns.iter().for_each(|column| column.hash_into(&mut h));
        }
        Features::Sparse { columns, indptr, indices, values } => {
            h.update(&[1]);
            h.update(&(*columns as u64).to_le_bytes());
            for &end in indptr {
                h.update(&(end as u64).to_le_bytes());
            }
            for index in indices {
                h.update(&index.to_le_bytes());
            }
            reals(&mut h, values);
        }
    }
    match &table.labels {
        None => h.update(&[0]),
        Some(labels) => {
            let labels: Vec<u8> = labels.iter().map(|&label| u8::from(label)).collect();
            h.update(&[1]).update(&labels)
        }
    };
    match &table.weights {
        None => {
            h.update(&[0]);
        }
        Some(weights) => {
            h.update(&[1]);
            reals(&mut h, weights);
        }
    }
    *h.finalize().as_bytes()
}
