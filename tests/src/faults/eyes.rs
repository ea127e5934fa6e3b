//! Looks at a job through both nodes, whatever state they are in.

use std::{path::PathBuf, time::Duration};

use caesar_client::{Client, ClientConfig, Error, Job, JobId, Refusal};
use tokio::time::timeout;

use crate::{Pair, Party};

/// Longest wait for one answer. A node that needs longer counts as away for the moment.
const CALL: Duration = Duration::from_secs(2);

/// What a node says.
#[derive(Debug)]
pub(super) enum Sight {
    /// It knows the job.
    Job(Box<Job>),
    /// It does not know the job (yet).
    Unknown,
    /// It does not answer.
    Away,
}

#[derive(Debug)]
pub(super) struct Eyes {
    files: [PathBuf; 2],
    clients: [Option<Client>; 2],
}

impl Eyes {
    pub(super) fn on(pair: &Pair) -> Self {
        let files = [Party::A, Party::B].map(|party| pair.client_file(party));
        Self { files, clients: [None, None] }
    }

    /// A connection to a node, which is made if there is none.
    pub(super) async fn client(&mut self, party: Party) -> Option<Client> {
        let index = party as usize;
        if self.clients[index].is_none() {
            // A node that was started again has another port; its file names it.
            let config = ClientConfig::from_file(&self.files[index]).ok()?;
            let connected = Client::connect(config.with_call_deadline(CALL));
            self.clients[index] = timeout(CALL, connected).await.ok()?.ok();
        }
        self.clients[index].clone()
    }

    /// What the node says about a job. The next look makes a new connection if this one failed.
    pub(super) async fn look(&mut self, party: Party, id: &JobId) -> Sight {
        let Some(client) = self.client(party).await else { return Sight::Away };
        match client.get(id).await {
            Ok(job) => Sight::Job(Box::new(job)),
            Err(Error::Refused { refusal: Refusal::NotFound, .. }) => Sight::Unknown,
            Err(_) => {
                self.clients[party as usize] = None;
                Sight::Away
            }
        }
    }
}
