//! Record batches on their way to a client.
//!
//! One task pulls batches, slices them to the size of a message and hands them to the
//! connection through a channel of two messages: encoding overlaps with sending, and a slow
//! reader holds no more than these.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tonic::Status;

use crate::plain::conform;

/// Batches that are produced while they are fetched.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Status>>;

/// Messages that wait for the connection.
const WAITING: usize = 2;
/// gRPC's own limit.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize - 1_000_000;
/// Lengths of the IPC frame's prefix: a marker and the header's length.
const FRAME_PREFIX: usize = 8;

/// One Arrow IPC message. Its body still is the arrays' own buffers.
pub(crate) struct Message {
    /// The flatbuffer.
    pub(crate) header: Bytes,
    /// Concatenated, the data.
    pub(crate) body: Vec<Buffer>,
}

/// The messages of one stream, the schema first; an `Err` or `None` inside is the last item.
pub(crate) struct Messages {
    receiver: mpsc::Receiver<Result<Option<Message>, Status>>,
    producer: AbortHandle,
}

impl Drop for Messages {
    /// A client that goes away ends its query at once.
    fn drop(&mut self) {
        self.producer.abort();
    }
}

impl Messages {
    /// Starts to send `batches`, which have the types of `schema` or some that convert to them.
    ///
    /// When `stopped` resolves, the query stops and its status is the last item.
    pub(crate) fn start(
        batches: Batches,
        schema: SchemaRef,
        max_bytes: usize,
        stopped: impl Future<Output = Status> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            let outcome = tokio::select! {
                biased;
                status = stopped => Err(status),
                outcome = forward(batches, schema, max_bytes, &sender) => outcome,
            };
            // By now the query has stopped. Where nobody listens any more, nobody misses this.
            let _ = sender.send(outcome.map(|()| None)).await;
        });
        Self { receiver, producer: task.abort_handle() }
    }

    /// The next message. `None` in `Ok` is the good end; that no such end came is an error.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<Option<Message>, Status>> {
        self.receiver.poll_recv(cx).map(|item| {
            item.unwrap_or_else(|| Err(Status::internal("the query stopped unexpectedly")))
        })
    }
}

/// Messages inside of an answer's extensions, taken out once by whoever writes the body.
#[derive(Clone)]
pub(crate) struct Handover(Arc<Mutex<Option<Messages>>>);

impl Handover {
    pub(crate) fn new(messages: Messages) -> Self {
        Self(Arc::new(Mutex::new(Some(messages))))
    }

    pub(crate) fn take(&self) -> Option<Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn forward(
    mut batches: Batches,
    schema: SchemaRef,
    max_bytes: usize,
    sender: &mpsc::Sender<Result<Option<Message>, Status>>,
) -> Result<(), Status> {
    let mut encoder = Encoder::new(schema).map_err(encode_error)?;
    send(sender, encoder.schema_message()).await?;
    while let Some(batch) = batches.next().await {
        for slice in slices(encoder.conform(batch?)?, max_bytes) {
            let message = encoder.encode(&slice).map_err(encode_error)?;
            send(sender, message).await?;
        }
    }
    Ok(())
}

async fn send(
    sender: &mpsc::Sender<Result<Option<Message>, Status>>,
    message: Message,
) -> Result<(), Status> {
    let bytes: usize = message.body.iter().map(Buffer::len).sum();
    if MAX_MESSAGE_BYTES < bytes {
        return Err(Status::resource_exhausted(format!(
            "a row has {bytes} bytes, more than one message can carry"
        )));
    }
    let gone = |_| Status::cancelled("the client went away");
    sender.send(Ok(Some(message))).await.map_err(gone)
}

struct Encoder {
    schema: SchemaRef,
    ipc: StreamEncoder,
}

impl Encoder {
    fn new(schema: SchemaRef) -> Result<Self, ArrowError> {
        let mut ipc = StreamEncoder::try_new(&schema)?;
        // The first batch is preceded by an IPC frame with the schema, which Flight sends alone.
        ipc.encode(&RecordBatch::new_empty(Arc::clone(&schema)))?;
        Ok(Self { schema, ipc })
    }

    fn schema_message(&self) -> Message {
        let options = IpcWriteOptions::default();
        let data = FlightData::from(SchemaAsIpc::new(&self.schema, &options));
        Message { header: data.data_header, body: Vec::new() }
    }

    fn conform(&self, batch: RecordBatch) -> Result<RecordBatch, Status> {
        let same = batch.columns().iter().zip(self.schema.fields());
        match same.into_iter().all(|(column, field)| column.data_type() == field.data_type()) {
            true => Ok(batch),
            false => conform(&batch, &self.schema).map_err(encode_error),
        }
    }

    /// A batch without dictionaries is one IPC frame: prefix, header and padding, body.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Message, ArrowError> {
        let mut frame = self.ipc.encode(batch)?.into_iter();
        let mut head = Vec::new();
        while head.len() < FRAME_PREFIX || head.len() < FRAME_PREFIX + header_length(&head) {
            let part = frame.next().ok_or_else(|| {
                ArrowError::IpcError("a frame ended inside of its header".to_owned())
            })?;
            head.extend_from_slice(&part);
        }
        let header = Bytes::from(head).slice(FRAME_PREFIX..);
        Ok(Message { header, body: frame.collect() })
    }
}

