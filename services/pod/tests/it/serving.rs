//! Answers, refusals, a full queue and the end of a pod.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use reeve_classifier::Device;
use reeve_domain::{Digest, Region};
use reeve_protocol::{
    text::TextResponse,
    warrant::{Claims, DEADLINE_HEADER, WARRANT_HEADER},
};

use crate::pod::{Pod, Reply, request};

const TEXTS: [&str; 5] = [
    "where is parcel 3",
    "",
    "the invoice shows a wrong amount and more words than this bundle ever reads of one text",
    "courier",
    "发票的金额不对",
];

#[test]
fn answers_are_the_bundle_s_own_alone_together_and_at_once() {
    let pod = Pod::start(&["--workers", "2", "--max-batch", "8", "--precision", "fp32"]);
    let classifier = reeve_torch::load(&pod.bundle, Device::Cpu).unwrap();
    let check = |texts: &[&str], reply: &Reply| {
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let answer = TextResponse::parse(&reply.body, texts.len()).unwrap();
        for (index, text) in texts.iter().enumerate() {
            let encoded = classifier.encode(text).unwrap();
            assert_eq!(usize::try_from(answer.tokens[index]).unwrap(), encoded.ids.len());
            let expected = classifier.answer(&classifier.logits(&[&encoded]).unwrap()[0]).scores;
            let got = &answer.results[index];
            assert!(got.len() == 2 && got[0].1 >= got[1].1);
            for (label, score) in got {
                let place = pod.bundle.labels().iter().position(|l| l == label).unwrap();
                assert!((expected[place] - score).abs() < 1e-5, "{text}: {label} {score}");
            }
        }
    };
    for text in TEXTS {
        check(&[text], &pod.classify(&[text]));
    }
    check(&TEXTS, &pod.classify(&TEXTS));
    thread::scope(|scope| {
        let callers: Vec<_> = (0..12)
            .map(|n| {
                let pod = &pod;
                scope.spawn(move || {
                    let texts: Vec<&str> =
                        TEXTS.iter().cycle().skip(n).take(1 + n % 5).copied().collect();
                    (0..20).map(|_| (texts.clone(), pod.classify(&texts))).collect::<Vec<_>>()
                })
            })
            .collect();
        for (texts, reply) in callers.into_iter().flat_map(|caller| caller.join().unwrap()) {
            check(&texts, &reply);
        }
    });
    let metrics = String::from_utf8(pod.get("/metrics").body).unwrap();
    let figure = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(figure("reeve_pod_batch_texts_count") < figure("reeve_pod_texts_total"), "{metrics}");
    let received = std::fs::read_to_string(pod.dir.path().join("inputs")).unwrap();
    assert!(received.lines().any(|line| line.contains("发票的金额不对")));
}

#[test]
fn what_is_wrong_is_refused_and_said() {
    let pod = Pod::start(&["--workers", "1", "--queue", "8", "--max-body", "2000"]);
    let path = "/v2/models/support/infer";
    let body = request(&["courier"]);
    let refused = |warrant: Option<&str>, what: &str| {
        let reply = pod.try_post(path, warrant, &body).unwrap();
        assert_eq!(reply.status, 403);
        assert!(reply.error().contains(what), "{}", reply.error());
    };
    let claims = pod.claims();
    refused(None, "required");
    refused(Some("nonsense"), "signed");
    let with = |claims: &Claims| pod.signer.sign(claims);
    let elsewhere = Region::new("us-east").unwrap();
    refused(Some(&with(&Claims { region: elsewhere, ..claims.clone() })), "wrong region");
    refused(Some(&with(&Claims { model: Digest::of(b"x"), ..claims.clone() })), "wrong model");
    refused(Some(&with(&Claims { exp: claims.iat - 60, ..claims.clone() })), "expired");
    refused(Some(&with(&Claims { iat: claims.iat + 600, ..claims })), "not valid yet");

    assert_eq!(pod.post("/v2/models/support/versions/1/infer", &body).status, 200);
    for (path, what) in [
        ("/v2/models/other/infer", "`other`"),
        ("/v2/models/support/versions/9/infer", "`9`"),
        ("/v3", "/v3"),
    ] {
        let reply = pod.post(path, &body);
        assert_eq!(reply.status, 404);
        assert!(reply.error().contains(what), "{}", reply.error());
    }
    assert_eq!(pod.get(path).status, 405);
    for bad in [
        &b"{"[..],
        br#"{"inputs":[]}"#,
        br#"{"inputs":[{"name":"text","shape":[2],"datatype":"BYTES","data":["a"]}]}"#,
    ] {
        let reply = pod.post(path, bad);
        assert_eq!(reply.status, 400);
        assert!(!reply.error().is_empty());
    }
    assert_eq!(pod.classify(&["a"; 9]).status, 413);
    let reply =
        pod.classify(&["long "; 8].map(|word| word.repeat(100)).each_ref().map(String::as_str));
    assert_eq!(reply.status, 413, "{}", reply.error());

    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/health/startup",
        "/v2/models/support/ready",
        "/v2/models/support/versions/1/ready",
    ] {
        assert_eq!(pod.get(path).status, 200, "{path}");
    }
    for bad in ["soon", "-1"] {
        let request = pod.agent.post(format!("{}{path}", pod.address));
        let request = request.header(WARRANT_HEADER, pod.signer.sign(&pod.claims()));
        let answer = request.header(DEADLINE_HEADER, bad).send(&body).unwrap();
        assert_eq!(answer.status(), 400);
    }
    let request = pod.agent.post(format!("{}{path}", pod.address));
    let request = request.header(WARRANT_HEADER, pod.signer.sign(&pod.claims()));
    assert_eq!(request.header(DEADLINE_HEADER, "0").send(&body).unwrap().status(), 504);
    let metadata = String::from_utf8(pod.get("/v2/models/support").body).unwrap();
    assert!(metadata.contains(pod.bundle.digest()), "{metadata}");
}

