//! A tenant that floods a pod, and another that does not.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use reeve_domain::TenantId;
use reeve_protocol::warrant::{Claims, Priority};

use crate::pod::{Pod, request};

/// Calls of a small tenant one after the other while others flood the pod; its latencies.
fn small(pod: &Pod, flooders: usize, flood: Priority) -> (Vec<Duration>, usize) {
    let over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let path = "/v2/models/support/infer";
    let body = request(&["where is parcel 3 of the courier"; 8]);
    let warrant = |tenant: &str, priority| {
        let tenant = TenantId::new(tenant).unwrap();
        pod.signer.sign(&Claims { tenant, priority, ..pod.claims() })
    };
    let latencies = thread::scope(|scope| {
        for _ in 0..flooders {
            scope.spawn(|| {
                let warrant = warrant("flood", flood);
                while !over.load(Ordering::SeqCst) {
                    let reply = pod.try_post(path, Some(&warrant), &body).unwrap();
                    match reply.status {
                        200 => drop(answered.fetch_add(1, Ordering::SeqCst)),
                        // Its own share of the queue is full.
                        429 => assert!(reply.retry_after),
                        other => panic!("{other}: {}", reply.error()),
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let warrant = warrant("small", Priority::Interactive);
        let mut latencies = Vec::new();
        for _ in 0..150 {
            let begun = Instant::now();
            let reply = pod.try_post(path, Some(&warrant), &body).unwrap();
            assert_eq!(reply.status, 200, "{}", reply.error());
            latencies.push(begun.elapsed());
        }
        over.store(true, Ordering::SeqCst);
        latencies
    });
    let mut latencies = latencies;
    latencies.sort();
    (latencies, answered.load(Ordering::SeqCst))
}

#[test]
fn a_flood_of_one_tenant_refuses_no_call_of_another() {
    // One core and small batches: with first come, first served, a call of the small tenant would
    // wait for all that the other has piled up.
    let pod = Pod::start(&["--workers", "1", "--max-batch", "8", "--queue", "600"]);
    let (_, answered) = small(&pod, 100, Priority::Interactive);
    assert!(answered > 150, "{answered}");
    let metrics = String::from_utf8(pod.get("/metrics").body).unwrap();
    for tenant in ["flood", "small"] {
        let counted =
            format!("reeve_pod_tenant_texts_total{{model=\"support\",tenant=\"{tenant}\"}}");
        assert!(metrics.contains(&counted), "{metrics}");
    }
}
