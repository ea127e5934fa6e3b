//! `caesar.v1.Jobs`.

use std::{pin::Pin, sync::Arc, time::Duration};

use caesar_proto::v1::{
    CancelRequest, GetRequest, Job, JobResult, JobState, ListRequest, ListResponse, ResultRequest,
    SubmitRequest, WatchRequest, jobs_server::Jobs,
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use crate::{
    error::{Failure, Side, code},
    job::{JobId, Manager},
    wire,
};

/// Time between two messages of a watch when nothing changes.
const TICK: Duration = Duration::from_millis(500);

/// The job API over the manager. The interceptor in front of it has checked the caller's role.
#[derive(Debug)]
pub(super) struct JobsService {
    pub(super) manager: Arc<Manager>,
}

fn job_id(text: &str) -> Result<JobId, Status> {
    text.parse().map_err(|_| {
        wire::status(&Failure::new(
            code::JOB_UNKNOWN,
            Side::Client,
            "a job id has 32 hexadecimal digits",
            "list the jobs of this node",
        ))
    })
}

fn answer<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|failure| wire::status(&failure))
}

#[tonic::async_trait]
impl Jobs for JobsService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Job, Status>> + Send>>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<Job>, Status> {
        let SubmitRequest { request_id, spec } = request.into_inner();
        answer(self.manager.submit(request_id, spec.unwrap_or_default()).await)
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Job>, Status> {
        answer(self.manager.get(job_id(&request.get_ref().job_id)?).await)
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        answer(self.manager.list().await.map(|jobs| ListResponse { jobs }))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let id = job_id(&request.get_ref().job_id)?;
        // Found now, so that an unknown id is the call's own error.
        let first = self.manager.get(id).await.map_err(|f| wire::status(&f))?;
        let (tx, rx) = mpsc::channel(4);
        tokio::spawn(watch(self.manager.clone(), id, first, tx));
        Ok(Response::new(Box::pin(ReceiverStream::new(rx))))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<Job>, Status> {
        answer(self.manager.cancel(job_id(&request.get_ref().job_id)?).await)
    }

    async fn result(&self, request: Request<ResultRequest>) -> Result<Response<JobResult>, Status> {
        answer(self.manager.result(job_id(&request.get_ref().job_id)?).await)
    }
}

/// Sends the job after every change and at every tick, until it has ended or nobody listens.
async fn watch(
    manager: Arc<Manager>,
    id: JobId,
    first: Job,
    out: mpsc::Sender<Result<Job, Status>>,
) {
    let mut changes = manager.changes();
    let stopped = manager.stopped();
    let mut job = Ok(first);
    loop {
        let ended = job.as_ref().map_or(true, has_ended);
        if out.send(job).await.is_err() || ended {
            return;
        }
        tokio::select! {
            () = out.closed() => return,
            () = stopped.cancelled() => {
                // The last word before the node goes: its jobs have just been ended.
                let last = match manager.get(id).await {
                    Ok(job) if has_ended(&job) => Ok(job),
                    _ => Err(Status::unavailable("the node is stopping")),
                };
                let _ = out.send(last).await;
                return;
            }
            _ = changes.changed() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        job = manager.get(id).await.map_err(|failure| wire::status(&failure));
    }
}

fn has_ended(job: &Job) -> bool {
    matches!(job.state(), JobState::Succeeded | JobState::Failed | JobState::Cancelled)
}
