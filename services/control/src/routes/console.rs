use std::path::{Component, Path, PathBuf};

use actix_files::NamedFile;
use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use reeve_domain::Code;

use crate::problem::Refused;

/// Where the console's built files are, if it is served from here.
#[derive(Clone)]
pub(crate) struct StaticDir(pub(crate) Option<PathBuf>);

/// A file of the console, or its first page for an address that only the console knows.
pub(crate) async fn file(
    dir: web::Data<StaticDir>,
    request: HttpRequest,
) -> Result<HttpResponse, Refused> {
    let path = request.path();
    let of_api = path == "/api" || path.starts_with("/api/") || path.starts_with("/health/");
    let Some(dir) = dir.0.as_ref().filter(|_| !of_api) else {
        return Err(Code::RouteNotFound.into());
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Code::MethodNotAllowed.into());
    }
    let relative = Path::new(path.trim_start_matches('/'));
    // Nothing outside the directory: only plain names, no `..`, no hidden files.
    let plain = relative.components().all(|part| match part {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    });
    if !plain {
        return Err(Code::RouteNotFound.into());
    }
    let asset = relative.starts_with("assets");
    let file = match NamedFile::open_async(dir.join(relative)).await {
        // A directory can be opened too.
        Ok(file) if file.metadata().is_file() => file,
        // A missing script must not be answered with a page.
        _ if asset => return Err(Code::RouteNotFound.into()),
        _ => {
            NamedFile::open_async(dir.join("index.html")).await.map_err(|_| Code::RouteNotFound)?
        }
    };
    let mut response = file.into_response(&request);
    // The build puts a hash into the names of its assets.
    let cache = if asset { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(
        actix_web::http::header::CACHE_CONTROL,
        actix_web::http::header::HeaderValue::from_static(cache),
    );
    Ok(response)
}
