use serde_json::{Map, Value};

use super::{Columns, Rows};

/// A JSON object a line; empty lines are passed over.
pub(super) fn read(bytes: &[u8], columns: &Columns) -> Rows {
    let mut rows = Rows::default();
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    for (line, bytes) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Map<String, Value>>(bytes) {
            Ok(object) => match (object.get(&columns.text), object.get(&columns.label)) {
                (Some(Value::String(text)), Some(label)) => match plain(label) {
                    Some(label) => rows.add(text, &label, line),
                    None => rows.bad.push(format!("line {line}: no label")),
                },
                (Some(Value::String(_)), None) => {
                    rows.bad.push(format!("line {line}: no `{}`", columns.label));
                }
                _ => rows.bad.push(format!("line {line}: no text in `{}`", columns.text)),
            },
            Err(error) => {
                let column = error.column();
                rows.bad.push(format!("line {line}: not a JSON object (character {column})"));
            }
        }
    }
    rows
}

/// Labels are often numbers.
fn plain(label: &Value) -> Option<String> {
    match label {
        Value::String(label) => Some(label.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
