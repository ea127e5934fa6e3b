//! The calls.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use caesar_proto::v1::{self, jobs_client::JobsClient};
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{
    ClientConfig, ConnectionFault, Error, Job, JobId, JobSpec, Refusal, Report, convert,
    tls::Connector,
};

/// A connection to one node. Clones share it; after a fault the next call connects again.
#[derive(Clone)]
pub struct Client {
    jobs: JobsClient<Channel>,
    connector: Connector,
    endpoint: String,
    limit: Duration,
}

impl Client {
    /// Connects and authenticates the node.
    ///
    /// In TLS 1.3 a server judges the client's certificate last. A node that does not list it may
    /// say so only at the first call.
    ///
    /// # Errors
    /// [`Error::Config`] if certificate and key do not belong together, else [`Error::Connection`].
    pub async fn connect(config: ClientConfig) -> Result<Self, Error> {
        let ClientConfig { endpoint, chain, key, pin, call_deadline: limit } = config;
        let connector = Connector::new(&endpoint, chain, key, pin, limit)?;
        // The scheme says "no TLS of tonic's own": the connector brings the pinned one.
        let target = Endpoint::from_shared(format!("http://{endpoint}"))
            .map_err(|_| crate::ConfigError::Endpoint { text: endpoint.clone() })?
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(20));
        let open = connector.clone();
        let service = tower::service_fn(move |_: http::Uri| {
            let open = open.clone();
            async move { open.open().await }
        });
        let channel = target.connect_with_connector(service).await.map_err(|e| {
            let fault = connector.last_fault();
            let fault =
                fault.unwrap_or_else(|| ConnectionFault::Handshake { detail: chain_of(&e) });
            Error::Connection { endpoint: endpoint.clone(), fault }
        })?;
        Ok(Self { jobs: JobsClient::new(channel), connector, endpoint, limit })
    }

    /// Submits a job under a fresh random request id. It is stored when this returns.
    ///
    /// # Errors
    /// As [`Client::submit_as`].
    pub async fn submit(&self, spec: &JobSpec) -> Result<Job, Error> {
        let request_id = hex::encode(rand::random::<[u8; 16]>());
        self.submit_as(&request_id, spec).await
    }

    /// Submits a job under a request id of 1 to 128 characters. Repeating a submission with the
    /// same id and job returns the same job, so it is safe after any fault.
    ///
    /// # Errors
    /// [`Error::Config`] for a job that no node would take, [`Refusal::Conflict`] if the id was used
    /// with another job, [`Refusal::Invalid`], and the connection's own.
    pub async fn submit_as(&self, request_id: &str, spec: &JobSpec) -> Result<Job, Error> {
        const CALL: &str = "submit";
        spec.validate()?;
        let message = v1::SubmitRequest {
            request_id: request_id.to_owned(),
            spec: Some(convert::spec_to_wire(spec)),
        };
        let job = self.call(CALL, message, async |mut jobs, m| jobs.submit(m).await).await?;
        self.job(CALL, job)
    }

    /// A job as it stands now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], and the connection's own.
    pub async fn get(&self, id: &JobId) -> Result<Job, Error> {
        const CALL: &str = "get";
        let message = v1::GetRequest { job_id: id.to_string() };
        let job = self.call(CALL, message, async |mut jobs, m| jobs.get(m).await).await?;
        self.job(CALL, job)
    }

    /// Every job the node knows.
    ///
    /// # Errors
    /// The connection's own.
    pub async fn list(&self) -> Result<Vec<Job>, Error> {
        const CALL: &str = "list";
        let message = v1::ListRequest {};
        let list = self.call(CALL, message, async |mut jobs, m| jobs.list(m).await).await?;
        list.jobs.into_iter().map(|job| self.job(CALL, job)).collect()
    }

    /// The job's state now and after every change, until it has ended.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], and the connection's own.
    pub async fn watch(&self, id: &JobId) -> Result<Watch, Error> {
        let message = v1::WatchRequest { job_id: id.to_string() };
        let updates =
            self.call(Watch::CALL, message, async |mut jobs, m| jobs.watch(m).await).await?;
        let silence = Box::pin(tokio::time::sleep(self.limit));
        Ok(Watch { updates, silence, client: self.clone(), ended: false })
    }

    /// Waits until the job has ended and returns it. A lost connection is made again as long as the
    /// node comes back within the call deadline.
    ///
    /// # Errors
    /// As [`Client::watch`].
    pub async fn wait(&self, id: &JobId) -> Result<Job, Error> {
        self.follow(id, |_| {}).await
    }

    /// As [`Client::wait`], and shows every update to `observe`.
    ///
    /// # Errors
    /// As [`Client::watch`].
    pub async fn follow(&self, id: &JobId, mut observe: impl FnMut(&Job)) -> Result<Job, Error> {
        const PAUSE: Duration = Duration::from_secs(1);
        let mut alive = Instant::now();
        loop {
            let error = match self.follow_once(id, &mut alive, &mut observe).await {
                Ok(job) => return Ok(job),
                Err(error) => error,
            };
            let passing = matches!(
                error,
                Error::Connection {
                    fault: ConnectionFault::Lost { .. } | ConnectionFault::Unreachable { .. },
                    ..
                }
            );
            if !passing || alive.elapsed() >= self.limit {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn follow_once(
        &self,
        id: &JobId,
        alive: &mut Instant,
        observe: &mut impl FnMut(&Job),
    ) -> Result<Job, Error> {
        let mut updates = self.watch(id).await?;
        loop {
            let Some(job) = updates.next().await? else {
                return Err(self.answer(Watch::CALL, "the stream ended before the job"));
            };
            *alive = Instant::now();
            observe(&job);
            if job.state.has_ended() {
                return Ok(job);
            }
        }
    }

    /// Ends a job at both nodes. An ended job stays as it is.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], and the connection's own.
    pub async fn cancel(&self, id: &JobId) -> Result<Job, Error> {
        const CALL: &str = "cancel";
        let message = v1::CancelRequest { job_id: id.to_string() };
        let job = self.call(CALL, message, async |mut jobs, m| jobs.cancel(m).await).await?;
        self.job(CALL, job)
    }

    /// The report of a job that has succeeded. Only B's node has one.
    ///
    /// # Errors
    /// [`Refusal::NotReady`], [`Refusal::NotFound`], and the connection's own.
    pub async fn result(&self, id: &JobId) -> Result<Report, Error> {
        const CALL: &str = "result";
        let message = v1::ResultRequest { job_id: id.to_string() };
        let report = self.call(CALL, message, async |mut jobs, m| jobs.result(m).await).await?;
        convert::report_from_wire(report).map_err(|detail| self.answer(CALL, detail))
    }

    /// One call within the deadline. The node is told a little later one, so that it gives up after
    /// us and every deadline shows as ours.
    async fn call<M, R, F>(
        &self,
        call: &'static str,
        message: M,
        run: impl FnOnce(JobsClient<Channel>, Request<M>) -> F,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut request = Request::new(message);
        // A stream outlives the deadline of its opening.
        if call != Watch::CALL {
            request.set_timeout(self.limit + Duration::from_secs(1));
        }
        match tokio::time::timeout(self.limit, run(self.jobs.clone(), request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.refused(call, &status)),
            Err(_) => Err(self.deadline(call)),
        }
    }

    fn job(&self, call: &'static str, job: v1::Job) -> Result<Job, Error> {
        convert::job_from_wire(job).map_err(|detail| self.answer(call, detail))
    }

    fn answer(&self, call: &'static str, detail: &str) -> Error {
        Error::Answer { call, detail: detail.to_owned() }
    }

    fn deadline(&self, call: &'static str) -> Error {
        Error::Deadline { endpoint: self.endpoint.clone(), call, limit: self.limit }
    }

    /// Tells a fault of the connection from a refusal by the node. A status that came over the wire
    /// has no source; one that tonic made up for a transport error has.
    fn refused(&self, call: &'static str, status: &Status) -> Error {
        use std::error::Error as _;
        let refusal = match status.code() {
            _ if status.source().is_some() => None,
            Code::Unavailable => None,
            Code::DeadlineExceeded => return self.deadline(call),
            Code::NotFound => Some(Refusal::NotFound),
            Code::AlreadyExists => Some(Refusal::Conflict),
            Code::FailedPrecondition => Some(Refusal::NotReady),
            Code::PermissionDenied | Code::Unauthenticated => Some(Refusal::PermissionDenied),
            Code::InvalidArgument | Code::OutOfRange => Some(Refusal::Invalid),
            Code::ResourceExhausted => Some(Refusal::Busy),
            Code::Unimplemented => {
                return self.answer(call, "the node does not know this call");
            }
            _ if self.connector.last_fault().is_some() => None,
            _ => Some(Refusal::Internal),
        };
        match refusal {
            Some(refusal) => {
                let (message, told) = convert::refusal_from_wire(status);
                Error::Refused { call, refusal, message, told: told.map(Box::new) }
            }
            None => {
                let fault = self.connector.last_fault();
                let fault = fault.unwrap_or_else(|| ConnectionFault::Lost {
                    detail: status.message().to_owned(),
                });
                Error::Connection { endpoint: self.endpoint.clone(), fault }
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Updates of one job. As a [`Stream`] or by [`Watch::next`]; it ends after the first update with a
/// final state. A node that says nothing for the call deadline is an error.
pub struct Watch {
    updates: Streaming<v1::Job>,
    silence: Pin<Box<Sleep>>,
    client: Client,
    ended: bool,
}

impl Watch {
    const CALL: &'static str = "watch";

    /// The next update, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Connection`] or [`Error::Deadline`]; the job goes on at the node.
    pub async fn next(&mut self) -> Result<Option<Job>, Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    fn settle(&mut self, update: Option<Result<v1::Job, Status>>) -> Result<Job, Error> {
        let job = match update {
            Some(Ok(job)) => self.client.job(Self::CALL, job)?,
            Some(Err(status)) => return Err(self.client.refused(Self::CALL, &status)),
            None => return Err(self.client.answer(Self::CALL, "the stream ended before the job")),
        };
        let deadline = Instant::now() + self.client.limit;
        self.silence.as_mut().reset(deadline);
        Ok(job)
    }
}

impl Stream for Watch {
    type Item = Result<Job, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let item = match Pin::new(&mut this.updates).poll_next(cx) {
            Poll::Ready(update) => this.settle(update),
            Poll::Pending => {
                ready!(this.silence.as_mut().poll(cx));
                Err(this.client.deadline(Self::CALL))
            }
        };
        this.ended = item.as_ref().map_or(true, |job| job.state.has_ended());
        Poll::Ready(Some(item))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("ended", &self.ended).finish_non_exhaustive()
    }
}
