//! `safelight serve`: everything in the right order, and its undoing in the reverse one.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::supervisor::{self, Handed};
use super::{GlobalArgs, ListenArgs, demo, loaded};
use crate::app::App;
use crate::cache::{DiskCache, HotFiles};
use crate::clock::Clock;
use crate::config::{Config, Environment, Loaded};
use crate::db::{self, Db, Role};
use crate::engine::{Engines, Previews};
use crate::imaging::Budget;
use crate::keys::Keys;
use crate::logs::Logs;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::server::{self, Door, Listening};
use crate::settings::Settings;
use crate::storage::{DataDir, LocalOptions, Storage};
use crate::telemetry::Telemetry;
use crate::tls::{Pace, Tls};
use crate::{accounts, library, uploads};

/// What the small files that are asked for often may take of the memory.
const HOT_BYTES: usize = 16 << 20;

/// `safelight serve`
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    listen: ListenArgs,
    /// Starts a throw-away instance with sample people, pictures and restorations; it is gone when it stops
    #[arg(long, conflicts_with = "data_dir")]
    demo: bool,
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it can't start; what it says is for the admin.
pub fn run(args: &ServeArgs, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut flags = global.flags();
    flags.listen.clone_from(&args.listen.listen);
    let throw_away = args.demo.then(demo::Folder::create).transpose()?;
    if let Some(folder) = &throw_away {
        flags.data_dir = Some(folder.path().to_owned());
    }
    let loaded = loaded(&flags, environment)?;
    let logs = start_log(&loaded.config)?;
    let handed = Handed::take(environment)?;
    super::keep_files_private();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start")?;
    runtime.block_on(serve(loaded, logs, args.demo, handed))?;
    // A blocking call that hangs must not keep the process alive.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(loaded: Loaded, logs: Logs, demo: bool, handed: Handed) -> anyhow::Result<()> {
    // Before anything is there that would have to be put away: until somebody listens, a signal ends the process.
    let mut signals = Signals::listen()?;
    let config = &loaded.config;
    let data_dir = DataDir::create(&config.data_dir)?;
    let _lock = data_dir.lock_for_server()?;
    // Before anything can be accepted: nobody should meet a server without its certificates.
    let outbound = Outbound::new(&config.outbound);
    let tls = Tls::open(&config.tls, data_dir.acme(), &outbound, Clock::system(), Pace::default())?;
    let listening = listen(config, &tls, handed).await?;
    let url = url_of(config, &tls, &listening);
    let app = open(loaded, &data_dir, Role::Server, logs, Some((tls, outbound))).await?;
    let cleaning = app.clone();
    tokio::task::spawn_blocking(move || library::clean_up(&cleaning))
        .await?
        .context("can't clean up after the last run")?;
    uploads::pick_up(&app).await?;

    if demo {
        tokio::select! {
            filled = demo::fill(&app, &url) => filled?,
            () = signals.next() => return Ok(()),
        }
    } else if let Some(token) = accounts::setup_token(&app).await? {
        println!(
            "Open {url}/setup?token={token} to create the owner's account (valid for 30 minutes, once)."
        );
    } else {
        println!("Safelight is at {url}");
    }

    let mut runner = tokio::spawn(server::runner(&app).run(app.stopping.clone()));
    tokio::spawn(uploads::watch(app.clone()));
    tokio::spawn(app.settings.clone().follow(app.db.clone(), app.stopping.clone()));
    let telemetry = Telemetry::of(&app.logs, app.outbound.clone());
    let configured = telemetry.clone();
    app.settings.on_change(move |config| configured.configure(&config.telemetry));
    let telemetry = tokio::spawn(telemetry.run(app.stopping.clone()));
    let tls = app.tls.clone();
    let mut certificates = tokio::spawn({
        let stopping = app.stopping.clone();
        async move { tls.run(stopping).await }
    });
    let mut http = tokio::spawn(server::serve(listening, server::router(app.clone()), app.stopping.clone()));
    tokio::spawn(supervisor::beat(app.db.clone(), app.stopping.clone()));
    supervisor::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    // Neither ends before it is told to: if one does, whoever restarts services should hear of it.
    let died = tokio::select! {
        () = signals.next_with(|| supervisor::reloading(|| look_again(&app))) => None,
        ended = &mut certificates => Some(anyhow::anyhow!("the keeper of certificates has stopped: {ended:?}")),
        ended = &mut runner => Some(anyhow::anyhow!("the job runner has stopped: {ended:?}")),
        ended = &mut http => Some(anyhow::anyhow!("the listener has stopped: {ended:?}")),
    };
    tracing::info!("stopping");
    supervisor::stopping();
    app.stopping.cancel();
    let drained = async {
        for task in [runner, http, telemetry] {
            if !task.is_finished() {
                let _ = task.await;
            }
        }
    };
    // A second signal ends the waiting.
    tokio::select! {
        () = drained => {}
        () = signals.next() => tracing::warn!("stopping at once"),
    }
    let db = app.db.clone();
    tokio::task::spawn_blocking(move || db.close()).await.context("can't close the database")?;
    died.map_or(Ok(()), Err)
}

