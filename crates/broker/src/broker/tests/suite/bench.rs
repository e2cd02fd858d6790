//! A broker in a world of its own, beside a real server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bailiwick_core::Secret;
use bailiwick_core::id::{InstanceId, LeaseId};
use bailiwick_core::lease::{BackendKind, Delivery, Deployment, Lease, Wanted};
use bailiwick_store::StoreError;

use super::Elsewhere;
use crate::backend::{Backend, BackendAt, Members, ServerAt, StaticSecret};
use crate::broker::tests::world::World;
use crate::broker::{LeasesOf, Taken};
use crate::desk::Desk;
use crate::{Backends, Template};

pub(crate) struct Bench<E> {
    pub(crate) world: World,
    server: Arc<Mutex<E>>,
    #[expect(dead_code, reason = "it is held, not read")]
    home: tempfile::TempDir,
}

impl<E: Elsewhere> Bench<E> {
    pub(crate) async fn new() -> Self {
        Self::at(E::start(), E::backend).await
    }

    /// With a backend of another make.
    pub(crate) async fn at(
        server: E,
        backend: impl FnOnce(&Path, &Arc<StaticSecret>) -> Arc<dyn Backend>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let world = world_of(home.path(), |values| backend(&server.dir(), values));
        world.populate().await;
        put_password(&world, &server.dir()).await;
        world.broker.recover().await.unwrap();
        Self {
            world,
            server: Arc::new(Mutex::new(server)),
            home,
        }
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, E> {
        self.server.lock().unwrap()
    }

    /// What ends the server at once.
    pub(crate) fn killer(&self) -> impl Fn() + Send + Sync + use<E> {
        let server = Arc::clone(&self.server);
        move || server.lock().unwrap().kill()
    }

    pub(crate) fn desk(&self) -> Arc<Desk> {
        Arc::clone(self.world.broker.inner.desks.values().next().unwrap())
    }

    pub(crate) async fn deployment(&self) -> Deployment {
        let identity = self.world.broker.identity().await.unwrap();
        identity.deployment.clone()
    }

    /// Accounts of leases, whoever made them; markers left out.
    pub(crate) fn accounts(&self) -> Vec<String> {
        let mut all = self.server().accounts();
        all.retain(|name| !name.contains("-gen-"));
        all.sort();
        all
    }

    pub(crate) async fn take(&self) -> Taken {
        let taken = self.world.broker.take(wanted(&self.world)).await.unwrap();
        let id = taken.lease.id;
        let acknowledged = self.world.broker.acknowledge(id, InstanceId::from_bits(7));
        acknowledged.await.unwrap();
        taken
    }

    /// What [`crate::Broker::run`] does when it is woken.
    pub(crate) async fn take_away(&self) -> usize {
        self.world.broker.take_away(&self.desk()).await.unwrap()
    }

    pub(crate) async fn revoke(&self, which: LeasesOf) -> usize {
        let ended = self.world.broker.end_leases(&[which], "test").await;
        ended.unwrap();
        self.take_away().await
    }

    pub(crate) async fn lease(&self, id: LeaseId) -> Lease {
        let leases = self.world.leases().await;
        leases.into_iter().find(|lease| lease.id == id).unwrap()
    }

    pub(crate) async fn reconcile(&self) -> crate::Differences {
        let name = "orders-db".parse().unwrap();
        self.world.broker.reconcile(&name, false).await.unwrap()
    }
}

/// The broker of a directory, with one backend and one credential.
pub(crate) fn world_of(
    home: &Path,
    backend: impl FnOnce(&Arc<StaticSecret>) -> Arc<dyn Backend>,
) -> World {
    World::real(home, |store, seal| {
        let values = Arc::new(StaticSecret::new(store.clone(), Arc::clone(seal)));
        let template = Template {
            backend: "orders-db".parse().unwrap(),
            ttl: Duration::from_mins(10),
            max_live: 3,
            delivery: vec![Delivery::Api],
        };
        Backends {
            credentials: BTreeMap::from([("orders-ro".parse().unwrap(), template)]),
            remotes: BTreeMap::from([("orders-db".parse().unwrap(), backend(&values))]),
        }
    })
}

/// A backend as a configuration would have it, for the credential `orders-ro`.
pub(crate) fn opened(
    kind: BackendKind,
    url: &str,
    ca_file: Option<PathBuf>,
    members: &[(&str, &str)],
    values: &Arc<StaticSecret>,
) -> Arc<dyn Backend> {
    let at = BackendAt {
        kind,
        server: ServerAt {
            url: url.to_owned(),
            secret: Some("orders-admin".parse().unwrap()),
            ca_file,
        },
    };
    at.check().unwrap();
    let text = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let members: BTreeMap<String, String> = members.iter().map(text).collect();
    let account = at.account(Members::new(&members)).unwrap();
    let accounts = BTreeMap::from([("orders-ro".parse().unwrap(), account)]);
    at.open(&accounts, values).unwrap()
}

/// Seals what the broker logs in with.
pub(crate) async fn put_password(world: &World, server: &Path) {
    let password = std::fs::read(server.join("password")).unwrap();
    let (broker, value) = (world.broker.clone(), Secret::new(password));
    let write = world.store.write(move |tx| {
        let name = "orders-admin".parse().unwrap();
        broker.seal_secret(tx, &name, &value).unwrap();
        Ok::<_, StoreError>(())
    });
    write.await.unwrap();
}

pub(crate) fn wanted(world: &World) -> Wanted {
    Wanted {
        server: None,
        credential: "orders-ro".parse().unwrap(),
        delivery: Delivery::Api,
        ..world.wanted()
    }
}

pub(crate) fn user(taken: &Taken) -> &str {
    taken.access["username"].as_str()
}
