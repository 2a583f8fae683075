use std::time::Duration;

use super::{Found, kubernetes};

pub use super::kubernetes::KubernetesApi;

/// How the processes behind pods are found whose address is a name.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// How often they are looked for.
    pub every: Duration,
    /// The cluster that `kubernetes+http://…` is about.
    pub kubernetes: KubernetesApi,
}

/// Why nothing can be said of a name now; what was known of it stays.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotFound(pub(super) String);

impl Discovery {
    /// The addresses of the processes now, in order.
    pub(crate) async fn find(&self, found: &Found) -> Result<Vec<String>, NotFound> {
        let mut urls = match found {
            Found::There(url) => vec![url.clone()],
            Found::Dns { host, port } => {
                let looked_up = tokio::net::lookup_host((host.as_str(), *port));
                let addresses = looked_up.await.map_err(|fault| NotFound(fault.to_string()))?;
                addresses.map(|address| format!("http://{address}")).collect()
            }
            Found::Kubernetes { namespace, service, port } => {
                let (namespace, service) = (namespace.clone(), service.clone());
                let (api, port) = (self.kubernetes.clone(), port.clone());
                let asked = move || kubernetes::endpoints(&api, &namespace, &service, &port);
                actix_web::web::block(asked).await.map_err(|cut| NotFound(cut.to_string()))??
            }
        };
        urls.sort_unstable();
        urls.dedup();
        Ok(urls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_name_has_the_addresses_that_the_system_says() {
        let kubernetes =
            KubernetesApi { url: String::new(), token: "".into(), authority: "".into() };
        let discovery = Discovery { every: Duration::from_secs(1), kubernetes };
        let of = |host: &str| Found::Dns { host: host.to_owned(), port: 9001 };
        let urls = discovery.find(&of("localhost")).await.unwrap();
        assert!(urls.contains(&"http://127.0.0.1:9001".to_owned()), "{urls:?}");
        assert!(discovery.find(&of("no-such-name.invalid")).await.is_err());
    }
}