/// What `SIGHUP` asks for: files that somebody has replaced or moved away are opened again.
fn look_again(app: &App) {
    app.tls.reload();
    app.logs.reopen();
}

/// A door, its name to whoever hands over sockets, and where it is when nobody does.
type Place = (&'static str, Option<SocketAddr>, Door);

/// Every door that the configuration asks for or allows.
fn places(config: &Config, tls: &Tls) -> anyhow::Result<Vec<Place>> {
    let settings = &config.server;
    let mut places = vec![("plain", settings.listen, Door::Plain)];
    if tls.is_on() {
        let front = server::front(tls.clone(), server::outer_https_port(settings));
        let door = Door::Tls(tls.server_config()?, config.tls.hsts);
        places.push(("https", Some(settings.https_listen), door));
        places.push(("http", Some(settings.http_listen), Door::Other(front)));
    } else {
        places.push(("http", None, Door::Plain));
    }
    Ok(places)
}

/// Opens the doors: those whose sockets were handed over there, the others where the configuration says.
async fn listen(config: &Config, tls: &Tls, mut handed: Handed) -> anyhow::Result<Listening> {
    let mut listening = Listening::new(config);
    for (name, address, door) in places(config, tls)? {
        let sockets = handed.for_door(name, address);
        let address = address.filter(|_| sockets.is_empty());
        for socket in sockets {
            listening =
                listening.adopt(socket, door.clone()).context("can't use a socket that was handed over")?;
        }
        let Some(address) = address else { continue };
        listening = listening.open(address, door).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => "a port below 1024 needs the capability CAP_NET_BIND_SERVICE",
                _ => "is another program using this address?",
            };
            anyhow::Error::new(error).context(format!("can't listen on {address}: {hint}"))
        })?;
    }
    handed.all_taken()?;
    Ok(listening)
}

/// Where people find the appliance.
fn url_of(config: &Config, tls: &Tls, listening: &Listening) -> String {
    let certificate = tls.status().into_iter().next();
    let name = certificate.and_then(|certificate| certificate.names.into_iter().next());
    let origin = match (&config.server.public_url, name) {
        (Some(url), _) => url.to_string(),
        (None, Some(name)) => {
            let host = if name.contains(':') { format!("[{name}]") } else { name };
            match server::outer_https_port(&config.server) {
                443 => format!("https://{host}"),
                port => format!("https://{host}:{port}"),
            }
        }
        (None, None) => format!("http://{}", listening.address()),
    };
    origin + &config.server.base_path
}

/// Opens what a process on a data directory works with; the certificates, and the client that obtains them, are the
/// server's.
///
/// # Errors
/// When the database or the blobs can't be opened.
pub(crate) async fn open(
    loaded: Loaded,
    data_dir: &DataDir,
    role: Role,
    logs: Logs,
    tls: Option<(Tls, Outbound)>,
) -> anyhow::Result<App> {
    let clock = Clock::system();
    db::log_slower_than(loaded.config.log.slow_query);
    let db = Db::open(&data_dir.database(), role, clock.clone())?;
    let keys = Keys::new(data_dir.keys(), clock.clone());
    let settings = Settings::open(loaded.base, &db, &keys).await?;
    let config = settings.current();
    let options = LocalOptions {
        expect_marker: library::has_blobs(&db).await?,
        min_free_bytes: config.limits.min_free_bytes,
    };
    let storage = Storage::local(&data_dir.blobs(), options)?;
    let (tls, outbound) = tls.unwrap_or_else(|| {
        let outbound = Outbound::new(&config.outbound);
        (Tls::off(&outbound, clock.clone()), outbound)
    });
    let app = App {
        db,
        storage,
        engines: Engines::configured(&config.engines, &outbound),
        tls,
        outbound,
        mailer: Mailer::new(&config.mail, &config.outbound, clock.clone()),
        budget: Budget::of_this_machine(),
        previews: Previews::new(),
        cache: DiskCache::new(data_dir.cache(), config.delivery.cache_bytes, clock.clone()),
        hot: HotFiles::new(HOT_BYTES),
        keys,
        started_at: clock.now(),
        clock,
        config,
        settings,
        logs,
        stopping: CancellationToken::new(),
    };
    app.keep_tools_current();
    Ok(app)
}

/// The signals that ask the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't wait for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The same, and does something whenever the process is asked to look at its files again.
    async fn next_with(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                Some(()) = self.hangup.recv() => reload(),
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn start_log(config: &Config) -> anyhow::Result<Logs> {
    let settings = &config.log;
    let logs = Logs::open(settings).with_context(|| {
        let path = settings.file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        format!("can't open the log file {path}")
    })?;
    logs.listen().context("can't start the log")?;
    Ok(logs)
}