#[test]
fn a_full_queue_answers_at_once_and_nothing_hangs() {
    let pod = Pod::start(&["--workers", "1", "--queue", "4", "--max-batch", "1"]);
    let replies: Vec<Reply> = thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let pod = &pod;
                scope.spawn(move || {
                    (0..20).map(|_| pod.classify(&["courier"; 4])).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert!(replies.iter().any(|reply| reply.status == 200));
    assert!(replies.iter().any(|reply| reply.status == 503), "the queue was never full");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 503);
        assert!(reply.retry_after && reply.error().contains("full"));
    }
}

/// Texts that went through the network.
fn computed(pod: &Pod) -> u64 {
    let stats: serde_json::Value =
        serde_json::from_slice(&pod.get("/v2/models/support/stats").body).unwrap();
    let batches = stats["model_stats"][0]["batch_stats"].as_array().unwrap();
    let texts = |one: &serde_json::Value| {
        one["batch_size"].as_u64().unwrap() * one["compute_infer"]["count"].as_u64().unwrap()
    };
    batches.iter().map(texts).sum()
}

#[test]
fn for_a_caller_that_hangs_up_nothing_more_is_computed() {
    const ALL: u64 = 20_000;
    let most = ALL.to_string();
    let pod = Pod::start(&["--workers", "1", "--queue", &most, "--max-batch", "1"]);
    let body = request(&vec![TEXTS[2]; usize::try_from(ALL).unwrap()]);
    let address = pod.address.strip_prefix("http://").unwrap();
    let mut caller = TcpStream::connect(address).unwrap();
    let warrant = pod.signer.sign(&pod.claims());
    let length = body.len();
    let head = format!(
        "POST /v2/models/support/infer HTTP/1.1\r\nHost: {address}\r\n\
         {WARRANT_HEADER}: {warrant}\r\nContent-Length: {length}\r\n\r\n"
    );
    caller.write_all(head.as_bytes()).unwrap();
    caller.write_all(&body).unwrap();
    while computed(&pod) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(caller);
    // The place in the queue is free for others, who are answered, once the pod has seen it.
    let begun = Instant::now();
    while pod.classify(&["courier"]).status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "no room");
    }
    let (after, took) = (computed(&pod), begun.elapsed());
    assert!(after < ALL, "all {after} texts were computed for nobody, in {took:?}");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(computed(&pod), after, "it goes on");
}

#[test]
fn a_pod_told_to_stop_finishes_what_it_accepted() {
    let mut pod = Pod::start(&["--workers", "1", "--max-batch", "4", "--queue", "4096"]);
    let (answered, refused): (usize, usize) = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pod = &pod;
                scope.spawn(move || {
                    let (mut answered, mut refused) = (0, 0);
                    // Until the pod refuses or its listener is gone: a call that it accepted and
                    // then lost would end as a broken connection while the pod still runs.
                    loop {
                        let warrant = pod.signer.sign(&pod.claims());
                        let body = request(&["where is parcel 3"; 64]);
                        match pod.try_post("/v2/models/support/infer", Some(&warrant), &body) {
                            Some(reply) if reply.status == 200 => {
                                TextResponse::parse(&reply.body, 64).unwrap();
                                answered += 1;
                            }
                            Some(reply) => {
                                assert_eq!(reply.status, 503);
                                assert!(reply.retry_after);
                                refused += 1;
                                break;
                            }
                            None => break,
                        }
                    }
                    (answered, refused)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        pod.signal();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(pod.wait().success());
    assert!(answered > 0);
    // Every call that reached the pod was answered: what it wrote down as received is the texts of
    // the answered calls and those of the refused ones, and nothing else.
    let received = std::fs::read_to_string(pod.dir.path().join("inputs")).unwrap();
    assert_eq!(received.lines().count(), (answered + refused) * 64);
}
