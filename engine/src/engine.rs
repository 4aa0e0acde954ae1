//! The engine of one process: catalog, stores, memory and threads that its sessions share.

use std::sync::Arc;

use boathouse_catalog::Catalog;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use url::Url;

use crate::commit::Commits;
use crate::compact::AutoCompaction;
use crate::config::EngineConfig;
use crate::hidden::Hidden;
use crate::not_in::NotIn;
use crate::scan::{DeltaTables, IcebergTables};
use crate::session::Session;
use crate::stores::{StoreLayer, Stores, folder_url, location_url};
use crate::{Error, ErrorKind, Result};

/// Planning recurses as deep as the SQL is nested.
const STACK_BYTES: usize = 16 << 20;
/// Statements that are planned at once; others wait for a thread.
const BLOCKING_THREADS_MAX: usize = 64;

/// One per process, shared by all its sessions. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Hidden<Shared>);

/// What the sessions of an engine share.
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) stores: Arc<Stores>,
    pub(crate) lake: Url,
    /// What each query's state is cloned from.
    pub(crate) base_state: SessionState,
    pub(crate) delta_tables: Arc<DeltaTables>,
    pub(crate) commits: Arc<Commits>,
    pub(crate) iceberg_tables: IcebergTables,
    pub(crate) compactions: AutoCompaction,
    /// Where queries run.
    pub(crate) queries: Handle,
    /// Where requests to stores run; its blocking threads are those of `on_own_thread`.
    io: Handle,
    /// Declared last: the threads end after everything that runs on them is gone.
    #[expect(dead_code, reason = "it is held for its drop")]
    runtimes: Runtimes,
}

struct Runtimes {
    queries: Option<Runtime>,
    io: Option<Runtime>,
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        // A plain drop waits for running tasks, and panics on a runtime's own thread.
        for runtime in [self.queries.take(), self.io.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Opens the catalog (made where there is none) and starts the query threads.
    pub async fn open(config: EngineConfig) -> Result<Engine> {
        Self::open_with(config, None).await
    }

    /// As [`Engine::open`], with `layer` over each of its stores: for tests of what it does when a
    /// store fails.
    pub async fn open_with(config: EngineConfig, layer: Option<StoreLayer>) -> Result<Engine> {
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(2, |n| n.get()),
            threads => threads,
        };
        let queries = runtime("query", threads)?;
        let queries_handle = queries.handle().clone();
        let io = runtime("io", 2)?;
        let io_handle = io.handle().clone();
        // From here on an error ends them without waiting, as a drop of theirs would not.
        let runtimes = Runtimes { queries: Some(queries), io: Some(io) };
        let lake = folder_url(location_url(&config.lake_url)?);
        let stores = Arc::new(Stores::new(config.s3.clone(), io_handle.clone(), layer));
        stores.store(&lake)?;
        let runtime_env = runtime_env(&config, stores.clone())?;
        let catalog = crate::federated::open_catalog(&config, &io_handle).await?;
        let mut base_state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(crate::settings::defaults(threads, config.statement_timeout))
            .with_runtime_env(runtime_env)
            .build();
        base_state.add_analyzer_rule(Arc::new(NotIn));
        crate::functions::register(&mut base_state)?;
        Ok(Engine(Hidden::new(Shared {
            catalog,
            stores,
            lake,
            base_state,
            delta_tables: Arc::default(),
            commits: Arc::default(),
            iceberg_tables: IcebergTables::default(),
            compactions: AutoCompaction::default(),
            queries: queries_handle,
            io: io_handle,
            runtimes,
        })))
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.0.get()
    }

    /// The catalog that its sessions use.
    pub fn catalog(&self) -> &Catalog {
        &self.shared().catalog
    }

    /// The object stores that its sessions use, for crawlers.
    pub fn stores(&self) -> Arc<dyn boathouse_catalog::crawler::Stores> {
        self.shared().stores.clone()
    }

    /// A new session in the database `default`.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// Closes the catalog. Queries that still run are cancelled when their last handle goes.
    pub async fn close(self) {
        self.shared().catalog.clone().close().await;
    }

    /// Runs what `work` makes on a thread of its own, which has the stack that planning needs;
    /// what it spawns runs on the query threads. Dropping the returned future ends it.
    ///
    /// The inner future needn't be `Send`, since it never leaves its thread.
    pub(crate) async fn on_own_thread<T, F>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let (_alive, gone) = oneshot::channel::<()>();
        let queries = self.shared().queries.clone();
        let task = self.shared().io.spawn_blocking(move || {
            queries.block_on(async move {
                tokio::select! {
                    biased;
                    _ = gone => Err(Error::new(ErrorKind::Cancelled, "nobody waits for it")),
                    result = work() => result,
                }
            })
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the engine is closed"))
            }
            Err(error) => Err(Error::internal(panic_text(error))),
        }
    }
}

/// What a task that panicked said.
pub(crate) fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            format!("the query panicked: {}", text.unwrap_or_else(|| "no message".into()))
        }
        Err(error) => error.to_string(),
    }
}

fn runtime(name: &str, threads: usize) -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(format!("boathouse-{name}"))
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()?)
}

fn runtime_env(config: &EngineConfig, stores: Arc<Stores>) -> Result<Arc<RuntimeEnv>> {
    let limit = match config.memory_limit_bytes {
        0 => machine_memory_bytes() / 2,
        limit => limit,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let consumers = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
    let pool = TrackConsumersPool::new(FairSpillPool::new(limit), consumers);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]))
        .with_max_temp_directory_size(config.spill_limit_bytes);
    Ok(RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(stores)
        .with_metadata_cache_limit(256 << 20)
        .build_arc()?)
}

/// The machine's memory, or the process's cgroup limit where that is lower.
fn machine_memory_bytes() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let cgroup = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    let fallback = 4 << 30;
    total.unwrap_or(fallback).min(cgroup.unwrap_or(u64::MAX))
}
