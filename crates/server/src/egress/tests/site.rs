//! An upstream in plain sight: it keeps every byte that it gets, and answers by path.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running upstream.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    /// Streams that their reader left.
    left: watch::Receiver<usize>,
}

impl Site {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (leave, left) = watch::channel(0);
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), leave.clone()));
            }
        });
        Self {
            address,
            requests,
            left,
        }
    }

    /// What came, head and body of each.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many streams were left by now.
    pub(super) fn were_left(&self) -> usize {
        *self.left.borrow()
    }

    /// Waits until so many streams were left.
    pub(super) async fn left(&self, count: usize) {
        let mut left = self.left.clone();
        left.wait_for(|left| *left >= count).await.unwrap();
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
    leave: watch::Sender<usize>,
) {
    let mut got = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut got).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(got[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        let whole = end + length.unwrap_or(0);
        while got.len() < whole {
            if stream.read_buf(&mut got).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let request = String::from_utf8(got.drain(..whole).collect()).unwrap();
        requests.lock().unwrap().push(request.clone());
        if answer(&mut stream, &request, &leave).await.is_err() {
            return;
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    request: &str,
    leave: &watch::Sender<usize>,
) -> std::io::Result<()> {
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let place = path.split('?').next().unwrap();
    let plain = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
    };
    let text = match place {
        "/echo" => {
            let bearer = request
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "))
                .unwrap_or_default();
            let headers =
                format!("X-Echo: {bearer}\r\nSet-Cookie: a=b\r\nContent-Type: text/plain\r\n");
            plain("200 OK", &headers, request)
        }
        "/moved" => plain("302 Found", "Location: /there?x=1\r\n", ""),
        "/away" => plain("302 Found", "Location: http://evil.example/x\r\n", ""),
        "/zip" => plain("200 OK", "Content-Encoding: gzip\r\n", "zzz"),
        "/coded" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nzzz\r\n0\r\n\r\n"
                .to_owned()
        }
        "/part" => plain(
            "206 Partial Content",
            "Content-Range: bytes 0-1/9\r\n",
            "ok",
        ),
        "/big" => plain("200 OK", "", &"x".repeat(5_000)),
        "/silent" => {
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.unwrap_or(0) > 0 {}
            leave.send_modify(|left| *left += 1);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        "/sse" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.unwrap_or(0) > 0 {}
            leave.send_modify(|left| *left += 1);
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        _ => plain("200 OK", "", "ok"),
    };
    stream.write_all(text.as_bytes()).await
}
