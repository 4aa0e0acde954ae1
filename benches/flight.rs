//! Rows a second over Flight: `boathouse serve` on a Parquet file, against a bare Arrow Flight
//! server that sends the same rows from memory, and against the query without a network.
//!
//! Each server is a process of its own, the client is one code, and the three take turns.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use boathouse_datasets::tpch;
use boathouse_engine::{Engine, Session};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

/// The word that makes this program a bare server.
pub(crate) const BARE_SERVER: &str = "bare-flight-server";

const TABLE: &str = "lineitem";
const SQL: &str = "SELECT * FROM lineitem";

#[tokio::main]
pub(crate) async fn compare(scale: f64, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (schema, batches) = (tpch::schema(TABLE), tpch::batches(TABLE, scale, 1, 1));
    boathouse_datasets::files::write_table(folder.path(), TABLE, schema.unwrap(), batches.unwrap())
        .unwrap();
    let place = folder.path().join(TABLE);
    let create =
        format!("CREATE EXTERNAL TABLE {TABLE} STORED AS PARQUET LOCATION '{}/'", place.display());

    let embedded = folder.path().join("embedded");
    std::fs::create_dir(&embedded).unwrap();
    let engine = Engine::open(crate::config(&embedded, 0)).await.unwrap();
    let session = engine.session();
    session.query(&create).await.unwrap().execute().await.unwrap();

    let (_boathouse, address) = boathouse(&folder.path().join("served"));
    let mut served = FlightSqlServiceClient::new(connect(address).await);
    served.execute_update(create, None).await.unwrap();

    let (_bare, address) = bare(&place);
    let mut memory = FlightSqlServiceClient::new(connect(address).await);

    let mut times: [Vec<f64>; 3] = Default::default();
    let mut rows = 0;
    for round in 0..=rounds {
        let (served_rows, served_time) = timed(through_boathouse(&mut served)).await;
        let (memory_rows, memory_time) = timed(drain(&mut memory, Ticket::default())).await;
        let (engine_rows, engine_time) = timed(without_a_network(&session)).await;
        assert!(served_rows == memory_rows && served_rows == engine_rows);
        rows = served_rows;
        if round > 0 {
            // Round 0 warms up.
            times[0].push(served_time.as_secs_f64());
            times[1].push(memory_time.as_secs_f64());
            times[2].push(engine_time.as_secs_f64());
        }
    }
    engine.close().await;

    println!("{rows} rows of {TABLE} at scale {scale}, median of {rounds} rounds");
    let medians = times.map(median);
    let names = ["boathouse serve", "bare Flight server, from memory", "the query, no network"];
    for (name, seconds) in names.iter().zip(medians) {
        println!(
            "{name:<32} {seconds:>7.3} s  {:>6.2} million rows/s",
            rows as f64 / seconds / 1e6
        );
    }
    println!("boathouse : bare = {:.2}", medians[0] / medians[1]);
}

async fn timed(rows: impl Future<Output = usize>) -> (usize, Duration) {
    let began = Instant::now();
    let rows = rows.await;
    (rows, began.elapsed())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

async fn through_boathouse(client: &mut FlightSqlServiceClient<Channel>) -> usize {
    let info = client.execute(SQL.to_owned(), None).await.unwrap();
    drain(client, info.endpoint[0].ticket.clone().unwrap()).await
}

/// Receives and decodes every batch.
async fn drain(client: &mut FlightSqlServiceClient<Channel>, ticket: Ticket) -> usize {
    let batches = client.do_get(ticket).await.unwrap();
    batches.try_fold(0, async |rows, batch| Ok(rows + batch.num_rows())).await.unwrap()
}

async fn without_a_network(session: &Session) -> usize {
    let batches = session.query(SQL).await.unwrap().execute().await.unwrap();
    batches.try_fold(0, async |rows, batch| Ok(rows + batch.num_rows())).await.unwrap()
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    for _ in 0..200 {
        if let Ok(channel) = endpoint.connect().await {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing listens on {address}");
}

/// A server process that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn boathouse(data_dir: &Path) -> (Running, SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_boathouse"))
        .args(["serve", "--flight", &free.to_string(), "--http", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::null())
        .spawn();
    (Running(child.unwrap()), free)
}

fn bare(table: &Path) -> (Running, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(BARE_SERVER)
        .arg(table)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (Running(child), address.trim().parse().unwrap())
}

/// Reads a folder of Parquet files into memory, says where it listens, and sends the rows to
/// whoever asks.
#[tokio::main]
pub(crate) async fn bare_server(table: &Path) {
    let mut batches = Vec::new();
    for entry in table.read_dir().unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let rows = reader.with_batch_size(8192).build().unwrap();
        batches.extend(rows.map(Result::unwrap));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    Server::builder()
        .add_service(FlightServiceServer::new(Bare(batches)))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}

struct Bare(Vec<RecordBatch>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

fn refused<T>() -> Answer<T> {
    Err(Status::unimplemented("a bare server only sends rows"))
}

#[tonic::async_trait]
impl FlightService for Bare {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn do_get(&self, _: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let batches = stream::iter(self.0.clone()).map(Ok);
        let messages = FlightDataEncoderBuilder::new().build(batches).map_err(Status::from);
        Ok(Response::new(Box::pin(messages)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Self::HandshakeStream> {
        refused()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        refused()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        refused()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        refused()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        refused()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        refused()
    }

    async fn do_action(&self, _: Request<Action>) -> Answer<Self::DoActionStream> {
        refused()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        refused()
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Answer<Self::DoExchangeStream> {
        refused()
    }
}
