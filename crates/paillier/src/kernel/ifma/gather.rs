//! Products of many operands into accumulators, with all lanes busy.
//!
//! The pairs are sorted by accumulator and cut into eight runs of equal length, one a lane, as
//! McNaughton (1959) schedules jobs that may be interrupted: whatever the lengths of the accumulators'
//! queues, the number of rounds is ⌈pairs/8⌉. A queue that a cut divides is multiplied up in several
//! pieces, at most seven more than there are accumulators, which a few last products put together.

use zeroize::Zeroizing;

use super::Ifma;
use super::lanes::{Group, LANES, Workspace};

/// Where a lane's value is kept: an accumulator, or the piece that begins a lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Accumulator(usize),
    Piece(usize),
}

/// The values, in words.
struct Values<'a, const K: usize> {
    acc: &'a mut [u64],
    pieces: Zeroizing<Vec<u64>>,
    stored: Zeroizing<Vec<u64>>,
}

impl<const K: usize> Values<'_, K> {
    fn get(&self, home: Home) -> &[u64] {
        let (words, i) = match home {
            Home::Accumulator(i) => (&*self.acc, i),
            Home::Piece(i) => (self.pieces.as_slice(), i),
        };
        &words[i * Ifma::<K>::STRIDE..(i + 1) * Ifma::<K>::STRIDE]
    }

    /// Loads the values of all lanes; those without one get any.
    fn load(&self, kernel: &Ifma<K>, group: &mut Group<K>, homes: &[Option<Home>; LANES]) {
        group.load(
            kernel.cpu,
            homes.map(|home| home.map_or(kernel.one.as_slice(), |home| self.get(home))),
        );
    }

    fn store(&mut self, kernel: &Ifma<K>, group: &Group<K>, homes: &[Option<Home>; LANES]) {
        group.store(kernel.cpu, &mut self.stored);
        for (home, value) in homes.iter().zip(self.stored.chunks_exact(Ifma::<K>::STRIDE)) {
            let (words, i) = match *home {
                Some(Home::Accumulator(i)) => (&mut *self.acc, i),
                Some(Home::Piece(i)) => (self.pieces.as_mut_slice(), i),
                None => continue,
            };
            words[i * Ifma::<K>::STRIDE..(i + 1) * Ifma::<K>::STRIDE].copy_from_slice(value);
        }
    }
}

/// See [`Kernel::multiply_gather`](crate::kernel::Kernel::multiply_gather).
pub(super) fn multiply<const K: usize>(
    kernel: &Ifma<K>,
    acc: &mut [u64],
    operands: &[u64],
    plan: &[(u32, u32)],
) {
    let stride = Ifma::<K>::STRIDE;
    let mut pairs = plan.to_vec();
    pairs.sort_unstable_by_key(|&(i, _)| i);
    let rounds = pairs.len().div_ceil(LANES);
    if rounds == 0 {
        return;
    }
    let mut runs = [&[][..]; LANES];
    for (run, pairs) in runs.iter_mut().zip(pairs.chunks(rounds)) {
        *run = pairs;
    }
    // The accumulator whose queue a lane continues.
    let mut continued = [None; LANES];
    for lane in 1..LANES {
        if let (Some(last), Some(first)) = (runs[lane - 1].last(), runs[lane].first())
            && last.0 == first.0
        {
            continued[lane] = Some(first.0);
        }
    }
    let mut values = Values::<K> {
        acc,
        pieces: Zeroizing::new(kernel.one.repeat(LANES)),
        stored: Zeroizing::new(vec![0; LANES * stride]),
    };
    let mut w = Workspace::new(kernel.cpu);
    let (mut group, mut factor) = (Zeroizing::new(Group::zero()), Zeroizing::new(Group::zero()));
    let mut homes = [None; LANES];
    for round in 0..rounds {
        let next = core::array::from_fn(|lane| {
            let &(i, _) = runs[lane].get(round)?;
            let piece = continued[lane] == Some(i);
            Some(if piece { Home::Piece(lane) } else { Home::Accumulator(i as usize) })
        });
        if next != homes {
            values.store(kernel, &group, &homes);
            values.load(kernel, &mut group, &next);
            homes = next;
        }
        let factors = runs.map(|run| match run.get(round) {
            Some(&(_, j)) => &operands[j as usize * stride..(j as usize + 1) * stride],
            None => kernel.one.as_slice(),
        });
        factor.load(kernel.cpu, factors);
        kernel.modulus.multiply(&mut group, &factor, &mut w);
    }
    values.store(kernel, &group, &homes);

    // Pieces of one accumulator are multiplied two by two until one is left.
    let mut parts: Vec<(usize, Home)> = Vec::new();
    for (lane, continued) in continued.iter().enumerate() {
        if let &Some(i) = continued {
            let i = i as usize;
            if parts.last().is_none_or(|&(last, _)| last != i) {
                parts.push((i, Home::Accumulator(i)));
            }
            parts.push((i, Home::Piece(lane)));
        }
    }
    loop {
        let (mut left, mut right) = ([None; LANES], [None; LANES]);
        let mut rest = Vec::new();
        let mut count = 0;
        for queue in parts.chunk_by(|a, b| a.0 == b.0) {
            for pair in queue.chunks(2) {
                rest.push(pair[0]);
                if let &[(_, a), (_, b)] = pair {
                    (left[count], right[count]) = (Some(a), Some(b));
                    count += 1;
                }
            }
        }
        if count == 0 {
            break;
        }
        values.load(kernel, &mut group, &left);
        values.load(kernel, &mut factor, &right);
        kernel.modulus.multiply(&mut group, &factor, &mut w);
        values.store(kernel, &group, &left);
        parts = rest;
    }
}
