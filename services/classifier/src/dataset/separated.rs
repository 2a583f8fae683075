use super::{Columns, DatasetError, Rows};

/// CSV or TSV with a header.
pub(super) fn read(bytes: &[u8], separator: u8, columns: &Columns) -> Result<Rows, DatasetError> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(bytes);
    let header = reader.headers().cloned().unwrap_or_default();
    let header: Vec<&str> =
        header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    let place = |name: &str| header.iter().position(|column| *column == name);
    let (Some(text), Some(label)) = (place(&columns.text), place(&columns.label)) else {
        return Err(DatasetError::Header { found: header.join(","), wanted: columns.clone() });
    };
    let mut rows = Rows::default();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match (record.get(text), record.get(label)) {
                    (Some(text), Some(label)) if record.len() == header.len() => {
                        rows.add(text, label, line);
                    }
                    _ => rows.bad.push(format!(
                        "line {line}: {} fields instead of {}",
                        record.len(),
                        header.len()
                    )),
                }
            }
            // Its message names the line.
            Err(error) => rows.bad.push(error.to_string()),
        }
    }
    Ok(rows)
}
