//! The SPIFFE Workload API (SPIFFE_Workload_API.md §5-§6) over the authority. Every unary call and every rotation attests
//! the caller anew; a fence ends its streams with PermissionDenied.

mod claims;
mod follower;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_proto::workload as api;
use bailiwick_proto::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use futures_util::stream::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::attest::{AttestError, Hashes, attest};
use crate::authority::{Asker, Attested, Authority};
use crate::error::IdentityError;
use crate::exits::Watch;
use crate::launches::Launches;
use crate::peer::Peer;

/// Every answer is a stream or a value of the generated types, behind a status.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Workload {
    authority: Arc<Authority>,
    hashes: Arc<Hashes>,
    watch: Watch,
    launches: Arc<Launches>,
    /// Newest feed sequence that [`concerns`] identities; a change makes streams look again.
    head: watch::Receiver<u64>,
}

impl Workload {
    /// A service for one node. `head` follows those changes of the store's feed that [`concerns`] names.
    pub fn new(
        authority: Arc<Authority>,
        hashes: Arc<Hashes>,
        watch: Watch,
        launches: Arc<Launches>,
        head: watch::Receiver<u64>,
    ) -> Self {
        Self {
            authority,
            hashes,
            watch,
            launches,
            head,
        }
    }

    /// Who a peer is: of a launch, or what attestation finds on it.
    async fn asker(&self, peer: &Peer) -> Result<Asker, Status> {
        let launch = self.launches.of(peer).await;
        if let Some(launch) = launch.map_err(|error| status(&error.problem()))? {
            return Ok(Asker::Launched(launch.instance));
        }
        let (peer, hashes) = (peer.clone(), Arc::clone(&self.hashes));
        let found = tokio::task::spawn_blocking(move || attest(&peer, &hashes)).await;
        found
            .map_err(|_| Status::internal("attestation stopped"))?
            .map(Asker::Found)
            .map_err(|error: AttestError| status(&error.problem()))
    }

    /// Sees to it that the instance ends with its process. That of a launch ends with the launch, not with any process of it that asks.
    fn watched(&self, attested: &Attested, peer: &Peer) -> Result<(), Status> {
        if attested.instance.is_launched()
            || self
                .watch
                .process(attested.instance.id, Arc::clone(&peer.pidfd))
        {
            Ok(())
        } else {
            Err(Status::resource_exhausted(
                "too many processes are attested at once",
            ))
        }
    }

    async fn x509(&self, peer: &Peer) -> Result<api::X509svidResponse, Status> {
        let asker = self.asker(peer).await?;
        let (attested, svid) = self
            .granted(peer, self.authority.x509_svid(asker).await)
            .await?;
        self.watched(&attested, peer)?;
        Ok(api::X509svidResponse {
            svids: vec![api::X509svid {
                spiffe_id: svid.id().to_string(),
                x509_svid: svid.chain().to_vec(),
                x509_svid_key: svid.pkcs8().expose().clone(),
                bundle: self
                    .authority
                    .keyring()
                    .bundle()
                    .x509_authorities()
                    .concat(),
                hint: attested.agent.name.to_string(),
            }],
            crl: Vec::new(),
            federated_bundles: std::collections::HashMap::new(),
        })
    }

    /// What the authority granted, or the status that says why not, with the refusal on record.
    async fn granted<T>(&self, peer: &Peer, answer: Result<T, IdentityError>) -> Result<T, Status> {
        let error = match answer {
            Ok(granted) => return Ok(granted),
            Err(error) => error.problem(),
        };
        let (kind, asker) = (EventType::InstanceRefused, format!("uid:{}", peer.uid));
        self.authority.refused(kind, "attest", &asker, &error).await;
        Err(status(&error))
    }

    /// Whether the peer still has an identity; without issuing anything.
    async fn entitled(&self, peer: &Peer) -> Result<(), Status> {
        let asker = self.asker(peer).await?;
        let attested = self
            .granted(peer, self.authority.attest(asker, None).await)
            .await?;
        self.watched(&attested, peer)
    }

    /// Half of an SVID's life, 10 % more or less by process id, so that renewals of many agents do not coincide.
    fn renewal(&self, peer: &Peer) -> Duration {
        let percent = 40 + peer.pid % 21;
        self.authority.parts.lives.x509 * percent / 100
    }

