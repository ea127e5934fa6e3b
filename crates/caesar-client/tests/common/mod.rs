//! A node in this process: real TLS and gRPC, answers that the test chooses.
// Each test program uses a part.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{io::ErrorKind, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use caesar_client::{ClientConfig, DataSets, JobSpec};
use caesar_proto::v1::{
    self,
    jobs_server::{Jobs, JobsServer},
};
use rcgen::{CertifiedKey, KeyPair};
use rustls::{
    RootCertStore,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, transport::Server};

/// A fresh self-signed certificate with its key.
pub fn identity() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["node".to_owned()]).unwrap()
}

/// A client with `client`'s identity that expects `server`'s certificate.
pub fn config(
    address: SocketAddr,
    client: &CertifiedKey<KeyPair>,
    server: &CertifiedKey<KeyPair>,
) -> ClientConfig {
    let (certificate, key) = (client.cert.pem(), client.signing_key.serialize_pem());
    let pinned = server.cert.pem();
    let endpoint = address.to_string();
    ClientConfig::from_pem(&endpoint, certificate.as_bytes(), key.as_bytes(), pinned.as_bytes())
        .unwrap()
        .with_call_deadline(Duration::from_secs(3))
}

/// `client.toml` and its files in `folder`.
pub fn write_config(
    folder: &Path,
    address: SocketAddr,
    client: &CertifiedKey<KeyPair>,
    server: &CertifiedKey<KeyPair>,
) {
    std::fs::write(folder.join("c.pem"), client.cert.pem()).unwrap();
    std::fs::write(folder.join("k.pem"), client.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("s.pem"), server.cert.pem()).unwrap();
    let text = format!(
        "endpoint = \"{address}\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
         server_certificate = \"s.pem\"\n"
    );
    std::fs::write(folder.join("client.toml"), text).unwrap();
}

pub fn spec(name: &str) -> JobSpec {
    let mut spec = JobSpec::new(DataSets {
        train_a: "ta".to_owned(),
        test_a: "sa".to_owned(),
        train_b: "tb".to_owned(),
        test_b: "sb".to_owned(),
        ..DataSets::default()
    });
    spec.name = name.to_owned();
    spec
}

