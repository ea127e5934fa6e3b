//! The link as the roles use it: errors carry the step, and both directions enter a transcript.

use std::fmt::Display;

use super::{
    error::{Role, SessionError},
    link::Link,
};
use crate::{
    step::Step,
    wire::{DecodeError, Message},
};

/// A [`Link`] that keeps a transcript hash of each direction.
pub(crate) struct Channel<'a> {
    link: &'a mut dyn Link,
    role: Role,
    sent: blake3::Hasher,
    received: blake3::Hasher,
    /// Ciphertexts sent so far.
    pub(crate) ciphertexts_sent: u64,
    /// Ciphertexts received so far.
    pub(crate) ciphertexts_received: u64,
}

impl<'a> Channel<'a> {
    pub(crate) fn new(link: &'a mut dyn Link, role: Role) -> Self {
        let hasher = || blake3::Hasher::new_derive_key("caesar/v1 transcript");
        Self {
            link,
            role,
            sent: hasher(),
            received: hasher(),
            ciphertexts_sent: 0,
            ciphertexts_received: 0,
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn send(&mut self, step: Step, body: Vec<u8>) -> Result<(), SessionError> {
        absorb(&mut self.sent, step, &body);
        self.link.send(step, body).map_err(|cause| SessionError::Link { step, cause })
    }

    /// From here to the next message, this side computes for `step`.
    pub(crate) fn computing(&mut self, step: Step) {
        self.link.computing(step);
    }

    pub(crate) fn send_message(
        &mut self,
        step: Step,
        message: &impl Message,
    ) -> Result<(), SessionError> {
        self.send(step, message.to_bytes())
    }

    pub(crate) fn receive(&mut self, step: Step, max_len: usize) -> Result<Vec<u8>, SessionError> {
        let body =
            self.link.receive(step, max_len).map_err(|cause| SessionError::Link { step, cause })?;
        absorb(&mut self.received, step, &body);
        Ok(body)
    }

    /// Receives a body of a length that the parameters fix.
    pub(crate) fn receive_exact(
        &mut self,
        step: Step,
        len: usize,
    ) -> Result<Vec<u8>, SessionError> {
        let body = self.receive(step, len)?;
        if body.len() == len {
            Ok(body)
        } else {
            Err(self.bad(
                step,
                DecodeError::Length { field: "message", expected: len, found: body.len() },
            ))
        }
    }

    pub(crate) fn receive_message<M: Message>(
        &mut self,
        step: Step,
        max_len: usize,
        params: M::Params<'_>,
    ) -> Result<M, SessionError> {
        let body = self.receive(step, max_len)?;
        M::decode(&body, params).map_err(|e| self.bad(step, e))
    }

    /// The peer's message is not valid.
    pub(crate) fn bad(&self, step: Step, cause: impl Display) -> SessionError {
        SessionError::BadMessage { step, peer: self.role.peer(), cause: format!("{cause}") }
    }

    /// Hashes of what A sent and of what B sent so far, in this order at both sides.
    pub(crate) fn transcripts(&self) -> [[u8; 32]; 2] {
        let own = *self.sent.finalize().as_bytes();
        let peer = *self.received.finalize().as_bytes();
        match self.role {
            Role::FeatureHolder => [own, peer],
            Role::LabelHolder => [peer, own],
        }
    }
}

fn absorb(hasher: &mut blake3::Hasher, step: Step, body: &[u8]) {
    hasher.update(&[step.code()]);
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body);
}