fn header_length(frame: &[u8]) -> usize {
    let length = frame.get(4..FRAME_PREFIX).and_then(|bytes| bytes.try_into().ok());
    length.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
}

/// `batch` in pieces of at most `max_bytes`, or of one row where a row is larger.
fn slices(batch: RecordBatch, max_bytes: usize) -> Vec<RecordBatch> {
    let mut slices = Vec::new();
    let mut rest = vec![batch];
    while let Some(batch) = rest.pop() {
        let rows = batch.num_rows();
        let parts = bytes(&batch).div_ceil(max_bytes).min(rows);
        match parts {
            0 if rows == 0 => {}
            0 | 1 => slices.push(batch),
            _ => {
                let each = rows.div_ceil(parts);
                let starts = (0..rows).step_by(each).rev();
                rest.extend(starts.map(|start| batch.slice(start, each.min(rows - start))));
            }
        }
    }
    slices
}

fn bytes(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| column.get_buffer_memory_size())
    };
    batch.columns().iter().map(size).sum()
}

fn encode_error(error: ArrowError) -> Status {
    tracing::error!("could not encode a result: {error}");
    Status::internal(format!("could not encode the result: {error}"))
}

/// A stream of one batch that is there already.
pub(crate) fn ready(batches: Vec<RecordBatch>) -> Batches {
    futures::stream::iter(batches.into_iter().map(Ok)).boxed()
}

/// For a [`Handover`]: what the trait's signature wants beside it.
pub(crate) fn nothing() -> impl Stream<Item = Result<FlightData, Status>> + Send {
    futures::stream::empty()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{Int64Array, StringArray};
    use arrow_flight::decode::FlightRecordBatchStream;

    use super::*;

    fn skewed() -> RecordBatch {
        let texts = (0..1000).map(|i| if i == 500 { "x".repeat(100_000) } else { i.to_string() });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        RecordBatch::try_from_iter([("t", texts), ("n", numbers)]).unwrap()
    }

    #[test]
    fn only_a_single_row_is_larger_than_a_message_may_be() {
        let batch = skewed();
        let slices = slices(batch.clone(), 4096);
        for slice in &slices {
            assert!(bytes(slice) <= 4096 || slice.num_rows() == 1);
        }
        let joined = arrow::compute::concat_batches(&batch.schema(), &slices).unwrap();
        assert_eq!(joined, batch);
    }

    /// Endless batches, and how many of them were pulled.
    fn endless() -> (Batches, SchemaRef, Arc<()>, Arc<AtomicUsize>) {
        let (alive, pulled) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
        let batch = skewed();
        let schema = batch.schema();
        let (held, count) = (Arc::clone(&alive), Arc::clone(&pulled));
        let batches = futures::stream::repeat_with(move || {
            let _ = &held;
            count.fetch_add(1, Ordering::Relaxed);
            Ok(batch.clone())
        });
        (batches.boxed(), schema, alive, pulled)
    }

    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_slow_reader_holds_few_batches_and_a_gone_one_none() {
        let (batches, schema, alive, pulled) = endless();
        let messages = Messages::start(batches, schema, 1 << 20, std::future::pending());
        settle().await;
        assert!((1..=WAITING + 1).contains(&pulled.load(Ordering::Relaxed)), "{pulled:?}");
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(messages);
        settle().await;
        assert_eq!(Arc::strong_count(&alive), 1, "the query still runs");
    }

    #[tokio::test]
    async fn a_stopped_query_is_gone_before_its_reader_reads_on() {
        let (batches, schema, alive, _) = endless();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
            Status::cancelled("stop")
        };
        let mut messages = Messages::start(batches, schema, 1 << 20, stopped);
        settle().await;
        stop.send(()).unwrap();
        settle().await;
        assert_eq!(Arc::strong_count(&alive), 1, "the query still runs");
        let end = loop {
            match std::future::poll_fn(|cx| messages.poll_next(cx)).await {
                Ok(message) => assert!(message.is_some(), "a stopped stream ended well"),
                Err(status) => break status,
            }
        };
        assert_eq!(end.message(), "stop");
    }

    #[tokio::test]
    async fn what_is_encoded_decodes_to_the_same() {
        let batch = skewed();
        let mut encoder = Encoder::new(batch.schema()).unwrap();
        let mut messages = vec![encoder.schema_message()];
        for slice in slices(batch.slice(100, 800), 4096) {
            messages.push(encoder.encode(&slice).unwrap());
        }
        let data = messages.into_iter().map(|message| {
            let body: Vec<u8> = message.body.iter().flat_map(|part| part.to_vec()).collect();
            Ok(FlightData::new().with_data_header(message.header).with_data_body(body))
        });
        let stream = FlightRecordBatchStream::new_from_flight_data(futures::stream::iter(data));
        let decoded: Vec<RecordBatch> = stream.map(Result::unwrap).collect().await;
        let joined = arrow::compute::concat_batches(&batch.schema(), &decoded).unwrap();
        assert_eq!(joined, batch.slice(100, 800));
    }
}
