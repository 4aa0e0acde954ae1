//! A client that sends bytes as it is told, and reads answers.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::LONG;

/// A connection to the server.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    received: Vec<u8>,
}

/// An answer of the server.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Sends bytes; whether the server still takes them is not its matter.
    pub(super) async fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The answer to a request without a body.
    pub(super) async fn ask(&mut self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// The answer to a call in the form of AWS.
    pub(super) async fn call(&mut self, target: &str, body: &str) -> Answer {
        self.call_with(&format!("x-amz-target: {target}\r\n"), body).await
    }

    /// The same with any headers.
    pub(super) async fn call_with(&mut self, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n");
        self.send(&format!("{head}\r\n{body}")).await;
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> Answer {
        let end = loop {
            match self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => assert!(self.receive().await, "the connection was closed"),
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let length: usize = field(&head, "content-length").unwrap().parse().unwrap();
        while self.received.len() < length {
            assert!(self.receive().await, "the connection was closed within an answer");
        }
        let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body }
    }

    /// Whether the server closes the connection without another word.
    pub(super) async fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.receive().await
    }

    async fn receive(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.received);
        matches!(timeout(LONG, reading).await.expect("no answer"), Ok(1..))
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The exception that a client would raise.
    pub(super) fn error(&self) -> String {
        let body = self.json();
        let name = body["__type"].as_str().unwrap_or_else(|| panic!("no error: {body}"));
        assert_eq!(self.header("x-amzn-errortype"), Some(name));
        assert_eq!(body["message"], body["Message"]);
        name.to_owned()
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}
