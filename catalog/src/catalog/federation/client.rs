//! One request to a remote Glue API, signed, bounded and tried again where that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::fault::{Fault, Trouble};
use crate::{Error, Result};

/// How long a connection may take, and one request with its answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a call may take with all its attempts.
const PATIENCE: Duration = Duration::from_secs(25);
const ATTEMPTS: u32 = 4;
/// The longest first pause between attempts; each later one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Requests at a time; others queue.
const REQUESTS_AT_ONCE: usize = 8;
/// Bytes of one answer.
const ANSWER_MAX: usize = 64 << 20;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const SERVICE: &str = "glue";

/// The client of one Glue API.
#[derive(Debug)]
pub(super) struct Client {
    endpoint: Endpoint,
    http: HttpClient,
    credentials: Option<AwsCredentialProvider>,
    turns: Semaphore,
    requests: AtomicU64,
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        connector: &dyn HttpConnector,
        credentials: Option<AwsCredentialProvider>,
    ) -> Result<Self> {
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(endpoint.is_plain);
        let http = connector.connect(&options).map_err(|source| Error::Unavailable {
            attempt: format!("prepare to call catalog \"{}\"", endpoint.name),
            source: Arc::new(source),
        })?;
        let (turns, requests) = (Semaphore::new(REQUESTS_AT_ONCE), AtomicU64::new(0));
        Ok(Self { endpoint, http, credentials, turns, requests })
    }

    /// The catalog's name in messages.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.endpoint.name
    }

    /// The requests that were made so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks for something: the same may be asked again, so it is where that helps.
    pub(super) async fn ask(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<Map<String, Value>, Fault> {
        self.bounded(operation, input, true).await
    }

    /// Has something changed. It is sent again only if it surely was not done; where that is not
    /// known it is [`Fault::Ambiguous`].
    pub(super) async fn change(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<Map<String, Value>, Fault> {
        self.bounded(operation, input, false).await
    }

    async fn bounded(
        &self,
        operation: &str,
        input: &Value,
        is_question: bool,
    ) -> Result<Map<String, Value>, Fault> {
        let tried = self.attempts(operation, input.to_string(), is_question);
        let outcome = match tokio::time::timeout(PATIENCE, tried).await {
            Ok(outcome) => outcome,
            Err(elapsed) => Err(Trouble::Interrupted(Arc::new(elapsed))),
        };
        outcome.map_err(|trouble| trouble.into_fault(operation, self.name(), is_question))
    }

    async fn attempts(
        &self,
        operation: &str,
        body: String,
        is_question: bool,
    ) -> Result<Map<String, Value>, Trouble> {
        let mut attempt = 1;
        loop {
            match self.once(operation, body.clone()).await {
                Err(trouble) if attempt < ATTEMPTS && trouble.may_pass(is_question) => {
                    tracing::debug!(operation, attempt, %trouble, "trying again");
                    tokio::time::sleep(jittered(FIRST_PAUSE * 2_u32.pow(attempt - 1))).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn once(&self, operation: &str, body: String) -> Result<Map<String, Value>, Trouble> {
        let _turn = self.turns.acquire().await;
        let request = self.request(operation, body).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.http.execute(request).await.map_err(|fault| match fault.kind() {
            HttpErrorKind::Connect => Trouble::NotSent(Arc::new(fault)),
            _ => Trouble::Interrupted(Arc::new(fault)),
        })?;
        let status = answer.status();
        let named = answer.headers().get("x-amzn-errortype").cloned();
        let body = whole(answer).await?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        match answer {
            Some(Value::Object(answer)) if status.is_success() => Ok(answer),
            answer => Err(Trouble::refused(status, named.as_ref(), answer.as_ref())),
        }
    }

    async fn request(&self, operation: &str, body: String) -> Result<HttpRequest, Trouble> {
        let mut request = Request::post(&self.endpoint.url)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header("x-amz-target", format!("AWSGlue.{operation}"))
            .body(HttpRequestBody::from(body))
            .map_err(|fault| Trouble::NotSent(Arc::new(fault)))?;
        if let Some(credentials) = &self.credentials {
            let found = credentials.get_credential().await;
            let credential = found.map_err(|fault| Trouble::NoCredentials(fault.to_string()))?;
            check(&credential)?;
            let authorizer = AwsAuthorizer::new(&credential, SERVICE, &self.endpoint.region);
            authorizer.authorize(&mut request, None);
        }
        Ok(request)
    }
}

/// Whether a credential can be sent in headers.
fn check(credential: &AwsCredential) -> Result<(), Trouble> {
    let texts = [Some(&credential.key_id), credential.token.as_ref()];
    let is_clean = |text: &&String| text.bytes().all(|byte| byte.is_ascii_graphic());
    match texts.into_iter().flatten().all(|text| is_clean(&text)) {
        true => Ok(()),
        false => Err(Trouble::NoCredentials(
            "the access key or its token has characters that no header may have".to_owned(),
        )),
    }
}

/// The whole body of an answer, unless it is too long.
async fn whole(answer: HttpResponse) -> Result<Vec<u8>, Trouble> {
    let mut parts = answer.into_body().bytes_stream();
    let mut body = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|fault| Trouble::Interrupted(Arc::new(fault)))?;
        if ANSWER_MAX < body.len() + part.len() {
            return Err(Trouble::TooLong(ANSWER_MAX));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Some time up to `longest`, so that clients that were stopped together don't come together.
fn jittered(longest: Duration) -> Duration {
    let random = u32::from_le_bytes([0, 1, 2, 3].map(|at: usize| Uuid::new_v4().as_bytes()[at]));
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
