use super::{
    PytorchError, Storages,
    pickle::{Element, TensorView},
};
use crate::Weight;

/// A tensor's values as 32-bit floats. `budget` is what may still be made, in bytes.
pub(super) fn read(
    name: &str,
    tensor: &TensorView,
    storages: &mut impl Storages,
    budget: &mut u64,
) -> Result<Weight, PytorchError> {
    let wrong = |detail: String| PytorchError::Tensor { name: name.to_owned(), detail };
    let count = check(tensor).map_err(wrong)?;
    *budget = count
        .checked_mul(tensor.element.bytes())
        .and_then(|bytes| budget.checked_sub(bytes))
        .ok_or_else(|| wrong("repeats storages more often than weights do".to_owned()))?;
    let storage = storages.storage(tensor)?;
    let expected = tensor.storage_elements.checked_mul(tensor.element.bytes());
    if u64::try_from(storage.len()).ok() != expected {
        return Err(wrong(format!(
            "has a storage of {} bytes instead of {} elements of {} bytes",
            storage.len(),
            tensor.storage_elements,
            tensor.element.bytes()
        )));
    }
    let lost = || wrong("lies outside its storage".to_owned());
    let mut values = Vec::with_capacity(usize::try_from(count).map_err(|_| lost())?);
    let mut index = vec![0_u64; tensor.shape.len()];
    for _ in 0..count {
        let steps = index.iter().zip(&tensor.stride).map(|(i, stride)| i * stride);
        let at = steps.fold(tensor.offset, u64::saturating_add);
        values.push(value(&storage, tensor.element, at).ok_or_else(lost)?);
        // Count up like an odometer, the last dimension fastest.
        for (i, size) in index.iter_mut().zip(&tensor.shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    let shape = tensor.shape.iter().map(|&n| usize::try_from(n).map_err(|_| lost()));
    Ok(Weight { shape: shape.collect::<Result<_, _>>()?, values })
}

/// The number of a tensor's elements, once it is sure that all lie in its storage and that there
/// are no more of them than the storage has.
fn check(tensor: &TensorView) -> Result<u64, String> {
    if tensor.shape.len() != tensor.stride.len() {
        return Err("has as many strides as it has not dimensions".to_owned());
    }
    if !matches!(tensor.element, Element::F64 | Element::F32 | Element::F16 | Element::Bf16) {
        return Err(format!("holds {:?}: weights are floating point", tensor.element));
    }
    let outside = || {
        format!(
            "of shape {:?}, strides {:?} and offset {} lies outside its storage of {} elements",
            tensor.shape, tensor.stride, tensor.offset, tensor.storage_elements
        )
    };
    let count = tensor.shape.iter().try_fold(1_u64, |n, size| n.checked_mul(*size));
    let count = count.ok_or_else(outside)?;
    if count == 0 {
        return Ok(0);
    }
    let last =
        tensor.shape.iter().zip(&tensor.stride).try_fold(tensor.offset, |at, (n, stride)| {
            at.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
        });
    if last.is_none_or(|last| last >= tensor.storage_elements) || count > tensor.storage_elements {
        return Err(outside());
    }
    Ok(count)
}

fn value(storage: &[u8], element: Element, at: u64) -> Option<f32> {
    let start = usize::try_from(at.checked_mul(element.bytes())?).ok()?;
    let bytes = storage.get(start..)?;
    match element {
        Element::F32 => bytes.first_chunk().map(|b| f32::from_le_bytes(*b)),
        Element::F64 => bytes.first_chunk().map(|b| narrow(f64::from_le_bytes(*b))),
        Element::F16 => bytes.first_chunk().map(|b| half(u16::from_le_bytes(*b))),
        Element::Bf16 => {
            let bits = u16::from_le_bytes(*bytes.first_chunk()?);
            Some(f32::from_bits(u32::from(bits) << 16))
        }
        _ => None,
    }
}

#[expect(
    clippy::as_conversions,
    reason = "rounds to the nearest f32, and to infinity past its range: infinite weights are \
        refused later"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = ((bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f32.powi(i32::from(exponent) - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_has_ieee_values() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2_f32.powi(-24)),
            (0x0400, 2_f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, expected) in cases {
            assert_eq!(half(bits), expected, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
