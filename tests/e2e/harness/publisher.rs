//! A place where a client publishes what it is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A server with one document, never to be kept, and a count of who asked for it.
pub(crate) struct Publisher {
    /// Its address with port.
    pub(crate) place: String,
    document: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    /// With a document for a client whose users come back to this URI.
    pub(crate) fn start(redirect_uri: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let publisher = Self {
            place: listener.local_addr().unwrap().to_string(),
            document: Arc::default(),
            asked: Arc::default(),
        };
        publisher.publish(&[("redirect_uris", json!([redirect_uri]))]);
        let (document, asked) = (
            Arc::clone(&publisher.document),
            Arc::clone(&publisher.asked),
        );
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&connection).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                asked.fetch_add(1, Ordering::SeqCst);
                let body = document.lock().unwrap().clone();
                // Whoever hung up meanwhile gets nothing.
                let _ = write!(
                    &connection,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        publisher
    }

    /// The client's id.
    pub(crate) fn id(&self) -> String {
        format!("http://{}/client.json", self.place)
    }

    /// Publishes the usual document with these members.
    pub(crate) fn publish(&self, members: &[(&str, Value)]) {
        let mut document = json!({
            "client_id": self.id(),
            "client_name": "Example IDE",
            "redirect_uris": [],
            "token_endpoint_auth_method": "none",
        });
        for (name, value) in members {
            document[*name] = value.clone();
        }
        *self.document.lock().unwrap() = document.to_string();
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