    fn bundle_id(&self) -> String {
        self.authority.trust_domain().id().to_string()
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Workload {
    type FetchX509SVIDStream = Answers<api::X509svidResponse>;
    type FetchX509BundlesStream = Answers<api::X509BundlesResponse>;
    type FetchJWTBundlesStream = Answers<api::JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<api::X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let peer = caller(&request)?;
        self.svids(peer).await
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<api::X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let service = self.clone();
        let full = move || api::X509BundlesResponse {
            crl: Vec::new(),
            bundles: [(
                service.bundle_id(),
                service
                    .authority
                    .keyring()
                    .bundle()
                    .x509_authorities()
                    .concat(),
            )]
            .into(),
        };
        self.bundles(caller(&request)?, full).await
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<api::JwtsvidRequest>,
    ) -> Result<Response<api::JwtsvidResponse>, Status> {
        let peer = caller(&request)?;
        let ask = request.into_inner();
        if ask.audience.is_empty() {
            return Err(Status::invalid_argument(
                "audience_missing: name at least one audience",
            ));
        }
        let asker = self.asker(&peer).await?;
        if !ask.spiffe_id.is_empty() {
            let own = self
                .granted(&peer, self.authority.attest(asker.clone(), None).await)
                .await?;
            if own.id.as_str() != ask.spiffe_id {
                return self
                    .granted(&peer, Err(IdentityError::NotYours(ask.spiffe_id)))
                    .await;
            }
        }
        let (attested, token) = self
            .granted(&peer, self.authority.jwt_svid(asker, ask.audience).await)
            .await?;
        self.watched(&attested, &peer)?;
        Ok(Response::new(api::JwtsvidResponse {
            svids: vec![api::Jwtsvid {
                spiffe_id: attested.id.to_string(),
                svid: token.expose().clone(),
                hint: attested.agent.name.to_string(),
            }],
        }))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<api::JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        let service = self.clone();
        let full = move || api::JwtBundlesResponse {
            bundles: [(
                service.bundle_id(),
                service
                    .authority
                    .keyring()
                    .bundle()
                    .jwt_json()
                    .to_string()
                    .into_bytes(),
            )]
            .into(),
        };
        self.bundles(caller(&request)?, full).await
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<api::ValidateJwtsvidRequest>,
    ) -> Result<Response<api::ValidateJwtsvidResponse>, Status> {
        let peer = caller(&request)?;
        self.entitled(&peer).await?;
        let ask = request.into_inner();
        if ask.audience.is_empty() {
            return Err(Status::invalid_argument(
                "audience_missing: name the audience the token must have",
            ));
        }
        let verified = self
            .authority
            .validate_jwt_svid(&ask.svid, &ask.audience)
            .map_err(|problem| Status::invalid_argument(format!("{}: {problem}", problem.code)))?;
        let claims =
            serde_json::to_value(verified.claims()).map_err(|_| Status::internal("claims"))?;
        Ok(Response::new(api::ValidateJwtsvidResponse {
            spiffe_id: verified.claims().sub.to_string(),
            claims: claims::to_struct(claims),
        }))
    }
}

/// Whether a change can end or alter an identity; the server wakes the streams for these alone.
pub fn concerns(change: &Change) -> bool {
    matches!(
        change.body,
        ChangeBody::Fence(_)
            | ChangeBody::Agent(_)
            | ChangeBody::AgentRemoved(_)
            | ChangeBody::TokenKeys(_)
    )
}

/// The caller: the security header must be there (§ SSRF mitigation), and the kernel must have told who it is.
fn caller<T>(request: &Request<T>) -> Result<Peer, Status> {
    if request
        .metadata()
        .get("workload.spiffe.io")
        .is_none_or(|value| value != "true")
    {
        return Err(Status::invalid_argument(
            "workload_header_missing: send the metadata workload.spiffe.io: true",
        ));
    }
    request
        .extensions()
        .get::<Peer>()
        .cloned()
        .ok_or_else(|| Status::internal("the peer is not known"))
}

fn status(problem: &Problem) -> Status {
    let text = format!("{}: {problem}; {}", problem.code, problem.help);
    match problem.code {
        Code::NoIdentity | Code::Revoked => Status::permission_denied(text),
        Code::InvalidInput => Status::invalid_argument(text),
        Code::Internal => Status::internal(text),
        _ => Status::unavailable(text),
    }
}

fn stopping() -> Status {
    Status::unavailable("the node is stopping")
}
