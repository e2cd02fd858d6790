//! HTTP/1.1 in plain sight (RFC 9112): one connection per request over TCP or a unix socket, so that tests can also send what no
//! library would.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use super::{DEADLINE, pki};

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Host and port.
    Tcp(String),
    /// The same, with TLS.
    Tls(String, Arc<ClientConfig>),
    /// A unix socket.
    Unix(PathBuf),
}

impl Place {
    /// The place of `http://host:port…`, or of `https://host:port…` whose certificate is from the tests' own authority.
    pub(crate) fn of(url: &str) -> Self {
        if url.starts_with("https://") {
            return Self::with(url, pki::authority().client());
        }
        Self::Tcp(host_of(url, "http://"))
    }

    /// The place of `https://host:port…`, for this client.
    pub(crate) fn with(url: &str, client: Arc<ClientConfig>) -> Self {
        Self::Tls(host_of(url, "https://"), client)
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(address) => Box::new(tcp(address)?),
            Self::Tls(address, client) => {
                let host = address.rsplit_once(':').unwrap().0.to_owned();
                let name = ServerName::try_from(host).unwrap();
                let connection = ClientConnection::new(Arc::clone(client), name);
                let connection = connection.map_err(io::Error::other)?;
                Box::new(StreamOwned::new(connection, tcp(address)?))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(DEADLINE))?;
                Box::new(stream)
            }
        })
    }

    fn host(&self) -> &str {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => address,
            Self::Unix(_) => "localhost",
        }
    }
}

fn host_of(url: &str, scheme: &str) -> String {
    let rest = url.strip_prefix(scheme);
    let rest = rest.unwrap_or_else(|| panic!("{url} does not begin with {scheme}"));
    rest.split('/').next().unwrap().to_owned()
}

fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// An answer whose body is still to be read.
pub(crate) struct Response {
    /// The status.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

/// Sends one request and reads the head of its answer.
pub(crate) fn send(
    place: &Place,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> io::Result<Response> {
    let mut stream = place.connect()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        place.host()
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    if let Some(body) = body {
        write!(stream, "Content-Length: {}\r\n", body.len())?;
    }
    stream.write_all(b"\r\n")?;
    // A server that refuses a large body answers before it has read it.
    if let Some(Err(error)) = body.map(|body| stream.write_all(body))
        && !matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        )
    {
        return Err(error);
    }
    stream.flush()?;
    Response::read(BufReader::new(stream))
}

impl Response {
    fn read(mut reader: BufReader<Box<dyn Stream>>) -> io::Result<Self> {
        let status = line(&mut reader)?;
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, format!("no HTTP: {status:?}"))
            })?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            match line.split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let find = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let framing = if find("transfer-encoding") == Some("chunked") {
            Framing::Chunked(0)
        } else if let Some(length) = find("content-length") {
            Framing::Length(length.parse().map_err(io::Error::other)?)
        } else if matches!(status, 204 | 304) {
            Framing::Length(0)
        } else {
            Framing::Close
        };
        Ok(Self {
            status,
            headers,
            body: Body { reader, framing },
        })
    }

    /// The answer if it has this status.
    pub(crate) fn expect(self, status: u16) -> Self {
        if self.status == status {
            return self;
        }
        let got = self.status;
        panic!("{got} and not {status}: {}", self.text());
    }

    /// The first header of this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All headers of this name, joined.
    pub(crate) fn headers(&self, name: &str) -> String {
        let all = self.headers.iter().filter(|(key, _)| key == name);
        all.map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Each header of this name.
    pub(crate) fn each(&self, name: &str) -> Vec<String> {
        let all = self.headers.iter().filter(|(key, _)| key == name);
        all.map(|(_, value)| value.clone()).collect()
    }

    /// The whole body.
    pub(crate) fn bytes(mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body)?;
        Ok(body)
    }

    /// The whole body as text.
    pub(crate) fn text(self) -> String {
        String::from_utf8(self.bytes().expect("the body breaks off")).expect("a body of text")
    }

    /// The whole body as JSON; null if it is empty.
    pub(crate) fn json(self) -> Value {
        let (status, text) = (self.status, self.text());
        if text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{status}: no JSON ({error}): {text}"))
    }

    /// The body as server-sent events.
    pub(crate) fn events(self) -> Events {
        Events(BufReader::new(self.body))
    }
}

/// The data of server-sent events, one JSON value each; comments are left out. Ends with the stream, also with one that is cut.
pub(crate) struct Events(BufReader<Body>);

impl Iterator for Events {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let mut data = String::new();
        let began = SystemClock.monotonic();
        loop {
            // Comments keep a stream alive, and are no event.
            let waited = SystemClock.monotonic().saturating_sub(began);
            assert!(waited < 6 * DEADLINE, "no event within {waited:?}");
            let mut text = String::new();
            match self.0.read_line(&mut text) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    panic!("no event within {DEADLINE:?}")
                }
                Err(_) => return None,
            }
            let text = text.trim_end_matches(['\r', '\n']);
            if let Some(more) = text.strip_prefix("data:") {
                data.push_str(more.strip_prefix(' ').unwrap_or(more));
            } else if text.is_empty() && !data.is_empty() {
                return Some(
                    serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}")),
                );
            }
        }
    }
}

enum Framing {
    Length(u64),
    /// What is left of the chunk that is read.
    Chunked(u64),
    Close,
    Done,
}

struct Body {
    reader: BufReader<Box<dyn Stream>>,
    framing: Framing,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked(0) = self.framing {
            let size = line(&mut self.reader)?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default(), 16)
                .map_err(io::Error::other)?;
            self.framing = if size == 0 {
                Framing::Done
            } else {
                Framing::Chunked(size)
            };
        }
        let bound = match self.framing {
            Framing::Length(left) | Framing::Chunked(left) => left,
            Framing::Close => u64::MAX,
            Framing::Done => 0,
        };
        if bound == 0 {
            return Ok(0);
        }
        let read = (&mut self.reader).take(bound).read(buffer)?;
        let left = bound - u64::try_from(read).unwrap();
        match &mut self.framing {
            Framing::Close | Framing::Done => {}
            Framing::Length(_) | Framing::Chunked(_) if read == 0 => {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            Framing::Length(length) => *length = left,
            Framing::Chunked(chunk) => {
                *chunk = left;
                if left == 0 {
                    line(&mut self.reader)?;
                }
            }
        }
        Ok(read)
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
