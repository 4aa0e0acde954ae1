//! What is where: the door for AWS clients, health checks, metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use boathouse_catalog::{Catalog, chain};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::Instrument;
use uuid::Uuid;

use crate::aws::{AwsError, Door, Operations};
use crate::metrics::{MEDIA_TYPE, Metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// How long the catalog may take to answer a health check.
const READY: Duration = Duration::from_secs(2);

/// The routes of a server. With `reset`, tests can empty the catalog.
pub(super) fn router<S: Operations>(
    door: Door<S>,
    catalog: Catalog,
    metrics: Arc<Metrics>,
    reset: bool,
) -> Router {
    let mut doors = Router::new().route("/", post(aws::<S>));
    if reset {
        doors = doors.route("/moto-api/reset", post(reset_all::<S>));
    }
    doors
        .with_state(Arc::new(door))
        .merge(Router::new().route("/readyz", get(readyz)).with_state(catalog))
        .merge(Router::new().route("/metrics", get(text)).with_state(metrics))
        .route("/livez", get(async || "ok"))
        .fallback(async || fault(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            fault(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method")
        })
        .layer(from_fn(identify))
}

/// Gives a request an id, which is in the answer and with all that is logged of it.
async fn identify(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let span = tracing::info_span!("request", id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn aws<S: Operations>(State(door): State<Arc<Door<S>>>, request: Request) -> Response {
    door.answer(request).await
}

async fn reset_all<S: Operations>(
    State(door): State<Arc<Door<S>>>,
    headers: HeaderMap,
) -> Result<Response, AwsError> {
    door.reset(&headers).await?;
    Ok(json(StatusCode::OK, &json!({ "status": "ok" })))
}

async fn readyz(State(catalog): State<Catalog>) -> Response {
    let text = match timeout(READY, catalog.databases()).await {
        Ok(Ok(_)) => return "ok".into_response(),
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("the catalog has not answered for {} s", READY.as_secs()),
    };
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Result<Response, AwsError> {
    let text = metrics.text().map_err(AwsError::internal)?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

fn fault(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "message": message }))
}

fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
