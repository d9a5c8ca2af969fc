//! Reading tensors back to the host.

use burn::tensor::Tensor;
use thiserror::Error;

/// The device did not give back what it computed.
#[derive(Debug, Error)]
#[error(
    "the device lost its numbers ({0}); resume from the last checkpoint, or choose another device"
)]
pub struct DeviceError(String);

impl DeviceError {
    /// For a device that is reached by other ways than a tensor.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// All elements of `tensor`, row after row, as f32. Asynchronous, as a browser needs it.
///
/// # Errors
/// [`DeviceError`] when the device fails.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, DeviceError> {
    let data = tensor.into_data_async().await;
    let data = data.map_err(|error| DeviceError(error.to_string()))?;
    let values = data.convert::<f32>().try_into_vec();
    values.map_err(|error| DeviceError(format!("{error:?}")))
}
