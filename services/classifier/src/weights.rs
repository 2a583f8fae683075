use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::Architecture;

/// One weight: row-major 32-bit floats.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many values as the dimensions multiply to.
    pub values: Vec<f32>,
}

/// All weights of a network by their PyTorch names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(pub BTreeMap<String, Weight>);

/// Weights that do not fit the architecture they came with.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file.
    #[error("weights are not a safetensors file: {0}")]
    Malformed(String),
    /// A name is on one side only.
    #[error(
        "weights do not match the architecture: missing {missing:?}, unexpected {unexpected:?}"
    )]
    Names {
        /// Asked for by the architecture, not in the file.
        missing: Vec<String>,
        /// In the file, not asked for.
        unexpected: Vec<String>,
    },
    /// The right name with other dimensions.
    #[error("weight `{name}` has shape {found:?}, the architecture needs {expected:?}")]
    Shape {
        /// Which weight.
        name: String,
        /// Dimensions in the file.
        found: Vec<usize>,
        /// Dimensions that the architecture needs.
        expected: Vec<usize>,
    },
    /// A served bundle holds 32-bit floats only: a variable would silently take the file's type.
    #[error("weight `{name}` is of type {found}, a bundle holds F32 only")]
    Type {
        /// Which weight.
        name: String,
        /// Its type in the file.
        found: String,
    },
    /// NaN or infinite.
    #[error("weight `{0}` holds a value that is not finite")]
    NotFinite(String),
}

impl Weights {
    /// Reads and checks a safetensors file: names both ways, shapes, types, finite values.
    pub fn from_safetensors(
        bytes: &[u8],
        architecture: &Architecture,
    ) -> Result<Self, WeightsError> {
        let weights = Self::read(bytes)?;
        weights.check(architecture)?;
        Ok(weights)
    }

    /// Reads a safetensors file of 32-bit floats, whatever it is for.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(malformed)?;
        let mut weights = Self::default();
        for name in file.names() {
            let view = file.tensor(name).map_err(malformed)?;
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::Type {
                    name: name.to_owned(),
                    found: format!("{:?}", view.dtype()),
                });
            }
            let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            weights.0.insert(name.to_owned(), Weight { shape: view.shape().to_vec(), values });
        }
        Ok(weights)
    }

    /// Compares names (both ways), shapes and values with what the architecture needs.
    pub fn check(&self, architecture: &Architecture) -> Result<(), WeightsError> {
        let expected: BTreeMap<String, Vec<usize>> = architecture.weights().into_iter().collect();
        let absent = |name: &&String| !self.0.contains_key(*name);
        let missing: Vec<String> = expected.keys().filter(absent).cloned().collect();
        let unexpected: Vec<String> =
            self.0.keys().filter(|name| !expected.contains_key(*name)).cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(WeightsError::Names { missing, unexpected });
        }
        for (name, shape) in expected {
            let Some(weight) = self.0.get(&name) else { continue };
            let count = shape.iter().copied().fold(1, usize::saturating_mul);
            if weight.shape != shape || weight.values.len() != count {
                return Err(WeightsError::Shape {
                    name,
                    found: weight.shape.clone(),
                    expected: shape,
                });
            }
            if !weight.values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite(name));
            }
        }
        Ok(())
    }

    /// What they take of memory.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|weight| size_of_val(weight.values.as_slice())).sum()
    }

    /// The safetensors file of these weights. The same weights give the same bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
        let bytes: Vec<(&String, &Weight, Vec<u8>)> = self
            .0
            .iter()
            .map(|(name, weight)| {
                (name, weight, weight.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, weight, bytes)| {
                let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes);
                Ok((name.as_str(), view.map_err(malformed)?))
            })
            .collect::<Result<Vec<_>, WeightsError>>()?;
        safetensors::serialize(views, None).map_err(malformed)
    }
}

/// The name under which a bundle's weights file holds a TorchScript module as bytes, so that a
/// bundle always has the same files.
const SCRIPT: &str = "script";

/// A safetensors file with nothing but a TorchScript module.
pub(crate) fn with_script(script: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
    let view = TensorView::new(Dtype::U8, vec![script.len()], script).map_err(malformed)?;
    safetensors::serialize([(SCRIPT, view)], None).map_err(malformed)
}

/// The module in such a file.
pub(crate) fn script_in(bytes: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(malformed)?;
    let view = file.tensor(SCRIPT).map_err(malformed)?;
    if view.dtype() != Dtype::U8 {
        return Err(WeightsError::Type {
            name: SCRIPT.to_owned(),
            found: format!("{:?}", view.dtype()),
        });
    }
    Ok(view.data().to_vec())
}
