//! `llm-bench serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use llm_bench_core::orchestrator::Settings;
use llm_bench_core::{Error, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::model_arguments::ModelArguments;
use super::sandbox_arguments::SandboxArguments;
use super::{DataArguments, ExitCode, RecordArguments, output, stop};
use crate::app::{App, AppConfig};
use crate::routes::{self, AllowedHosts, Openness};

/// How long answers under way may take once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

const MIB: u64 = 1024 * 1024;
/// More than any machine has.
const MOST_CACHE_MIB: u64 = 1 << 40;

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// Benchmarks executed at once.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel_benchmarks: u16,
    /// Models to keep loaded, by the size of their files in MiB, those in use included; KV caches come on top
    /// [default: half of the machine's memory].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_CACHE_MIB))]
    model_cache_mib: Option<u64>,
    /// Run models on threads of the server, which a model that crashes takes along, instead of in child processes.
    #[arg(long)]
    models_in_process: bool,
    #[command(flatten)]
    models: ModelArguments,
    #[command(flatten)]
    record: RecordArguments,
    #[command(flatten)]
    sandbox: SandboxArguments,
    #[command(flatten)]
    data: DataArguments,
}

pub(super) async fn serve(arguments: ServeArguments) -> Result<ExitCode> {
    let stop = stop::on_signal()?;
    let settings = Settings {
        parallel_benchmarks: usize::from(arguments.parallel_benchmarks),
        model_cache_bytes: arguments.model_cache_mib.map(|mib| mib * MIB),
        record_bytes: arguments.record.bytes(),
        ..Settings::default()
    };
    let models = arguments.models.options(arguments.models_in_process)?;
    let sandbox = arguments.sandbox.process;
    let config = AppConfig { data_dir: arguments.data.data_dir, settings, models, sandbox };
    let server = Server::start(arguments.listen, config, stop.clone()).await?;
    if let Some(secret) = &server.first_token {
        output::note(&format!(
            "this server can be reached from other machines, so it asks for a token; this one is an administrator's, and \
             is shown only now:\n{secret}"
        ));
    }
    output::print(&format!("listening on http://{}\n", server.address))?;
    server.finished().await
}

/// A host that answers and works off its queue until its token is cancelled.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// The text of the token that was made because there was none.
    first_token: Option<String>,
    stop: CancellationToken,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    work: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(
        listen: SocketAddr,
        config: AppConfig,
        stop: CancellationToken,
    ) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Error::unavailable(
                "cannot-listen",
                format!("cannot listen on {listen}: {error}; choose another address with --listen"),
            )
        })?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("cannot-listen", format!("cannot tell the address that is listened on: {error}"))
        })?;
        let app = App::open(config, stop.clone()).await?;
        let (openness, first_token) = if address.ip().is_loopback() {
            (Openness::UntilThereIsAToken, None)
        } else {
            (Openness::Closed, app.first_token().await?)
        };
        let router = routes::router(app.clone(), AllowedHosts::of(address), openness);
        let stopping = stop.clone().cancelled_owned();
        let http =
            tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopping).await });
        let work = tokio::spawn(app.orchestrator.clone().work(stop.clone()));
        tokio::spawn(async move {
            if let Err(error) = app.admit_bundled().await {
                tracing::error!(?error, "a built-in plugin cannot be used");
            }
        });
        Ok(Self { address, first_token, stop, http, work })
    }

    /// Waits for the end: of the token, of the work in hand, of the answers under way.
    pub(super) async fn finished(self) -> Result<ExitCode> {
        let Self { stop, mut http, work, .. } = self;
        tokio::select! {
            // First, since the HTTP server ends by that token too, and may have when both are looked at.
            biased;
            () = stop.cancelled() => {}
            ended = &mut http => {
                let reason = match ended {
                    Ok(Ok(())) => "it stopped listening".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(Error::internal("server-failed", format!("the HTTP server ended: {reason}")));
            }
        }
        work.await.map_err(|error| {
            Error::internal("worker-failed", "the worker ended by a panic").because(error)
        })?;
        if tokio::time::timeout(DRAIN, http).await.is_err() {
            tracing::warn!("some connections were still open and are cut");
        }
        Ok(ExitCode::SUCCESS)
    }
}
