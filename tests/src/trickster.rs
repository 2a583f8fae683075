use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;

/// What a [`Trickster`] does with calls; it always says that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Passes them on to the real pod.
    None,
    /// Passes them on after a while.
    Slow(Duration),
    /// Never answers.
    Hang,
    /// Reads them and closes the connection.
    BreakOff,
    /// Answers this with status 200.
    Lie(String),
    /// Answers this status.
    Refuse(u16),
}

/// Stands before a real pod and plays tricks.
pub struct Trickster {
    port: u16,
    trick: Arc<Mutex<Trick>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Trickster {
    /// Before the pod that listens at `pod`.
    pub fn before(pod: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let trick = Arc::new(Mutex::new(Trick::None));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (playing, seen) = (Arc::clone(&trick), Arc::clone(&heads));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (playing, seen) = (Arc::clone(&playing), Arc::clone(&seen));
                // What breaks here is what a pod's fault looks like from outside.
                thread::spawn(move || drop(serve(connection, pod, &playing, &seen)));
            }
        });
        Ok(Self { port, trick, heads })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Plays another trick from now on.
    pub fn play(&self, trick: Trick) {
        *self.trick.lock() = trick;
    }

    /// The heads of the calls that came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }
}

fn serve(
    mut from: TcpStream,
    pod: u16,
    trick: &Mutex<Trick>,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let Some((head, body)) = read_request(&mut from)? else { return Ok(()) };
    if head.starts_with("GET ") {
        return pass(&head, &body, from, pod);
    }
    heads.lock().push(head.clone());
    let trick = trick.lock().clone();
    match trick {
        Trick::None => pass(&head, &body, from, pod),
        Trick::Slow(by) => {
            thread::sleep(by);
            pass(&head, &body, from, pod)
        }
        Trick::Hang => {
            // Until the caller gives up.
            let mut end = [0; 1];
            from.read(&mut end).map(drop)
        }
        Trick::BreakOff => from.shutdown(Shutdown::Both),
        Trick::Lie(text) => respond(&mut from, 200, &text),
        Trick::Refuse(status) => respond(&mut from, status, "{\"error\":\"a trick\"}"),
    }
}

fn respond(to: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(
        to,
        "HTTP/1.1 {status} Trick\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn read_request(from: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match from.read(&mut chunk)? {
            0 => return Ok(None),
            n => read.extend(chunk.iter().take(n)),
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while body.len() < length.unwrap_or(0) {
        match from.read(&mut chunk)? {
            0 => return Ok(None),
            n => body.extend(chunk.iter().take(n)),
        }
    }
    Ok(Some((head, body)))
}

/// Passes one request on and the answer back, each on a connection of its own.
fn pass(head: &str, body: &[u8], mut from: TcpStream, pod: u16) -> io::Result<()> {
    let mut to = TcpStream::connect((Ipv4Addr::LOCALHOST, pod))?;
    let head = head.trim_end_matches("\r\n");
    to.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())?;
    to.write_all(body)?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer)?;
    from.write_all(&answer)
}
