use reeve_classifier::Readout;
use tch::{Kind, TchError, Tensor};

/// What stands for each text, of steps `[texts, steps, width]`.
pub(super) fn read(readout: Readout, steps: Tensor, lengths: &Tensor) -> Result<Tensor, TchError> {
    let [texts, count, width] = <[i64; 3]>::try_from(steps.size())
        .map_err(|_| TchError::Kind("steps have three dimensions".to_owned()))?;
    match readout {
        Readout::EveryToken => Ok(steps),
        Readout::LastReal => {
            let last = (lengths - 1).f_view([texts, 1, 1])?.f_expand([texts, 1, width], false)?;
            steps.f_gather(1, &last, false)?.f_squeeze_dim(1)
        }
        Readout::Max => {
            let beyond = beyond(count, lengths)?.f_unsqueeze(-1)?;
            steps.f_masked_fill(&beyond, f64::NEG_INFINITY)?.f_amax([1_i64].as_slice(), false)
        }
        Readout::Mean => {
            let beyond = beyond(count, lengths)?.f_unsqueeze(-1)?;
            let sum = steps.f_masked_fill(&beyond, 0.0)?.f_sum_dim_intlist(
                [1_i64].as_slice(),
                false,
                Kind::Float,
            )?;
            sum.f_div(&lengths.f_view([texts, 1])?.f_to_kind(Kind::Float)?)
        }
    }
}

/// Which of `[texts, steps]` are padding.
pub(super) fn beyond(steps: i64, lengths: &Tensor) -> Result<Tensor, TchError> {
    let place = Tensor::f_arange(steps, (Kind::Int64, lengths.device()))?.f_view([1, steps])?;
    place.f_ge_tensor(&lengths.f_view([-1, 1])?)
}
