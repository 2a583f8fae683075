//! Prints the control plane's OpenAPI document: `services/control/openapi.json` is its output.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&reeve_control::openapi())?;
    text.push('\n');
    io::stdout().lock().write_all(text.as_bytes())
}
