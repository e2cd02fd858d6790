//! HTTP/1.1 on one connection that stays open (RFC 9112), as little of it as both ends of the bench need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

/// A connection, from either end.
pub(crate) struct Connection(BufReader<TcpStream>);

/// A request or an answer.
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) first: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends all of it at once and reads the answer to its end.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Message> {
        self.write(request)?;
        self.read()?.context("the connection was closed")
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// The next message; none if the other end closed.
    pub(crate) fn read(&mut self) -> Result<Option<Message>> {
        let first = self.line()?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut message = Message {
            first,
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            message
                .headers
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if let Some(length) = message.header("content-length") {
            let length = length.parse()?;
            self.append(&mut message.body, length)?;
        } else if message.header("transfer-encoding").is_some() {
            loop {
                let length = usize::from_str_radix(&self.line()?, 16)?;
                self.append(&mut message.body, length)?;
                ensure!(self.line()?.is_empty(), "a chunk is longer than it says");
                if length == 0 {
                    break;
                }
            }
        }
        Ok(Some(message))
    }

    fn append(&mut self, body: &mut Vec<u8>, length: usize) -> Result<()> {
        let read = (&mut self.0).take(length as u64).read_to_end(body)?;
        ensure!(read == length, "the body breaks off");
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Message {
    /// The first header of this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The message, if it is an answer of this status.
    pub(crate) fn expect(self, status: &str) -> Result<Self> {
        if self.first.split(' ').nth(1) == Some(status) {
            return Ok(self);
        }
        bail!(
            "{} and not {status}: {}",
            self.first,
            String::from_utf8_lossy(&self.body)
        )
    }
}

/// The bytes of a message with this first line, these headers and a JSON body.
pub(crate) fn message(first: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{first}\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let length = body.len().to_string();
    text.extend([
        "Content-Type: application/json\r\nContent-Length: ",
        &length,
        "\r\n\r\n",
        body,
    ]);
    text.into_bytes()
}
