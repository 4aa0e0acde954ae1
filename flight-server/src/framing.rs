//! The gRPC body of `DoGet`, written without copying the data.
//!
//! tonic copies each message into one buffer before it is sent. For gigabytes of columns that
//! is most of the work, so the service hands its messages over in the answer's extensions, and
//! this layer writes the frames itself: a few bytes of protobuf, then the arrays' own memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow::buffer::Buffer;
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::stream::{Handover, Message, Messages};

/// Parts smaller than this are copied together, larger ones are sent as they are.
const COPY_BELOW: usize = 4096;

/// Protobuf key of `FlightData.data_header` (field 2, bytes).
const HEADER_KEY: u8 = 2 << 3 | 2;
/// Protobuf key of `FlightData.data_body` (field 1000, bytes), a varint of two bytes.
const BODY_KEY: [u8; 2] = [0xC2, 0x3E];

/// A gRPC service whose answers may hand over their messages.
#[derive(Clone)]
pub(crate) struct Framing<S>(pub(crate) S);

impl<S> Service<http::Request<Body>> for Framing<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let handover = answer.extensions_mut().remove::<Handover>();
            if let Some(messages) = handover.and_then(|handover| handover.take()) {
                *answer.body_mut() = Body::new(DataBody::new(messages));
            }
            Ok(answer)
        })
    }
}

/// An HTTP body of gRPC frames, each one `FlightData`.
struct DataBody {
    messages: Messages,
    parts: VecDeque<Bytes>,
    ended: bool,
}

impl DataBody {
    fn new(messages: Messages) -> Self {
        Self { messages, parts: VecDeque::new(), ended: false }
    }
}

impl http_body::Body for DataBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.messages.poll_next(cx)) {
                Ok(Some(message)) => self.parts = frame(message),
                Ok(None) => return self.end(&Status::ok("")),
                Err(status) => return self.end(&status),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl DataBody {
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

/// The parts of one length-prefixed gRPC message.
fn frame(message: Message) -> VecDeque<Bytes> {
    let body: usize = message.body.iter().map(Buffer::len).sum();
    let mut head = BytesMut::with_capacity(message.header.len() + 32);
    head.put_u8(HEADER_KEY);
    put_varint(&mut head, message.header.len());
    head.put_slice(&message.header);
    if 0 < body {
        head.put_slice(&BODY_KEY);
        put_varint(&mut head, body);
    }
    let mut small = BytesMut::with_capacity(head.len() + COPY_BELOW);
    small.put_u8(0); // not compressed
    small.put_u32((head.len() + body) as u32); // `stream` sends no message of 2 GiB or more
    small.put_slice(&head);
    let mut parts = VecDeque::new();
    for buffer in message.body {
        if buffer.len() < COPY_BELOW {
            small.put_slice(&buffer);
        } else {
            parts.push_back(small.split().freeze());
            parts.push_back(Bytes::from_owner(Part(buffer)));
        }
    }
    parts.push_back(small.freeze());
    parts.retain(|part| !part.is_empty());
    parts
}

fn put_varint(target: &mut BytesMut, mut value: usize) {
    while 0x80 <= value {
        target.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    target.put_u8(value as u8);
}

struct Part(Buffer);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use arrow_flight::FlightData;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_frame_is_the_protobuf_that_prost_would_write() {
        let small = Buffer::from(vec![1_u8; 100]);
        let large = Buffer::from(vec![2_u8; COPY_BELOW]);
        let message = Message {
            header: Bytes::from_static(b"header"),
            body: vec![small.clone(), large.clone(), small.clone()],
        };
        let framed: Vec<u8> = frame(message).iter().flat_map(|part| part.to_vec()).collect();
        let body = [small.to_vec(), large.to_vec(), small.to_vec()].concat();
        let expected = FlightData::new().with_data_header("header").with_data_body(body);
        assert_eq!(framed[0], 0);
        assert_eq!(framed[1..5], (framed.len() as u32 - 5).to_be_bytes());
        assert_eq!(FlightData::decode(&framed[5..]).unwrap(), expected);
    }
}
