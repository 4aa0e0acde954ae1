//! Answers of stores, and what is made of them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutPayload, PutResult, Result as StoreResult,
};

use super::*;

/// What a store does with one request to put something.
#[derive(Clone, Copy, Debug)]
pub(in crate::commit) enum Answer {
    Honest,
    /// It fails before anything is done.
    Fails,
    /// It is done, and fails.
    DoneAndFails,
    /// It is done, and says that the key is taken, as a client hears that sends it twice.
    DoneAndTaken,
    /// It isn't done and says that the key is taken, as S3's 409 does.
    Busy,
    /// Somebody else's entry is there first.
    Overtaken,
    Denied,
    Never,
    /// Whatever the condition.
    Overwrites,
}

/// A store in memory that answers puts as it's told.
#[derive(Debug)]
pub(in crate::commit) struct Scripted {
    inner: InMemory,
    puts: Mutex<VecDeque<Answer>>,
    then: Answer,
    failing_reads: Mutex<u32>,
}

impl Scripted {
    pub(in crate::commit) fn new(puts: &[Answer], then: Answer) -> Self {
        Self {
            inner: InMemory::new(),
            puts: Mutex::new(puts.iter().copied().collect()),
            then,
            failing_reads: Mutex::new(0),
        }
    }

    async fn settle(&self) -> Result<Settled, Unsettled> {
        let limits = Limits {
            attempts: 10,
            time: Duration::from_millis(500),
            pause: Duration::from_micros(10),
            pause_max: Duration::from_millis(1),
        };
        settle(self, &entry(), &Bytes::from_static(b"ours"), limits).await
    }

    async fn kept(&self) -> Bytes {
        self.inner.get(&entry()).await.unwrap().bytes().await.unwrap()
    }
}

fn entry() -> Path {
    Path::from("_delta_log/00000000000000000007.json")
}

fn failed() -> object_store::Error {
    object_store::Error::Generic { store: "scripted", source: "503".into() }
}

#[tokio::test]
async fn an_entry_is_ours_whatever_the_store_says() {
    use Answer::*;
    for puts in [
        &[Honest][..],
        &[Fails],
        &[DoneAndFails],
        &[DoneAndTaken],
        &[Busy],
        &[Busy, Busy, Fails, DoneAndFails],
        &[Fails, DoneAndTaken],
        &[Fails; 9],
    ] {
        let store = Scripted::new(puts, Honest);
        assert_eq!(store.settle().await.unwrap(), Settled::Ours, "{puts:?}");
        assert_eq!(store.kept().await, "ours");
    }
}

#[tokio::test]
async fn an_entry_of_others_is_never_ours() {
    for puts in [&[Answer::Overtaken][..], &[Answer::Fails, Answer::Overtaken]] {
        let store = Scripted::new(puts, Answer::Honest);
        assert_eq!(store.settle().await.unwrap(), Settled::Theirs);
        assert_eq!(store.kept().await, "theirs");
    }
}

#[tokio::test]
async fn a_store_that_goes_on_failing_leaves_it_unknown() {
    for then in [Answer::Fails, Answer::Busy, Answer::Never] {
        let outcome = Scripted::new(&[], then).settle().await;
        assert!(matches!(outcome, Err(Unsettled::Unknown(_))), "{then:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_is_refused_at_once_isnt_there() {
    let store = Scripted::new(&[Answer::Denied; 2], Answer::Honest);
    let outcome = store.settle().await;
    assert!(matches!(outcome, Err(Unsettled::Refused(_))), "{outcome:?}");
    assert_eq!(store.puts.lock().unwrap().len(), 1, "it is asked once");
    // But not where an earlier request may have got through.
    let outcome = Scripted::new(&[Answer::Fails], Answer::Denied).settle().await;
    assert!(matches!(outcome, Err(Unsettled::Unknown(_))), "{outcome:?}");
}

#[tokio::test]
async fn reads_that_fail_leave_it_open_until_one_succeeds() {
    let store = Scripted::new(&[Answer::DoneAndFails], Answer::Honest);
    *store.failing_reads.lock().unwrap() = 3;
    assert_eq!(store.settle().await.unwrap(), Settled::Ours);
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        how: PutOptions,
    ) -> StoreResult<PutResult> {
        let next = self.puts.lock().unwrap().pop_front().unwrap_or(self.then);
        let path = at.to_string();
        let taken = || object_store::Error::AlreadyExists { path, source: "409".into() };
        match next {
            Answer::Honest => self.inner.put_opts(at, bytes, how).await,
            Answer::Fails => Err(failed()),
            Answer::DoneAndFails => self.inner.put_opts(at, bytes, how).await.and(Err(failed())),
            Answer::DoneAndTaken => self.inner.put_opts(at, bytes, how).await.and(Err(taken())),
            Answer::Busy => Err(taken()),
            Answer::Overtaken => self.inner.put(at, "theirs".into()).await.and(Err(failed())),
            Answer::Denied => {
                let path = at.to_string();
                Err(object_store::Error::PermissionDenied { path, source: "403".into() })
            }
            Answer::Never => futures::future::pending().await,
            Answer::Overwrites => self.inner.put_opts(at, bytes, PutOptions::default()).await,
        }
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> StoreResult<GetResult> {
        let fails = {
            let mut failing = self.failing_reads.lock().unwrap();
            let fails = *failing > 0;
            *failing = failing.saturating_sub(1);
            fails
        };
        if fails { Err(failed()) } else { self.inner.get_opts(at, how).await }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
