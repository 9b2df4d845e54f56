//! Traces, logs and errors on their way to programs that watch: against stand-ins that take, hang, or want to be left alone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use safelight::config;
use safelight::logs::Logs;
use safelight::outbound::Outbound;
use safelight::telemetry::Telemetry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::appliance::until;

type Heard = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// A server that writes down what it is told and answers with these statuses, one after the other, then with the last.
async fn stand_in(answers: Vec<(u16, Option<&'static str>)>) -> (String, Heard) {
    let heard = Heard::default();
    let (notes, count) = (Arc::clone(&heard), Arc::new(Mutex::new(0_usize)));
    let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let (notes, count, answers) = (Arc::clone(&notes), Arc::clone(&count), answers.clone());
        async move {
            let text = String::from_utf8(body.to_vec()).unwrap();
            notes.lock().unwrap().push((uri.path().to_owned(), headers, text));
            let at = {
                let mut count = count.lock().unwrap();
                *count += 1;
                *count
            };
            let (status, pause) = answers[(at - 1).min(answers.len() - 1)];
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(pause) = pause {
                response.headers_mut().insert("retry-after", pause.parse().unwrap());
            }
            response
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), heard)
}

struct Watched {
    logs: Logs,
    telemetry: Telemetry,
    stopping: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Watched {
    fn begin(settings: &config::Telemetry, offline: bool) -> Self {
        let logs = Logs::silent();
        let outbound = Outbound::new(&config::Outbound { offline, allow_private: Vec::new() });
        let telemetry = Telemetry::of(&logs, outbound);
        telemetry.configure(settings);
        let stopping = CancellationToken::new();
        let running = tokio::spawn(telemetry.clone().run(stopping.clone()));
        Self { logs, telemetry, stopping, running }
    }

    /// Ends it and says how long that took.
    async fn end(self) -> Duration {
        let begin = Instant::now();
        self.stopping.cancel();
        self.running.await.unwrap();
        begin.elapsed()
    }
}

fn told(heard: &Heard, path: &str) -> Vec<Value> {
    let heard = heard.lock().unwrap();
    heard.iter().filter(|(at, ..)| at == path).map(|(.., body)| serde_json::from_str(body).unwrap()).collect()
}

fn settings(collector: Option<String>, dsn: Option<String>) -> config::Telemetry {
    config::Telemetry {
        otlp_endpoint: collector,
        otlp_headers: Some(config::Secret::new("x-team=archive,authorization=Bearer%20t0ken")),
        sentry_dsn: dsn.map(config::Secret::new),
    }
}

#[tokio::test]
async fn traces_logs_and_errors_arrive_as_their_protocols_say() {
    // The collector wants to be left alone at first, and gets the same again.
    let (collector, heard) = stand_in(vec![(429, Some("0")), (503, None), (200, None)]).await;
    let (reports, errors) = stand_in(vec![(200, None)]).await;
    let dsn = reports.replace("http://", "http://key1@") + "/9";
    let watched = Watched::begin(&settings(Some(collector), Some(dsn)), false);
    let _guard = tracing::subscriber::set_default(watched.logs.subscriber());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let span = tracing::info_span!(
        target: "safelight::api", "request", http.method = "GET", http.route = "/api/v1/media/{id}", trace.parent = parent
    );
    async {
        tracing::info!(target: "safelight::tests", n = 7, "looked at");
        tracing::error!(target: "safelight::tests", error = "no /home/olive/a.jpg for olive@example.org", "failed");
    }
    .instrument(span)
    .await;
    until("traces and logs are there", async || {
        !told(&heard, "/v1/logs").is_empty() && !told(&heard, "/v1/traces").is_empty()
    })
    .await;
    until("the error is there", async || !errors.lock().unwrap().is_empty()).await;

    let traces = told(&heard, "/v1/traces");
    let span = &traces.last().unwrap()["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&"0af7651916cd43dd8448eb211c80319c".into(), &"b7ad6b7169203331".into())
    );
    assert_eq!((&span["name"], &span["kind"]), (&"GET /api/v1/media/{id}".into(), &2.into()));
    assert_eq!(span["status"]["code"], 2, "an error was logged in it");
    assert!(traces.len() >= 2, "it was sent again after 429: {}", traces.len());
    let logs = told(&heard, "/v1/logs");
    let lines =
        logs.last().unwrap()["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap().clone();
    let numbers: Vec<_> = lines.iter().map(|line| line["severityNumber"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [9, 17]);
    assert!(lines.iter().all(|line| line["traceId"] == span["traceId"] && line["spanId"] == span["spanId"]));
    let (_, headers, _) = heard.lock().unwrap()[0].clone();
    assert_eq!(
        (&headers["content-type"], &headers["x-team"]),
        (&"application/json".parse().unwrap(), &"archive".parse().unwrap())
    );
    assert_eq!(headers["authorization"], "Bearer t0ken");

    let (path, headers, body) = errors.lock().unwrap()[0].clone();
    assert_eq!(
        (path.as_str(), &headers["content-type"]),
        ("/api/9/envelope/", &"application/x-sentry-envelope".parse().unwrap())
    );
    assert!(headers["x-sentry-auth"].to_str().unwrap().contains("sentry_key=key1"));
    let parts: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (parts.len(), &parts[1]["type"], &parts[2]["contexts"]["trace"]["trace_id"]),
        (3, &"event".into(), &span["traceId"])
    );
    let everything = format!("{body}{}{}", logs.last().unwrap(), traces.last().unwrap());
    assert!(
        !everything.contains("olive") && everything.contains("[path]") && everything.contains("[e-mail]")
    );
    assert_eq!(errors.lock().unwrap().len(), 1, "only errors are reported");
    assert!(watched.end().await < Duration::from_secs(5));
}

#[tokio::test]
async fn nobody_waits_for_one_that_hangs_and_nothing_leaves_an_offline_machine() {
    // It takes connections and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hung = format!("http://{}", listener.local_addr().unwrap());
    let watched = Watched::begin(&settings(Some(hung.clone()), None), false);
    let _guard = tracing::subscriber::set_default(watched.logs.subscriber());
    tracing::info!(target: "safelight::tests", "the first");
    let (held, _) = listener.accept().await.unwrap();
    let begin = Instant::now();
    for n in 0..10_000 {
        tracing::info!(target: "safelight::tests", n, "one of many");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(watched.telemetry.dropped() >= 10_000 - 2048 - 512, "{}", watched.telemetry.dropped());
    let took = watched.end().await;
    assert!(took < Duration::from_secs(6), "the farewell is short: {took:?}");
    drop(held);

    let (reached, heard) = stand_in(vec![(200, None)]).await;
    let offline =
        Watched::begin(&settings(Some(reached.clone()), Some(reached.replace("://", "://k@") + "/1")), true);
    let _other = tracing::subscriber::set_default(offline.logs.subscriber());
    tracing::error!(target: "safelight::tests", "here only");
    let telemetry = offline.telemetry.clone();
    until("it is dropped", async || telemetry.dropped() >= 2).await;
    offline.end().await;
    assert!(heard.lock().unwrap().is_empty());
}
