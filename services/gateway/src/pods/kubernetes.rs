//! The endpoints of a service as the Kubernetes API tells them (discovery.k8s.io/v1, EndpointSlice).

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::discovery::NotFound;

/// Where the cluster's API is and how to be let in: inside a pod, files that Kubernetes puts there.
#[derive(Clone, Debug)]
pub struct KubernetesApi {
    /// Its address, `https://kubernetes.default.svc`.
    pub url: String,
    /// The file with the service account's token. It is read each time, since Kubernetes renews it.
    pub token: PathBuf,
    /// The file with the certificates that the API's own is checked against.
    pub authority: PathBuf,
}

const TIMEOUT: Duration = Duration::from_secs(3);
/// More than some thousand endpoints are.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The parts of an EndpointSliceList that matter here.
#[derive(Deserialize)]
struct Slices {
    items: Vec<Slice>,
}

#[derive(Deserialize)]
struct Slice {
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
struct Endpoint {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Conditions,
}

/// Absent means yes, as the API's reference says.
#[derive(Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

/// The addresses of a service's endpoints that are ready. Blocks.
pub(super) fn endpoints(
    api: &KubernetesApi,
    namespace: &str,
    service: &str,
    port: &str,
) -> Result<Vec<String>, NotFound> {
    let not_found =
        |what: &str, fault: &dyn std::fmt::Display| NotFound(format!("{what}: {fault}"));
    let token = fs::read_to_string(&api.token)
        .map_err(|fault| not_found("the service account's token cannot be read", &fault))?;
    let mut config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT));
    if api.url.starts_with("https://") {
        let pem = fs::read(&api.authority)
            .map_err(|fault| not_found("the cluster's certificates cannot be read", &fault))?;
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        let roots = RootCerts::Specific(Arc::new(certificates));
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    let agent: ureq::Agent = config.build().into();
    let url = format!(
        "{}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name%3D{service}",
        api.url.trim_end_matches('/')
    );
    let mut answer = agent
        .get(url)
        .header("Authorization", format!("Bearer {}", token.trim()))
        .header("Accept", "application/json")
        .call()
        .map_err(|fault| not_found("the Kubernetes API gives no answer", &fault))?;
    let slices: Slices = answer
        .body_mut()
        .with_config()
        .limit(MOST_BYTES)
        .read_json()
        .map_err(|fault| not_found("the Kubernetes API's answer cannot be read", &fault))?;
    Ok(slices.ready(port))
}

impl Slices {
    fn ready(&self, port: &str) -> Vec<String> {
        let mut urls = Vec::new();
        for slice in &self.items {
            let wanted = |known: &&Port| {
                known.name.as_deref() == Some(port)
                    || known.port.is_some_and(|number| number.to_string() == port)
            };
            let known = slice.ports.as_deref().unwrap_or_default().iter().find(wanted);
            let Some(number) = known.and_then(|known| known.port) else { continue };
            let ready = |endpoint: &&Endpoint| endpoint.conditions.ready.unwrap_or(true);
            for endpoint in slice.endpoints.as_deref().unwrap_or_default().iter().filter(ready) {
                // All addresses of an endpoint are the same process.
                if let Some(address) = endpoint.addresses.first() {
                    let is_v6 = address.contains(':');
                    let host = if is_v6 { format!("[{address}]") } else { address.clone() };
                    urls.push(format!("http://{host}:{number}"));
                }
            }
        }
        urls
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

    use super::*;

    /// As the API of a cluster answers, shortened by what is not read.
    const ANSWER: &str = r#"{
      "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
      "metadata": { "resourceVersion": "4711" },
      "items": [
        { "metadata": { "name": "pods-x7k2p", "labels": { "kubernetes.io/service-name": "pods" } },
          "addressType": "IPv4",
          "endpoints": [
            { "addresses": ["10.1.2.3"], "conditions": { "ready": true, "serving": true, "terminating": false }, "nodeName": "n1" },
            { "addresses": ["10.1.2.4"], "conditions": { "ready": false, "serving": true, "terminating": true } },
            { "addresses": ["10.1.2.5"], "conditions": {} }
          ],
          "ports": [ { "name": "metrics", "port": 9100, "protocol": "TCP" }, { "name": "http", "port": 9001, "protocol": "TCP" } ] },
        { "metadata": { "name": "pods-v6" }, "addressType": "IPv6",
          "endpoints": [ { "addresses": ["fd00::7"] } ], "ports": [ { "name": "http", "port": 9001 } ] },
        { "metadata": { "name": "pods-empty" }, "addressType": "IPv4", "endpoints": null, "ports": null }
      ] }"#;

    async fn answer(request: HttpRequest, namespace: web::Path<String>) -> HttpResponse {
        let bearer = request.headers().get("Authorization").map(|value| value.as_bytes().to_vec());
        if bearer.as_deref() != Some(b"Bearer the-token") {
            return HttpResponse::Unauthorized()
                .json(serde_json::json!({ "kind": "Status", "code": 401 }));
        }
        if namespace.as_str() != "reeve"
            || request.query_string() != "labelSelector=kubernetes.io/service-name%3Dpods"
        {
            return HttpResponse::Ok()
                .json(serde_json::json!({ "kind": "EndpointSliceList", "items": [] }));
        }
        HttpResponse::Ok().content_type("application/json").body(ANSWER)
    }

    #[actix_web::test]
    async fn ready_endpoints_are_found_with_the_services_token() {
        let path = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices";
        let server = HttpServer::new(move || App::new().route(path, web::get().to(answer)))
            .workers(1)
            .bind("127.0.0.1:0")
            .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        let api = KubernetesApi { url, token: token.clone(), authority: dir.path().join("ca.crt") };
        let ask = |namespace: &'static str, port: &'static str| {
            let api = api.clone();
            web::block(move || endpoints(&api, namespace, "pods", port))
        };
        let without = ask("reeve", "http").await.unwrap().unwrap_err().to_string();
        assert!(without.contains("token"), "{without}");
        fs::write(&token, "another\n").unwrap();
        assert!(ask("reeve", "http").await.unwrap().is_err());
        // It was renewed.
        fs::write(&token, "the-token\n").unwrap();
        let all = ["http://10.1.2.3:9001", "http://10.1.2.5:9001", "http://[fd00::7]:9001"];
        assert_eq!(ask("reeve", "http").await.unwrap().unwrap(), all);
        assert_eq!(ask("reeve", "9001").await.unwrap().unwrap(), all);
        assert!(ask("reeve", "grpc").await.unwrap().unwrap().is_empty());
        assert!(ask("other", "http").await.unwrap().unwrap().is_empty());
        handle.stop(false).await;
        assert!(ask("reeve", "http").await.unwrap().is_err());
    }
}
