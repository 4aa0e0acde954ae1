//! Record batches that a client sends: never trusted.

use std::panic::AssertUnwindSafe;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::ipc::{MessageHeader, root_as_message};
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use futures::stream::BoxStream;
use futures::{StreamExt, future};
use tonic::Status;

/// Rows in one record batch, and values in one array.
const MAX_LENGTH: i64 = 1 << 26;
/// Bytes that one compressed record batch may unpack to.
const MAX_UNPACKED_BYTES: i64 = 1 << 28;

/// A stream of record batches from a client.
///
/// Each batch is checked in full, so what comes out of here is valid whatever was sent.
pub(crate) struct Upload {
    schema: Option<SchemaRef>,
    messages: BoxStream<'static, Result<DecodedPayload, Status>>,
}

impl Upload {
    /// Reads up to the schema, if there is one.
    pub(crate) async fn open(stream: PeekableFlightDataStream) -> Result<Self, Status> {
        let mut messages = decode(stream);
        let schema = match messages.next().await.transpose()? {
            Some(DecodedPayload::Schema(schema)) => Some(schema),
            Some(_) => return Err(invalid("a record batch came before its schema")),
            None => None,
        };
        Ok(Self { schema, messages })
    }

    /// The schema of all batches; `None` if the client sent no data at all.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch, Status>> {
        match self.messages.next().await? {
            Ok(DecodedPayload::RecordBatch(batch)) => Some(Ok(batch)),
            Ok(_) => Some(Err(invalid("a second schema came in one stream"))),
            Err(status) => Some(Err(status)),
        }
    }
}

fn decode(stream: PeekableFlightDataStream) -> BoxStream<'static, Result<DecodedPayload, Status>> {
    let checked = stream.filter_map(|message| {
        future::ready(match message {
            Ok(data) if data.data_header.is_empty() && data.data_body.is_empty() => None,
            Ok(data) => Some(check_sizes(&data).map(|()| data).map_err(FlightError::from)),
            Err(status) => Some(Err(FlightError::from(status))),
        })
    });
    // The decoder can panic on hostile input. It is not used again after that.
    let decoder = AssertUnwindSafe(FlightDataDecoder::new(checked)).catch_unwind();
    let payloads = decoder.filter_map(|outcome| {
        future::ready(match outcome {
            Ok(Ok(decoded)) => check(decoded.payload).transpose(),
            Ok(Err(error)) => Some(Err(decode_error(error))),
            Err(_panic) => Some(Err(invalid("the record batch is malformed"))),
        })
    });
    payloads.boxed()
}

fn check(payload: DecodedPayload) -> Result<Option<DecodedPayload>, Status> {
    match payload {
        DecodedPayload::None => Ok(None),
        DecodedPayload::Schema(schema) => Ok(Some(DecodedPayload::Schema(schema))),
        DecodedPayload::RecordBatch(batch) => {
            validate(&batch)?;
            Ok(Some(DecodedPayload::RecordBatch(batch)))
        }
    }
}

fn validate(batch: &RecordBatch) -> Result<(), Status> {
    let checked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        batch.columns().iter().try_for_each(|column| column.to_data().validate_full())
    }));
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(invalid(&error.to_string())),
        Err(_panic) => Err(invalid("the record batch is malformed")),
    }
}

/// Refuses lengths that the decoder would allocate for before it looks at the data.
fn check_sizes(data: &FlightData) -> Result<(), Status> {
    let message = root_as_message(&data.data_header).map_err(|error| {
        invalid(&format!("a message's header is not an Arrow IPC message: {error}"))
    })?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => {
            message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data())
        }
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    let allowed = 0..=MAX_LENGTH;
    let mut lengths =
        batch.nodes().into_iter().flatten().map(|node| node.length()).chain([batch.length()]);
    if !lengths.all(|length| allowed.contains(&length)) {
        return Err(invalid(&format!("a record batch may hold at most {MAX_LENGTH} rows")));
    }
    let mut unpacked = 0_i64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = body_part(&data.data_body, buffer.offset(), buffer.length())?;
        if let (Some(_), Some(size)) = (batch.compression(), bytes.first_chunk()) {
            unpacked = unpacked.saturating_add(i64::from_le_bytes(*size).max(0));
        }
    }
    match unpacked <= MAX_UNPACKED_BYTES {
        true => Ok(()),
        false => Err(invalid(&format!(
            "a compressed record batch may unpack to at most {MAX_UNPACKED_BYTES} bytes"
        ))),
    }
}

fn body_part(body: &[u8], offset: i64, length: i64) -> Result<&[u8], Status> {
    let part = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
    part.and_then(|(offset, length)| body.get(offset..offset.checked_add(length)?))
        .ok_or_else(|| invalid("a buffer lies outside of its message"))
}

fn decode_error(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => invalid(&other.to_string()),
    }
}

fn invalid(fact: &str) -> Status {
    Status::invalid_argument(format!("the uploaded data cannot be read: {fact}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};
    use arrow_flight::utils::batches_to_flight_data;

    use super::*;

    fn batch_message() -> FlightData {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        batches_to_flight_data(&batch.schema(), vec![batch]).unwrap().remove(1)
    }

    #[test]
    fn a_good_batch_passes() {
        check_sizes(&batch_message()).unwrap();
    }

    #[test]
    fn a_truncated_body_is_refused() {
        let mut message = batch_message();
        message.data_body.truncate(4);
        let status = check_sizes(&message).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_damaged_header_is_refused() {
        let mut message = batch_message();
        message.data_header = message.data_header.slice(..20);
        let status = check_sizes(&message).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
