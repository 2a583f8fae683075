//! Traces and metrics reach a collector over OTLP.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use reeve_telemetry::{Format, TelemetryOptions, init, metrics, trace};

#[test]
fn spans_and_metrics_are_exported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap_or("").to_owned();
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if header.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            send.send((path, String::from_utf8_lossy(&body).into_owned())).unwrap();
        }
    });
    let guard = init(&TelemetryOptions {
        service: "reeve-test",
        format: Format::Json,
        level: "info".to_owned(),
        otlp_endpoint: Some(endpoint),
    })
    .unwrap();
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let span = tracing::info_span!("governed_call", decision = "dec_1");
    trace::join(&span, caller);
    let passed_on = span.in_scope(|| trace::outgoing(&tracing::Span::current())).unwrap();
    assert!(passed_on.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{passed_on}");
    assert_ne!(passed_on, caller, "the pod's parent is this span");
    drop(span);
    metrics::decision(true);
    drop(guard);
    let mut seen = Vec::new();
    while let Ok(message) = received.recv_timeout(Duration::from_secs(5)) {
        seen.push(message);
        if seen.len() >= 2 {
            break;
        }
    }
    let of = |wanted: &str, text: &str| {
        seen.iter().any(|(path, body)| path == wanted && body.contains(text))
    };
    assert!(of("/v1/traces", "governed_call"), "{seen:?}");
    assert!(of("/v1/metrics", "reeve_decisions"), "{seen:?}");
}
