//! The ways a statement can reach an engine; through each it has the same answer.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{SchemaRef, UInt64Type};
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use boathouse_engine::{Engine, QueryKind};
use boathouse_flight_server::{FlightServer, ServerConfig};
use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::support::{Lake, collect};

/// What leads to a lake's engine.
pub(crate) enum Door {
    Engine(Engine),
    Flight { address: SocketAddr, server: JoinHandle<()> },
}

impl Door {
    /// No door at all.
    pub(crate) fn engine(lake: &Lake) -> Self {
        Self::Engine(lake.engine.clone())
    }

    /// A Flight SQL server in this process.
    pub(crate) async fn flight(lake: &Lake) -> Self {
        let config = ServerConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServerConfig::default() };
        let server = FlightServer::bind(lake.engine.clone(), config).await.unwrap();
        let address = server.local_addr();
        let serving = async { server.serve(std::future::pending()).await.unwrap() };
        Self::Flight { address, server: tokio::spawn(serving) }
    }

    /// A new connection, or what is one without a network.
    pub(crate) async fn session(&self) -> Session {
        match self {
            Self::Engine(engine) => Session::Engine(engine.session()),
            Self::Flight { address, .. } => {
                let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
                let channel = endpoint.connect().await.unwrap();
                Session::Flight(Box::new(FlightSqlServiceClient::new(channel)))
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Self::Flight { server, .. } = self {
            server.abort();
        }
    }
}

/// One client's side.
pub(crate) enum Session {
    Engine(boathouse_engine::Session),
    Flight(Box<FlightSqlServiceClient<Channel>>),
}

/// What a statement gives: rows, or how many it changed.
pub(crate) enum Answer {
    Rows(SchemaRef, Vec<RecordBatch>),
    Count(u64),
}

impl Session {
    /// Runs one statement to its end; the error is the text that a person reads.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<Answer, String> {
        match self {
            Self::Engine(session) => on_engine(session, sql).await.map_err(|error| error.report()),
            Self::Flight(client) => through_flight(client, sql).await.map_err(message),
        }
    }
}

async fn on_engine(
    session: &boathouse_engine::Session,
    sql: &str,
) -> boathouse_engine::Result<Answer> {
    let query = session.query(sql).await?;
    let batches = collect(query.execute().await?).await?;
    Ok(match query.kind() {
        QueryKind::Rows => Answer::Rows(query.schema(), batches),
        QueryKind::RowCount => {
            Answer::Count(batches[0].column(0).as_primitive::<UInt64Type>().value(0))
        }
        QueryKind::Command => Answer::Count(0),
    })
}

async fn through_flight(
    client: &mut FlightSqlServiceClient<Channel>,
    sql: &str,
) -> Result<Answer, FlightError> {
    if changes_something(sql) {
        let count = client.execute_update(sql.to_owned(), None).await?;
        return Ok(Answer::Count(count.try_into().unwrap_or(0)));
    }
    let info = client.execute(sql.to_owned(), None).await?;
    let promised = Arc::new(info.clone().try_decode_schema()?);
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows = client.do_get(ticket).await?;
    let batches: Vec<RecordBatch> = rows.by_ref().try_collect().await?;
    assert_eq!(rows.schema(), Some(&promised), "the schema of the rows of {sql}");
    Ok(Answer::Rows(promised, batches))
}

/// Whether a client would send this as an update.
fn changes_something(sql: &str) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    let updates = [
        "COPY", "CREATE", "DELETE", "DROP", "INSERT", "MERGE", "RESET", "SET", "TRUNCATE",
        "UNLOAD", "UPDATE", "USE",
    ];
    updates.contains(&first.as_str())
}

fn message(error: FlightError) -> String {
    match error {
        FlightError::Tonic(status) => status.message().to_owned(),
        error => error.to_string(),
    }
}
