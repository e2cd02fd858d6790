//! What a workload's streams bring: its next SVID, and each change of what it is to believe, for as long as it has an identity.

use std::sync::Arc;

use bailiwick_proto::workload as api;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tonic::{Response, Status};

use super::{Answers, Workload, stopping};
use crate::keyring::Keyring;
use crate::peer::Peer;

impl Workload {
    /// A stream of X.509-SVIDs: the first at once, another when it is time or others are to be believed.
    pub(super) async fn svids(
        &self,
        peer: Peer,
    ) -> Result<Response<Answers<api::X509svidResponse>>, Status> {
        let follower = Follower {
            keys: self.authority.follow_keyring(),
            head: self.head.clone(),
            service: self.clone(),
            peer,
        };
        let first = follower.service.x509(&follower.peer).await?;
        let stream = unfold(Next::Send(first, follower), |next| async {
            let (last, mut follower) = match next {
                Next::Done => return None,
                Next::Send(answer, follower) => {
                    let bundle = bundle_in(&answer);
                    return Some((Ok(answer), Next::Wait(bundle, follower)));
                }
                Next::Wait(last, follower) => (last, follower),
            };
            Some(match follower.next(&last).await {
                Ok(answer) => {
                    let bundle = bundle_in(&answer);
                    (Ok(answer), Next::Wait(bundle, follower))
                }
                Err(status) => (Err(status), Next::Done),
            })
        });
        Ok(Response::new(Box::pin(stream)))
    }

    /// A stream of full states: the first at once, another whenever the state differs.
    pub(super) async fn bundles<T, F>(
        &self,
        peer: Peer,
        full: F,
    ) -> Result<Response<Answers<T>>, Status>
    where
        T: PartialEq + Clone + Send + 'static,
        F: Fn() -> T + Send + 'static,
    {
        self.entitled(&peer).await?;
        let follower = Follower {
            keys: self.authority.follow_keyring(),
            head: self.head.clone(),
            service: self.clone(),
            peer,
        };
        let stream = unfold(Some((None::<T>, full, follower)), |state| async {
            let (mut last, full, mut follower) = state?;
            loop {
                follower.keys.borrow_and_update();
                let now = full();
                if last.as_ref() != Some(&now) {
                    last = Some(now.clone());
                    return Some((Ok(now), Some((last, full, follower))));
                }
                let looked = tokio::select! {
                    changed = follower.head.changed() => match changed {
                        Ok(()) => follower.service.entitled(&follower.peer).await,
                        Err(_) => Err(stopping()),
                    },
                    changed = follower.keys.changed() => changed.map_err(|_| stopping()),
                };
                if let Err(status) = looked {
                    return Some((Err(status), None));
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

enum Next {
    Send(api::X509svidResponse, Follower),
    /// The bundle that was sent last.
    Wait(Vec<u8>, Follower),
    Done,
}

/// A workload that follows its X.509-SVID.
struct Follower {
    service: Workload,
    peer: Peer,
    head: watch::Receiver<u64>,
    keys: watch::Receiver<Arc<Keyring>>,
}

impl Follower {
    /// The next SVID: when it is time, or when other authorities are to be believed than those that were sent last.
    async fn next(&mut self, last: &[u8]) -> Result<api::X509svidResponse, Status> {
        let renewal = tokio::time::sleep(self.service.renewal(&self.peer));
        tokio::pin!(renewal);
        loop {
            let bundle = self
                .keys
                .borrow_and_update()
                .bundle()
                .x509_authorities()
                .concat();
            if bundle != last {
                break;
            }
            tokio::select! {
                () = &mut renewal => break,
                changed = self.head.changed() => {
                    changed.map_err(|_| stopping())?;
                    self.service.entitled(&self.peer).await?;
                }
                changed = self.keys.changed() => changed.map_err(|_| stopping())?,
            }
        }
        self.service.x509(&self.peer).await
    }
}

fn bundle_in(answer: &api::X509svidResponse) -> Vec<u8> {
    answer
        .svids
        .first()
        .map_or_else(Vec::new, |svid| svid.bundle.clone())
}