/// Shows one certificate with a key of the test's choice, even one that is not its own.
#[derive(Debug)]
struct Shows(Arc<sign::CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A node that shows `shown`'s certificate, signs with `signer`'s key, and accepts only `client`.
/// It has a runtime of its own, so that dropping it closes its connections as the end of a process
/// does.
pub struct FakeNode {
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl FakeNode {
    pub async fn start(
        shown: &CertifiedKey<KeyPair>,
        signer: &CertifiedKey<KeyPair>,
        client: &CertifiedKey<KeyPair>,
    ) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), shown, signer, client, Scripted::default())
            .await
    }

    pub async fn start_at(
        address: SocketAddr,
        shown: &CertifiedKey<KeyPair>,
        signer: &CertifiedKey<KeyPair>,
        client: &CertifiedKey<KeyPair>,
        script: Scripted,
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(client.cert.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signer.signing_key.serialize_der()));
        let key = ring::sign::any_supported_type(&key).unwrap();
        let shows = Shows(Arc::new(sign::CertifiedKey::new(vec![shown.cert.der().clone()], key)));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(shows));
        tls.alpn_protocols = vec![b"h2".to_vec()];
        tls.send_tls13_tickets = 0;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));

        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        // A node that was just dropped may still hold the address for a moment.
        let bound = runtime.spawn(async move {
            let mut tries = 0;
            loop {
                match TcpListener::bind(address).await {
                    Err(e) if e.kind() == ErrorKind::AddrInUse && tries < 100 => tries += 1,
                    bound => return bound,
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let listener = bound.await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = TcpListenerStream::new(listener)
            .then(move |tcp| {
                let acceptor = acceptor.clone();
                async move { acceptor.accept(tcp?).await }
            })
            .filter(Result::is_ok);
        let serve = Server::builder().add_service(JobsServer::new(script));
        runtime.spawn(async move { serve.serve_with_incoming(incoming).await.unwrap() });
        Self { address, runtime: Some(runtime) }
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers by job id. A `stuck` job ends only after a restart.
#[derive(Default)]
pub struct Scripted {
    pub restarted: bool,
}

pub fn wire_job(id: &str, spec: Option<v1::JobSpec>, state: v1::JobState) -> v1::Job {
    let failure = (state == v1::JobState::Failed).then(|| v1::Failure {
        code: "peer.lost".to_owned(),
        message: "A stopped answering".to_owned(),
        side: "A".to_owned(),
        hint: "start A's node again".to_owned(),
        step: "forward".to_owned(),
    });
    v1::Job {
        job_id: id.to_owned(),
        spec: Some(spec.unwrap_or_default()),
        state: state.into(),
        failure,
        submitted_unix_ms: 1,
        ..v1::Job::default()
    }
}

fn state_of(id: &str) -> Result<v1::JobState, Status> {
    match id {
        "good" | "stuck" => Ok(v1::JobState::Succeeded),
        "bad" => Ok(v1::JobState::Failed),
        "running" => Ok(v1::JobState::Running),
        "secret" => Err(Status::permission_denied("not for this certificate")),
        "broken" => Err(Status::internal("a defect")),
        "newer" => Err(Status::unimplemented("what?")),
        _ => Err(Status::not_found("no such job")),
    }
}

#[tonic::async_trait]
impl Jobs for Scripted {
    async fn submit(&self, r: Request<v1::SubmitRequest>) -> Result<Response<v1::Job>, Status> {
        let v1::SubmitRequest { request_id, spec } = r.into_inner();
        if request_id == "used" {
            return Err(Status::already_exists("another job has this request id"));
        }
        Ok(Response::new(wire_job("good", spec, v1::JobState::Queued)))
    }

    async fn get(&self, r: Request<v1::GetRequest>) -> Result<Response<v1::Job>, Status> {
        let id = r.into_inner().job_id;
        if id == "slow" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Ok(Response::new(wire_job(&id, None, state_of(&id)?)))
    }

    async fn list(
        &self,
        _: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let jobs = vec![
            wire_job("good", None, v1::JobState::Succeeded),
            wire_job("bad", None, v1::JobState::Failed),
        ];
        Ok(Response::new(v1::ListResponse { jobs }))
    }

    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<v1::Job, Status>> + Send>>;

    async fn watch(
        &self,
        r: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let id = r.into_inner().job_id;
        let last = Ok(wire_job(&id, None, state_of(&id)?));
        let first = Ok(wire_job(&id, None, v1::JobState::Running));
        let updates = tokio_stream::iter([first, last]);
        if id == "stuck" && !self.restarted {
            return Ok(Response::new(Box::pin(updates.take(1).chain(tokio_stream::pending()))));
        }
        Ok(Response::new(Box::pin(updates)))
    }

    async fn cancel(&self, r: Request<v1::CancelRequest>) -> Result<Response<v1::Job>, Status> {
        Ok(Response::new(wire_job(&r.into_inner().job_id, None, v1::JobState::Cancelled)))
    }

    async fn result(
        &self,
        r: Request<v1::ResultRequest>,
    ) -> Result<Response<v1::JobResult>, Status> {
        let job_id = r.into_inner().job_id;
        if state_of(&job_id)? != v1::JobState::Succeeded {
            return Err(Status::failed_precondition("the job has no result"));
        }
        Ok(Response::new(v1::JobResult {
            job_id,
            intersection_sha256_train: "a".repeat(64),
            intersection_sha256_test: "b".repeat(64),
            ks_joint: 0.5,
            rows_a: 7,
            profile: vec![
                v1::PartyProfile {
                    party: "A".to_owned(),
                    product_seconds: 2e-6,
                    steps: vec![v1::StepProfile {
                        step: "error-ole".to_owned(),
                        compute_seconds: 1.5,
                        wait_seconds: 3.25,
                        link_seconds: 0.5,
                        messages_sent: 1,
                        messages_received: 2,
                        bytes_sent: 3,
                        bytes_received: 4,
                        predicted_seconds: None,
                    }],
                },
                v1::PartyProfile { party: "B".to_owned(), ..v1::PartyProfile::default() },
            ],
            evaluation: Some(evaluation()),
            ..v1::JobResult::default()
        }))
    }
}

/// Of 200 rows with two groups; every figure another number.
fn evaluation() -> v1::Evaluation {
    let estimate = |value| Some(v1::Estimate { value, low: value - 0.05, high: value + 0.05 });
    let bin = |decile, rows, positives, low| v1::ScoreBin {
        decile,
        rows,
        positives,
        low,
        mean_score: low.unwrap_or(-2.0) + 0.25,
        mean_probability: 0.375,
    };
    let model = |ks: f64| v1::ModelEvaluation {
        ks: estimate(ks),
        auc: estimate(ks + 0.3),
        average_precision: ks + 0.01,
        f1: ks + 0.02,
        brier: 0.1375,
        log_loss: 0.4125,
        calibration_error: Some(0.0375),
        at_ks: Some(v1::OperatingPoint {
            target: ks,
            threshold: Some(0.75),
            precision: 0.7,
            recall: 0.875,
            share: 0.25,
        }),
        bins: vec![bin(1, 50, 35, Some(0.75)), bin(4, 150, 5, None)],
        ..v1::ModelEvaluation::default()
    };
    v1::Evaluation {
        rows: 200,
        positives: Some(40),
        joint: Some(model(0.5)),
        bank_only: Some(model(0.25)),
        ks_gain: estimate(0.25),
        auc_gain: estimate(0.125),
        stability: Some(v1::Stability { psi: 0.0625, bins: vec![] }),
        resamples: 1000,
        confidence: 0.95,
        min_bin_rows: 10,
        min_bin_class_rows: 5,
    }
}
