//! What the node is called: addresses that were bound, URLs of the configuration, and the names and origins that follow from them.

use std::collections::HashSet;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Listeners, State};
use crate::config::{Config, Listener};
use crate::node::certificates::host_of;
use crate::node::{Addresses, StartError};

/// Where the node can be reached, as bound and as configured.
pub(super) fn addresses(
    config: &Config,
    listeners: &Listeners,
    state: &State,
) -> Result<Addresses, StartError> {
    let bound = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_err(|error| StartError::Defect(format!("a listener has no address: {error}")))
    };
    let (console, gateway) = (bound(&listeners.console)?, bound(&listeners.gateway)?);
    let url = |listener: &Listener, address: SocketAddr| {
        let itself = || format!("{}://{address}", scheme(listener));
        listener.public_url.clone().unwrap_or_else(itself)
    };
    let mtls = listeners.mutual.as_ref().map(bound).transpose()?;
    let console_url = url(&config.console, console);
    let beside = |address: SocketAddr| {
        let public = config
            .mtls
            .as_ref()
            .and_then(|mtls| mtls.public_url.clone());
        public.unwrap_or_else(|| format!("https://{}:{}", host_of(&console_url), address.port()))
    };
    Ok(Addresses {
        mtls_url: mtls.map(beside),
        mtls,
        console_url,
        gateway_url: url(&config.gateway.listener, gateway),
        console,
        gateway,
        admin_socket: listeners.paths.admin.clone(),
        workload_socket: listeners.paths.workload.clone(),
        mcp_socket: listeners.paths.mcp.clone(),
        launch_socket: listeners.paths.launch.clone(),
        log_vkey: state.log.vkey(),
    })
}

fn scheme(listener: &Listener) -> &'static str {
    match listener.tls {
        Some(_) => "https",
        None => "http",
    }
}

/// Names of this node in `Host`, at the console's listener and at the one for SVIDs.
pub(super) fn names(addresses: &Addresses) -> HashSet<String> {
    let mutual = addresses.mtls.zip(addresses.mtls_url.as_deref());
    let mutual = mutual.map(|(address, url)| hosts(address, url));
    let console = hosts(addresses.console, &addresses.console_url);
    console
        .into_iter()
        .chain(mutual.unwrap_or_default())
        .collect()
}

/// Names of a listener in `Host`: its public URL's, and loopback with its own port.
fn hosts(address: SocketAddr, public_url: &str) -> HashSet<String> {
    let port = address.port();
    let public = public_url
        .split_once("://")
        .map(|(_, host)| host.to_owned());
    let loopback = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
    public.into_iter().chain(loopback).collect()
}

/// Origins of the console's pages (RFC 6454 §6.2): its public URL, and loopback with its own port.
pub(super) fn origins(config: &Config, addresses: &Addresses) -> HashSet<String> {
    let local = hosts(addresses.console, "").into_iter();
    let local = local.map(|host| format!("{}://{host}", scheme(&config.console)));
    local.chain([addresses.console_url.clone()]).collect()
}
