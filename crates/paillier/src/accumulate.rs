//! Products that start empty: the first factor is copied, later ones are multiplied in.

use zeroize::Zeroizing;

use crate::kernel::Kernel;

/// Accumulators in a kernel's form, none of which has a factor at first. Which ones have is known
/// from the caller's plan and no secret of this crate.
pub(crate) struct Accumulators<'a> {
    kernel: &'a dyn Kernel,
    words: Zeroizing<Vec<u64>>,
    occupied: Vec<bool>,
}

impl<'a> Accumulators<'a> {
    pub(crate) fn new(kernel: &'a dyn Kernel, count: usize) -> Self {
        Self {
            kernel,
            words: Zeroizing::new(vec![0; count * kernel.stride()]),
            occupied: vec![false; count],
        }
    }

    pub(crate) fn is_occupied(&self, i: usize) -> bool {
        self.occupied[i]
    }

    /// The words of all accumulators; those of empty ones mean nothing.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Multiplies operand j into accumulator i for every pair (i, j).
    pub(crate) fn multiply(&mut self, operands: &[u64], pairs: &[(u32, u32)]) {
        let plan =
            place_first(self.kernel.stride(), &mut self.words, &mut self.occupied, operands, pairs);
        self.kernel.multiply_gather(&mut self.words, operands, &plan);
    }

    /// Squares every accumulator `times` times; empty ones stay empty. Runs of occupied ones go to the
    /// kernel together.
    pub(crate) fn square(&mut self, times: usize) {
        let stride = self.kernel.stride();
        let mut rest = self.words.as_mut_slice();
        for run in self.occupied.chunk_by(|a, b| a == b) {
            let (head, tail) = rest.split_at_mut(run.len() * stride);
            if run[0] {
                self.kernel.square(head, times);
            }
            rest = tail;
        }
    }

    /// The products, 1 where nothing was multiplied in.
    pub(crate) fn finish(mut self) -> Zeroizing<Vec<u64>> {
        let stride = self.kernel.stride();
        for (i, &occupied) in self.occupied.iter().enumerate() {
            if !occupied {
                self.words[i * stride..(i + 1) * stride].copy_from_slice(self.kernel.one());
            }
        }
        self.words
    }
}

/// Copies the first operand of every empty accumulator and returns the pairs that are left.
pub(crate) fn place_first(
    stride: usize,
    words: &mut [u64],
    occupied: &mut [bool],
    operands: &[u64],
    pairs: &[(u32, u32)],
) -> Vec<(u32, u32)> {
    let mut plan = Vec::with_capacity(pairs.len());
    for &(i, j) in pairs {
        let (acc, operand) = (i as usize, j as usize);
        if occupied[acc] {
            plan.push((i, j));
        } else {
            occupied[acc] = true;
            words[acc * stride..(acc + 1) * stride]
                .copy_from_slice(&operands[operand * stride..(operand + 1) * stride]);
        }
    }
    plan
}
