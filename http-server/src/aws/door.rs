//! The AWS JSON door: one address, where a header says which operation is meant.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::response::{IntoResponse, Response};
use boathouse_catalog::Catalog;
use bytes::BytesMut;
use chrono::Utc;
use futures::{FutureExt, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::{AwsError, Code};
use super::signature::{Admission, Verifier};
use super::{JSON, TARGET};
use crate::metrics::Metrics;

/// What comes before the operation's name in the header that names it.
const TARGET_PREFIX: &str = "AWSGlue.";
/// The services that requests may be signed for.
const SERVICES: &[&str] = &["glue"];
/// Bytes of a body that any request may hold; for more it takes one of a few places.
const SMALL_BODY: usize = 256 << 10;
/// Requests with a larger body at a time; more of them wait.
const LARGE_BODIES: usize = 16;

/// What answers the operations that come through a door.
pub(crate) trait Operations: Clone + Send + Sync + 'static {
    /// The output of an operation. A name that is none is an unknown operation, at once.
    fn call(
        &self,
        operation: &str,
        input: Value,
    ) -> impl Future<Output = Result<Value, AwsError>> + Send;

    /// Forgets all there is.
    fn reset(&self) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// What a door runs with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorConfig {
    /// Whether unsigned requests, and those signed with an unknown key, are refused.
    pub(crate) require_signature: bool,
    /// Bytes of one request's body.
    pub(crate) max_request_bytes: usize,
    /// How long one request may take, from its first byte to its answer.
    pub(crate) request_timeout: Duration,
}

/// Where requests of AWS clients come in: finds out who sent them, and what they ask for.
pub(crate) struct Door<S> {
    operations: S,
    verifier: Verifier,
    large_bodies: Semaphore,
    metrics: Arc<Metrics>,
    config: DoorConfig,
}

/// A request's body, and its place among the large ones.
#[derive(Default)]
struct Content<'a> {
    bytes: BytesMut,
    place: Option<SemaphorePermit<'a>>,
}

impl<S: Operations> Door<S> {
    /// A door to `operations`, for those who sign with access keys of `catalog`.
    pub(crate) fn new(
        operations: S,
        catalog: Catalog,
        metrics: Arc<Metrics>,
        config: DoorConfig,
    ) -> Self {
        let verifier = Verifier::new(catalog, SERVICES, config.require_signature);
        let large_bodies = Semaphore::new(LARGE_BODIES);
        Self { operations, verifier, large_bodies, metrics, config }
    }

    /// The answer to a request. It always comes, whatever happens to the operation.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let visit = self.metrics.enter();
        let mut called = None;
        let outcome = self.in_time(self.perform(request, &mut called)).await;
        let code = outcome.as_ref().err().map(|error| error.code);
        visit.leave(called.as_deref(), code);
        match outcome {
            Ok(output) => ([(CONTENT_TYPE, JSON)], output.to_string()).into_response(),
            Err(error) => error.into_response(),
        }
    }

    /// Forgets all there is, unless a web page asks for it.
    pub(crate) async fn reset(&self, headers: &HeaderMap) -> Result<(), AwsError> {
        refuse_pages(headers)?;
        self.in_time(self.operations.reset()).await
    }

    /// `called` becomes the operation's name once it is asked for.
    async fn perform(
        &self,
        request: Request,
        called: &mut Option<String>,
    ) -> Result<Value, AwsError> {
        let (head, body) = request.into_parts();
        let admission = match self.verifier.admit(&head, Utc::now()).await {
            Ok(admission) => admission,
            Err(error) => return self.turn_away(error, body).await,
        };
        let content = self.read(body).await?;
        match &admission {
            Admission::Unverified => refuse_pages(&head.headers)?,
            Admission::Signed(signed) => {
                let verified = signed.verify(&head, &content.bytes);
                verified.map_err(|error| self.refused(error))?;
            }
        }
        let operation = operation(&head.headers)?;
        let input = input(&content.bytes)?;
        *called = Some(operation.to_owned());
        self.operations.call(operation, input).await
    }

    /// Ends in an error when the time is up, and when `work` panics.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        let limit = self.config.request_timeout;
        let work = AssertUnwindSafe(work).catch_unwind();
        match timeout(limit, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => {
                Err(AwsError::internal(format_args!("panic: {}", words(panic.as_ref()))))
            }
            Err(_) => Err(AwsError::new(
                Code::OperationTimeout,
                format!("the request took longer than {} s", limit.as_secs_f64()),
            )),
        }
    }

    /// Clients look for an answer when they have sent their request, not before.
    async fn turn_away<T>(&self, error: AwsError, body: Body) -> Result<T, AwsError> {
        let error = self.refused(error);
        discard(&mut body.into_data_stream(), self.config.max_request_bytes).await;
        Err(error)
    }

    fn refused(&self, error: AwsError) -> AwsError {
        if error.code.status().is_client_error() {
            self.metrics.rejected(error.code);
        }
        error
    }

    async fn read(&self, body: Body) -> Result<Content<'_>, AwsError> {
        let limit = self.config.max_request_bytes;
        let announced = body.size_hint().lower();
        let mut chunks = body.into_data_stream();
        if !usize::try_from(announced).is_ok_and(|announced| announced <= limit) {
            return too_large(&mut chunks, limit).await;
        }
        let mut content = Content::default();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk
                .map_err(|_| AwsError::serialization("the request ended before its body did"))?;
            if limit - content.bytes.len() < chunk.len() {
                return too_large(&mut chunks, limit).await;
            }
            if content.place.is_none() && SMALL_BODY < content.bytes.len() + chunk.len() {
                content.place =
                    Some(self.large_bodies.acquire().await.map_err(AwsError::internal)?);
            }
            content.bytes.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}

/// Browsers say which page sent a request. A page may be anyone's, so its requests need a
/// signature, even where others don't: whoever visits it is behind the loopback address too.
fn refuse_pages(headers: &HeaderMap) -> Result<(), AwsError> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    Err(AwsError::new(
        Code::AccessDenied,
        "requests of web pages must be signed with an access key",
    ))
}

fn operation(headers: &HeaderMap) -> Result<&str, AwsError> {
    let target = headers.get(TARGET).and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
    operation.ok_or_else(|| {
        AwsError::unknown_operation(format!(
            "the header X-Amz-Target does not name an operation, as in {TARGET_PREFIX}GetTables"
        ))
    })
}

fn input(bytes: &[u8]) -> Result<Value, AwsError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice(bytes) {
        Ok(input @ Value::Object(_)) => Ok(input),
        Ok(_) => Err(AwsError::serialization("the input is not a JSON object")),
        Err(fault) => Err(AwsError::serialization(format!("the input is not JSON: {fault}"))),
    }
}

async fn too_large<T>(chunks: &mut BodyDataStream, limit: usize) -> Result<T, AwsError> {
    discard(chunks, limit).await;
    let text = format!("the request has more than {limit} bytes");
    Err(AwsError::new(Code::RequestEntityTooLarge, text))
}

/// Reads on, to the end or for `limit` bytes.
async fn discard(chunks: &mut BodyDataStream, limit: usize) {
    let mut left = limit;
    while let Some(Ok(chunk)) = chunks.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
