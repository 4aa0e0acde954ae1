//! The Flight SQL server over the wire: what the protocol promises and clients rely on.

mod ingest;
mod listener;
mod metadata;
mod prepared;
mod session;
mod statement;

use std::net::SocketAddr;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, FlightInfo, Ticket};
use boathouse_flight_server::{FlightServer, ServerConfig, ServerError};
use futures::TryStreamExt;
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Lake, values};

type Client = FlightSqlServiceClient<Channel>;

/// A query that runs until it is stopped.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10000000) a \
                       CROSS JOIN generate_series(1, 10000000) b WHERE a.value % 7 = b.value % 11";

/// A server in this process, over an empty lake.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServerError>>,
    _lake: Lake,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(ServerConfig::default()).await
    }

    async fn start_with(config: ServerConfig) -> Self {
        let lake = Lake::local().await;
        let config = ServerConfig { listen: ([127, 0, 0, 1], 0).into(), ..config };
        let server = FlightServer::bind(lake.engine.clone(), config).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or(()) };
        let serving = tokio::spawn(server.serve(stopped));
        Self { address, stop, serving, _lake: lake }
    }

    /// A client on a connection of its own.
    async fn connect(&self) -> Client {
        FlightSqlServiceClient::new(self.endpoint().connect().await.unwrap())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }
}

/// Announces and fetches a statement; its rows as text.
async fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    values(&fetch(client, &info).await.unwrap())
}

async fn fetch(client: &mut Client, info: &FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    client.do_get(ticket(info)).await?.try_collect().await
}

fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

/// Does an action with one answer.
async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Result<Vec<u8>, FlightError> {
    let action = Action { r#type: name.to_owned(), body: body.into() };
    let results: Vec<arrow_flight::Result> = client.do_action(action).await?.try_collect().await?;
    Ok(results[0].body.to_vec())
}

/// As [`act`], with protobuf messages.
async fn call<T: Message + Default>(
    client: &mut Client,
    name: &str,
    request: &impl Message,
) -> Result<T, FlightError> {
    Ok(T::decode(act(client, name, request.encode_to_vec()).await?.as_slice()).unwrap())
}

/// The status code and message of a failed call.
fn refusal<T>(outcome: Result<T, FlightError>) -> (Code, String) {
    match outcome.map(|_| ()).unwrap_err() {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => (Code::Unknown, other.to_string()),
    }
}
