//! A PostgreSQL server of a test's own, and fresh databases in it.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Set to `1` where a missing PostgreSQL is a failure and not a reason to skip.
pub const REQUIRE: &str = "REEVE_REQUIRE_POSTGRES";

/// A running server, on a Unix socket in a directory of its own, so that no port can be taken.
/// It does not survive a crash of the machine (`fsync=off`) and is stopped and removed when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    bin: PathBuf,
    dir: tempfile::TempDir,
    owner: Option<(u32, u32)>,
    databases: AtomicU32,
    url: String,
}

impl PostgresServer {
    /// Starts a server. `None`, with a line on standard error, where PostgreSQL is not installed.
    #[expect(
        clippy::disallowed_methods,
        clippy::print_stderr,
        reason = "a switch of the test run and not a setting; a skipped test must say so"
    )]
    pub fn start_or_skip() -> io::Result<Option<Self>> {
        let Some(bin) = find_programs() else {
            if std::env::var(REQUIRE).is_ok_and(|value| value == "1") {
                return Err(io::Error::other(format!("no PostgreSQL found, but {REQUIRE} is 1")));
            }
            eprintln!("skipped: no PostgreSQL in /usr/lib/postgresql/*/bin");
            return Ok(None);
        };
        let dir = tempfile::Builder::new().prefix("reeve-pg-").tempdir()?;
        // PostgreSQL refuses to run as root; Debian's package comes with a user for it.
        let owner = if running_as_root()? { Some(postgres_user()?) } else { None };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        if let Some((uid, gid)) = owner {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let url = format!("postgres:///postgres?user=reeve&host={}", dir.path().display());
        let server = Self { bin, dir, owner, databases: AtomicU32::new(0), url };
        server.run(
            server
                .program("initdb")
                .args(["--no-sync", "--auth=trust", "--username=reeve", "--encoding=UTF8"])
                .args(["--locale=C", "--pgdata"])
                .arg(server.data()),
        )?;
        let socket = server.dir.path().display();
        let mut settings =
            fs::OpenOptions::new().append(true).open(server.data().join("postgresql.conf"))?;
        writeln!(settings, "listen_addresses = ''\nunix_socket_directories = '{socket}'")?;
        writeln!(settings, "fsync = off\nfull_page_writes = off")?;
        writeln!(settings, "shared_buffers = 16MB\nmax_connections = 50")?;
        server.restart()?;
        Ok(Some(server))
    }

    /// The address of a database that is there from the start, empty.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new, empty database; gives its address.
    pub fn database(&self) -> io::Result<String> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("reeve_{number}");
        self.run(
            self.program("createdb")
                .args(["--username=reeve", "--maintenance-db=postgres", "--host"])
                .arg(self.dir.path())
                .arg(&name),
        )?;
        Ok(format!("postgres:///{name}?user=reeve&host={}", self.dir.path().display()))
    }

    /// Stops the server at once, as an outage does; its databases stay.
    pub fn stop(&self) -> io::Result<()> {
        self.run(
            self.program("pg_ctl").args(["stop", "-w", "-m", "immediate", "-D"]).arg(self.data()),
        )
    }

    /// Starts the server again and returns when it takes connections.
    pub fn restart(&self) -> io::Result<()> {
        self.run(
            self.program("pg_ctl")
                .args(["start", "-w", "-t", "60", "-l"])
                .arg(self.dir.path().join("server.log"))
                .arg("-D")
                .arg(self.data()),
        )
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Output goes to a file: a server that is started inherits the descriptors, and a pipe would
    /// stay open for as long as it runs.
    fn run(&self, command: &mut Command) -> io::Result<()> {
        let path = self.dir.path().join("commands.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let status = command.stdout(log.try_clone()?).stderr(log).status()?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&path).unwrap_or_default();
        let server = fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
        Err(io::Error::other(format!("{command:?} failed with {status}:\n{said}\n{server}")))
    }
}

impl Drop for PostgresServer {
    #[expect(clippy::print_stderr, reason = "the only place left to say it")]
    fn drop(&mut self) {
        // A test may have stopped it already.
        if self.data().join("postmaster.pid").exists()
            && let Err(why) = self.stop()
        {
            eprintln!("the test's PostgreSQL could not be stopped: {why}");
        }
    }
}

/// The newest PostgreSQL of Debian's layout.
fn find_programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn running_as_root() -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    // The directory of a process belongs to its effective user.
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

/// User and group id of `postgres`.
fn postgres_user() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string(Path::new("/etc/passwd"))?;
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != "postgres" {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some((uid, gid))
        })
        .ok_or_else(|| io::Error::other("there is no user `postgres` to run PostgreSQL as"))
}
