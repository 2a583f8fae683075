use std::{path::Path, sync::mpsc, thread};

use anyhow::Context as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

const ID: &str = "an-id";
const SECRET: &str = "a-secret";

/// A server that speaks S3, with signatures, and keeps what it gets in a directory.
pub struct Bucket {
    name: String,
    endpoint: String,
}

impl Bucket {
    /// Serves the directory `dir/name` as the bucket `name` until the test ends.
    pub fn serve(dir: &Path, name: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir.join(name))?;
        let files = s3s_fs::FileSystem::new(dir);
        let mut service =
            S3ServiceBuilder::new(files.ok().context("the bucket's directory cannot be used")?);
        service.set_auth(SimpleAuth::from_single(ID, SECRET));
        let service = service.build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                // Who does not wait for it any more needs no address.
                let _told = tell.send(listener.local_addr()?);
                loop {
                    let (socket, _) = listener.accept().await?;
                    let service = service.clone();
                    tokio::spawn(async move {
                        let server = Builder::new(TokioExecutor::new());
                        // A client that goes away is no fault.
                        drop(server.serve_connection(TokioIo::new(socket), service).await);
                    });
                }
                #[expect(unreachable_code, reason = "says what the faults are")]
                Ok::<(), std::io::Error>(())
            })
        });
        let endpoint = format!("http://{}", told.recv().context("the bucket is not served")?);
        Ok(Self { name: name.to_owned(), endpoint })
    }

    /// Its address for programs that have [`Self::environment`].
    pub fn address(&self) -> String {
        format!("s3://{}", self.name)
    }

    /// Where it is, and the credentials for it.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ]
    }
}
