//! A store whose answers about Delta logs are wrong by chance.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use boathouse_engine::StoreLayer;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong, and how often it did. Without changes nothing does.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) random: Mutex<u64>,
    /// Of writes of log entries, per mille.
    pub(crate) writes: u64,
    /// Of reads of log entries, per mille.
    pub(crate) reads: u64,
    /// The next write is applied; from then on the store doesn't answer.
    pub(crate) cuts_off: AtomicBool,
    pub(crate) cut_off: AtomicBool,
    pub(crate) over: AtomicBool,
    /// The store takes conditional writes for plain ones.
    pub(crate) overwrites: bool,
    pub(crate) happened: AtomicU64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(seed),
            writes: 0,
            reads: 0,
            cuts_off: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            over: AtomicBool::new(false),
            overwrites: false,
            happened: AtomicU64::new(0),
        }
    }

    pub(crate) fn layer(self: &Arc<Self>) -> StoreLayer {
        let faults = self.clone();
        Arc::new(move |inner| Arc::new(Faulty { inner, faults: faults.clone() }))
    }

    /// A number below `n`; SplitMix64, so that a seed is a run.
    fn below(&self, n: u64) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn strikes(&self, per_mille: u64) -> bool {
        let strikes = !self.over.load(Ordering::Relaxed) && self.below(1000) < per_mille;
        self.happened.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// From now on the store does what it should.
    pub(crate) fn reconnect(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.cuts_off.store(false, Ordering::Relaxed);
        self.cut_off.store(false, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl Faulty {
    /// One of the ways in which a store's answer says nothing about what it did.
    async fn ambiguous(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        let put = self.inner.put_opts(at, bytes, how);
        match self.faults.below(6) {
            0 => Err(failed("503 Service Unavailable, not applied")),
            1 => put.await.and(Err(failed("500 Internal Server Error, applied"))),
            // What a client hears of its own second request.
            2 => put.await.and(Err(taken(at, "412 Precondition Failed"))),
            3 => Err(taken(at, "409 Conflict")),
            4 => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(failed("timed out, not applied"))
            }
            _ => put.await.and(Err(failed("connection reset, applied"))),
        }
    }
}

fn failed(how: &str) -> Error {
    Error::Generic { store: "faulty", source: how.into() }
}

fn taken(at: &Path, how: &str) -> Error {
    Error::AlreadyExists { path: at.to_string(), source: how.into() }
}

fn is_entry(at: &Path) -> bool {
    at.as_ref().contains("/_delta_log/") && at.as_ref().ends_with(".json")
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        if self.faults.overwrites {
            let how = PutOptions { mode: PutMode::Overwrite, ..how };
            return self.inner.put_opts(at, bytes, how).await;
        }
        if is_entry(at) && self.faults.cuts_off.load(Ordering::Relaxed) {
            self.faults.cut_off.store(true, Ordering::Relaxed);
            return self.inner.put_opts(at, bytes, how).await.and(Err(failed("reset, applied")));
        }
        match is_entry(at) && self.faults.strikes(self.faults.writes) {
            true => self.ambiguous(at, bytes, how).await,
            false => self.inner.put_opts(at, bytes, how).await,
        }
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        let is_entry = is_entry(at);
        let fails = |faults: &Faults| faults.is_cut_off() || faults.strikes(faults.reads);
        match is_entry && fails(&self.faults) {
            true => Err(failed("503 Service Unavailable")),
            false => self.inner.get_opts(at, how).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
