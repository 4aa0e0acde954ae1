//! A lake that is served over Arrow Flight SQL.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    CommandStatementQuery, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    IpcMessage, Ticket,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use boathouse_engine::QueryKind;
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::percent_decode_str;
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use url::Url;

use super::{Answer, Rows, Watch};
use crate::failure::{Failure, Result};
use crate::statements;

/// How long to wait for a server to answer at first.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// How long to wait for a goodbye to be heard.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How often to see whether an idle server is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A connection to a server. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: FlightServiceClient<Channel>,
    address: String,
    session: Mutex<SessionState>,
}

/// What the server tells apart its clients by, and what we know of its state.
#[derive(Debug)]
struct SessionState {
    token: Option<String>,
    cookies: BTreeMap<String, String>,
    database: String,
}

/// A query that the server runs for us.
pub(crate) type RunningQuery = Arc<FlightInfo>;

/// What will come of `sql`, as far as its first word tells.
pub(super) fn kind(sql: &str) -> QueryKind {
    match statements::first_word(sql).as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "COPY" => QueryKind::RowCount,
        "CREATE" | "DROP" | "ALTER" | "COMMENT" | "GRANT" | "REVOKE" | "USE" | "SET" | "RESET" => {
            QueryKind::Command
        }
        _ => QueryKind::Rows,
    }
}

