use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use serde_json::Value;

use super::{Columns, DatasetError, Format, Rows};

/// A Parquet file. Labels that are numbers get their names where the file's metadata hold them as
/// the `datasets` library writes them.
pub(super) fn read(bytes: &[u8], columns: &Columns) -> Result<Rows, DatasetError> {
    let malformed = |error: parquet::errors::ParquetError| DatasetError::Malformed {
        format: Format::Parquet,
        detail: error.to_string(),
    };
    let reader =
        SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).map_err(malformed)?;
    let metadata = reader.metadata().file_metadata();
    let fields = metadata.schema().get_fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    if !names.contains(&columns.text.as_str()) || !names.contains(&columns.label.as_str()) {
        return Err(DatasetError::Header { found: names.join(","), wanted: columns.clone() });
    }
    let named = metadata
        .key_value_metadata()
        .and_then(|all| all.iter().find(|entry| entry.key == "huggingface"))
        .and_then(|entry| label_names(entry.value.as_deref()?, &columns.label))
        .unwrap_or_default();
    let mut rows = Rows::default();
    for (number, row) in (1_u64..).zip(reader.get_row_iter(None).map_err(malformed)?) {
        let row = row.map_err(malformed)?;
        let field = |name: &str| {
            row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field)
        };
        match (field(&columns.text), field(&columns.label).and_then(|l| plain(l, &named))) {
            (Some(Field::Str(text)), Some(label)) => rows.add(text, &label, number),
            (Some(Field::Str(_)), None) => rows.bad.push(format!("row {number}: no label")),
            _ => rows.bad.push(format!("row {number}: no text in `{}`", columns.text)),
        }
    }
    Ok(rows)
}

fn plain(label: &Field, names: &[String]) -> Option<String> {
    let number = match label {
        Field::Str(label) => return Some(label.clone()),
        Field::Bool(value) => return Some(value.to_string()),
        Field::Byte(n) => i64::from(*n),
        Field::Short(n) => i64::from(*n),
        Field::Int(n) => i64::from(*n),
        Field::Long(n) => *n,
        Field::UByte(n) => i64::from(*n),
        Field::UShort(n) => i64::from(*n),
        Field::UInt(n) => i64::from(*n),
        Field::ULong(n) => i64::try_from(*n).ok()?,
        _ => return None,
    };
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    Some(name.cloned().unwrap_or_else(|| number.to_string()))
}

/// `{"info": {"features": {LABEL: {"names": […]}}}}`
fn label_names(metadata: &str, label: &str) -> Option<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let names = metadata.pointer("/info/features")?.get(label)?.get("names")?.as_array()?;
    Some(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}