impl Remote {
    /// Connects to `url`, as in `grpc://user:password@host:port`.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let usage = |why: &str| {
            Failure::Usage(format!("{why}; a server's address looks like grpc://127.0.0.1:8815"))
        };
        let url = Url::parse(url).map_err(|error| usage(&format!("{url:?}: {error}")))?;
        if !matches!(url.scheme(), "grpc" | "grpc+tcp") {
            return Err(usage(&format!("cannot connect by {}://", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| usage("the address has no host"))?;
        let port = url.port().ok_or_else(|| usage("the address has no port"))?;
        let address = format!("{host}:{port}");
        let place = address.clone();
        let unreachable =
            move |why: &str| Failure::Unreachable(format!("cannot connect to {place}: {why}"));

        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| usage(&chain(&error)))?
            .connect_timeout(CONNECT_WAIT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = tokio::time::timeout(CONNECT_WAIT, endpoint.connect())
            .await
            .map_err(|_| unreachable("no answer in 5 seconds"))?
            .map_err(|error| unreachable(&innermost(&error)))?;
        let client = FlightServiceClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let session =
            SessionState { token: None, cookies: BTreeMap::new(), database: "default".to_owned() };
        let remote = Self(Arc::new(Shared { client, address, session: session.into() }));
        if !url.username().is_empty() {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let user = decoded(url.username());
            let password = decoded(url.password().unwrap_or_default());
            tokio::time::timeout(CONNECT_WAIT, remote.handshake(&user, &password))
                .await
                .map_err(|_| unreachable("no answer in 5 seconds"))??;
        }
        Ok(remote)
    }

    /// The database that bare table names belong to.
    pub(super) fn database(&self) -> String {
        self.session().database.clone()
    }

    /// Runs a statement that returns rows.
    pub(super) async fn query(&self, sql: &str) -> Result<Answer> {
        let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let reply = self.client().get_flight_info(self.request(descriptor)).await;
        let info = self.heard(reply)?;
        let schema = match info.schema.is_empty() {
            true => Schema::empty(),
            false => Schema::try_from(IpcMessage(info.schema.clone()))
                .map_err(|error| Failure::Failed(format!("the server sent no schema: {error}")))?,
        };
        let tickets: Vec<Ticket> =
            info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.clone()).collect();
        let remote = self.clone();
        let batches = stream::iter(tickets)
            .then(move |ticket| {
                let remote = remote.clone();
                async move { remote.batches(ticket).await }
            })
            .try_flatten();
        Ok(Answer::Rows(Rows {
            schema: Arc::new(schema),
            batches: Box::pin(batches),
            watch: Watch::Remote(self.clone(), Arc::new(info)),
        }))
    }

    async fn batches(
        &self,
        ticket: Ticket,
    ) -> Result<impl futures::Stream<Item = Result<arrow::array::RecordBatch>> + use<>> {
        let reply = self.client().do_get(self.request(ticket)).await;
        let flight_data = self.heard(reply)?.map_err(FlightError::from);
        let remote = self.clone();
        Ok(FlightRecordBatchStream::new_from_flight_data(flight_data)
            .map_err(move |error| remote.flight_failure(error)))
    }

    /// Runs a statement that returns none. The number of changed rows comes back.
    pub(super) async fn update(&self, sql: &str) -> Result<u64> {
        let command = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let data = FlightData { flight_descriptor: Some(descriptor), ..FlightData::default() };
        let reply = self.client().do_put(self.request(stream::iter([data]))).await;
        let mut results = self.heard(reply)?;
        let result = results.message().await.map_err(|status| self.failure(&status))?;
        let result = result.map(|result| DoPutUpdateResult::decode(&*result.app_metadata));
        let count = match result {
            Some(Ok(result)) => result.record_count,
            _ => 0,
        };
        self.note_database(sql);
        Ok(count.try_into().unwrap_or_default())
    }

    /// Asks the server to end a query.
    pub(super) async fn cancel(&self, query: &RunningQuery) {
        let request = CancelFlightInfoRequest { info: Some(FlightInfo::clone(query)) };
        self.act("CancelFlightInfo", request.encode_to_vec()).await;
    }

    /// Asks the server to forget us, if it has something to forget.
    pub(super) async fn close(&self) {
        let is_known = {
            let session = self.session();
            session.token.is_some() || !session.cookies.is_empty()
        };
        if is_known {
            let _ = tokio::time::timeout(CLOSE_WAIT, self.act("CloseSession", Vec::new())).await;
        }
    }

    /// An action whose result we need not know.
    async fn act(&self, name: &str, body: Vec<u8>) {
        let action = Action { r#type: name.to_owned(), body: body.into() };
        let reply = self.client().do_action(self.request(action)).await;
        if let Ok(mut results) = self.heard(reply) {
            let _ = results.message().await;
        }
    }

    async fn handshake(&self, user: &str, password: &str) -> Result<()> {
        let mut request = self.request(stream::iter([HandshakeRequest::default()]));
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        if let Ok(value) = MetadataValue::try_from(basic) {
            request.metadata_mut().insert("authorization", value);
        }
        let reply = self.client().handshake(request).await;
        let mut answers = self.heard(reply)?;
        while answers.message().await.map_err(|status| self.failure(&status))?.is_some() {}
        Ok(())
    }

    /// `message` with what tells the server who we are.
    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let session = self.session();
        let mut insert = |name: &'static str, text: String| {
            if let Ok(value) = MetadataValue::try_from(text) {
                request.metadata_mut().insert(name, value);
            }
        };
        if let Some(token) = &session.token {
            insert("authorization", format!("Bearer {token}"));
        }
        if !session.cookies.is_empty() {
            let cookies = session.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            insert("cookie", cookies.collect::<Vec<_>>().join("; "));
        }
        drop(session);
        request
    }

    /// The message of a reply, after its headers were read.
    fn heard<M>(&self, reply: Result<tonic::Response<M>, Status>) -> Result<M> {
        let reply = reply.map_err(|status| self.failure(&status))?;
        self.remember(reply.metadata());
        Ok(reply.into_inner())
    }

    fn remember(&self, metadata: &MetadataMap) {
        let mut session = self.session();
        let bearer = metadata.get("authorization").and_then(|value| value.to_str().ok());
        if let Some(token) = bearer.and_then(|value| value.strip_prefix("Bearer ")) {
            session.token = Some(token.to_owned());
        }
        for cookie in metadata.get_all("set-cookie") {
            let Ok(text) = cookie.to_str() else { continue };
            let pair = text.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            match value.trim() {
                "" => session.cookies.remove(name.trim()),
                value => session.cookies.insert(name.trim().to_owned(), value.to_owned()),
            };
        }
    }

    /// The server does not tell the current database; USE is what changes it.
    fn note_database(&self, sql: &str) {
        if statements::first_word(sql) != "USE" {
            return;
        }
        let tokens = statements::tokens(sql);
        if let Some(name) = tokens.iter().rfind(|token| !token.is_blank()) {
            self.session().database = statements::unquoted(name.text(sql));
        }
    }

    /// For one call: clones of a client share its connection.
    fn client(&self) -> FlightServiceClient<Channel> {
        self.0.client.clone()
    }

    fn session(&self) -> MutexGuard<'_, SessionState> {
        // A panic cannot leave half a change here.
        self.0.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flight_failure(&self, error: FlightError) -> Failure {
        match error {
            FlightError::Tonic(status) => self.failure(&status),
            other => Failure::Failed(format!("the server's answer makes no sense: {other}")),
        }
    }

    fn failure(&self, status: &Status) -> Failure {
        let is_lost = status.source().is_some();
        match status.code() {
            Code::Unauthenticated => Failure::Unreachable(status.message().to_owned()),
            _ if is_lost => Failure::Unreachable(format!(
                "lost the connection to {}: {}",
                self.0.address,
                innermost(status)
            )),
            _ => Failure::Failed(status.message().to_owned()),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Why, at the root: the layers above say "transport error" and the like.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(error) = last.source() {
        last = error;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_tells_what_comes_of_a_statement() {
        assert_eq!(kind("-- x\nSELECT 1"), QueryKind::Rows);
        assert_eq!(kind("insert into t values (1)"), QueryKind::RowCount);
        assert_eq!(kind("CREATE TABLE t AS SELECT 1"), QueryKind::Command);
        assert_eq!(kind("EXPLAIN INSERT INTO t VALUES (1)"), QueryKind::Rows);
    }

    #[tokio::test]
    async fn an_address_must_be_one() {
        for url in ["127.0.0.1:8815", "http://127.0.0.1:8815", "grpc://127.0.0.1", "grpc://"] {
            let failure = Remote::connect(url).await.unwrap_err();
            assert!(matches!(failure, Failure::Usage(_)), "{url}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn no_server_is_not_a_usage_error() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failure = Remote::connect(&format!("grpc://{free}")).await.unwrap_err();
        let Failure::Unreachable(text) = failure else { panic!("{failure:?}") };
        assert!(text.starts_with(&format!("cannot connect to {free}: ")), "{text}");
    }
}
