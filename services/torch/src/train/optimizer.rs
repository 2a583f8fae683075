use std::collections::BTreeMap;

use reeve_classifier::{WIDE_WEIGHT, Weight, Weights};
use tch::{Kind, TchError, Tensor};

use super::{Optimizer, Recipe};
use crate::network::values;

/// The rules of PyTorch's optimisers, over tensors that can be written down and read again:
/// libtorch's own do not give their state away, so a training could not be resumed with them.
/// Where a gradient is sparse, only the rows that it names are touched, as in PyTorch's
/// `SparseAdam`.
#[derive(Debug)]
pub(super) struct Steps {
    rule: Optimizer,
    momentum: f64,
    clip: f64,
    parameters: Vec<Parameter>,
    /// Steps made.
    count: u64,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    tensor: Tensor,
    /// Velocity, or the gradient's first and second moments.
    moments: Vec<Tensor>,
    decay: f64,
    /// Its learning rate, as a multiple of the recipe's.
    rate: f64,
}

/// A gradient, or the rows of one that are not zero.
enum Gradient {
    Whole(Tensor),
    Rows { rows: Tensor, values: Tensor },
}

impl Gradient {
    const fn values(&self) -> &Tensor {
        match self {
            Self::Whole(values) | Self::Rows { values, .. } => values,
        }
    }
}

/// PyTorch's defaults of Adam.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

impl Steps {
    pub(super) fn new(
        recipe: &Recipe,
        parameters: &BTreeMap<String, Tensor>,
    ) -> Result<Self, TchError> {
        let moments = match recipe.optimizer {
            Optimizer::Sgd => 0,
            Optimizer::Momentum | Optimizer::Nesterov => 1,
            Optimizer::Adam | Optimizer::Adamw => 2,
        };
        let parameters = parameters
            .iter()
            .filter(|(_, tensor)| tensor.requires_grad())
            .map(|(name, tensor)| {
                let wide = recipe.wide.filter(|_| name == WIDE_WEIGHT);
                let zeros = || tensor.f_detach()?.f_zeros_like();
                Ok(Parameter {
                    name: name.clone(),
                    tensor: tensor.shallow_clone(),
                    moments: (0..moments).map(|_| zeros()).collect::<Result<_, TchError>>()?,
                    decay: wide.map_or(recipe.weight_decay, |wide| wide.weight_decay),
                    rate: wide.map_or(1.0, |wide| wide.learning_rate / recipe.learning_rate),
                })
            })
            .collect::<Result<_, TchError>>()?;
        Ok(Self {
            rule: recipe.optimizer,
            momentum: recipe.momentum,
            clip: recipe.clip,
            parameters,
            count: 0,
        })
    }

    /// One step down the gradient of a loss; the loss before it. Nothing is changed where the
    /// loss is not finite.
    pub(super) fn step(&mut self, loss: &Tensor, learning_rate: f64) -> Result<f64, TchError> {
        let before = loss.f_double_value(&[])?;
        if !before.is_finite() {
            return Ok(before);
        }
        let tensors: Vec<&Tensor> = self.parameters.iter().map(|p| &p.tensor).collect();
        let gradients = Tensor::f_run_backward(&[loss], &tensors, false, false)?;
        tch::no_grad(|| {
            let gradients = gradients.into_iter().map(gradient).collect::<Result<Vec<_>, _>>()?;
            let shrink = self.shrink(&gradients)?;
            self.count = self.count.saturating_add(1);
            for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
                let Some(gradient) = gradient else { continue };
                let rate = learning_rate * parameter.rate;
                let values = match shrink {
                    Some(factor) => gradient.values().f_mul_scalar(factor)?,
                    None => gradient.values().shallow_clone(),
                };
                let rule = Rule { rule: self.rule, momentum: self.momentum, count: self.count };
                match gradient {
                    Gradient::Whole(_) => {
                        let Parameter { tensor, moments, decay, .. } = parameter;
                        rule.apply(tensor, moments, values, rate, *decay)?;
                    }
                    Gradient::Rows { rows, .. } => {
                        rule.apply_rows(parameter, &rows, values, rate)?
                    }
                }
            }
            Ok::<_, TchError>(())
        })?;
        Ok(before)
    }

    /// What gradients are multiplied with so that together they are no longer than allowed.
    fn shrink(&self, gradients: &[Option<Gradient>]) -> Result<Option<f64>, TchError> {
        if self.clip <= 0.0 {
            return Ok(None);
        }
        let squares = gradients
            .iter()
            .flatten()
            .map(|gradient| gradient.values().f_norm()?.f_square())
            .collect::<Result<Vec<_>, _>>()?;
        let length = Tensor::f_stack(&squares, 0)?.f_sum(Kind::Float)?.f_sqrt()?;
        let length = length.f_double_value(&[])?;
        Ok((length > self.clip).then(|| self.clip / (length + 1e-6)))
    }

    /// Steps made so far.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The moments by name, and how many steps were made.
    pub(super) fn state(&self) -> Result<(Weights, u64), TchError> {
        let mut weights = Weights::default();
        for parameter in &self.parameters {
            for (number, moment) in parameter.moments.iter().enumerate() {
                let shape =
                    moment.size().iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
                let weight = Weight { shape, values: values(moment)? };
                weights.0.insert(format!("{}.{number}", parameter.name), weight);
            }
        }
        Ok((weights, self.count))
    }

    /// Goes on from what [`Self::state`] gave.
    pub(super) fn restore(&mut self, state: &Weights, count: u64) -> Result<(), TchError> {
        self.count = count;
        for parameter in &mut self.parameters {
            for (number, moment) in parameter.moments.iter_mut().enumerate() {
                let name = format!("{}.{number}", parameter.name);
                let weight = state
                    .0
                    .get(&name)
                    .ok_or_else(|| TchError::Kind(format!("`{name}` is missing")))?;
                let values = Tensor::f_from_slice(&weight.values)?;
                moment.f_copy_(&values.f_view(moment.size().as_slice())?)?;
            }
        }
        Ok(())
    }
}

fn gradient(gradient: Tensor) -> Result<Option<Gradient>, TchError> {
    if !gradient.defined() {
        return Ok(None);
    }
    if !gradient.is_sparse() {
        return Ok(Some(Gradient::Whole(gradient)));
    }
    let gradient = gradient.f_coalesce()?;
    let rows = gradient.f_internal_indices()?.f_view([-1])?;
    Ok(Some(Gradient::Rows { rows, values: gradient.f_internal_values()? }))
}

struct Rule {
    rule: Optimizer,
    momentum: f64,
    count: u64,
}

impl Rule {
    fn apply(
        &self,
        tensor: &mut Tensor,
        moments: &mut [Tensor],
        mut gradient: Tensor,
        rate: f64,
        decay: f64,
    ) -> Result<(), TchError> {
        if self.rule == Optimizer::Adamw {
            let _scaled = tensor.f_mul_scalar_(1.0 - rate * decay)?;
        } else if decay != 0.0 {
            gradient = gradient.f_add(&tensor.f_mul_scalar(decay)?)?;
        }
        let step = match (self.rule, moments) {
            (Optimizer::Adam | Optimizer::Adamw, [first, second]) => {
                let (beta1, beta2) = BETAS;
                let steps = i32::try_from(self.count).unwrap_or(i32::MAX);
                let _first = first.f_lerp_(&gradient, 1.0 - beta1)?;
                let square = gradient.f_square()?.f_mul_scalar_(1.0 - beta2)?;
                let _second = second.f_mul_scalar_(beta2)?.f_add_(&square)?;
                let root = second.f_sqrt()?.f_div_scalar_((1.0 - beta2.powi(steps)).sqrt())?;
                let mut root = root;
                let root = root.f_add_scalar_(EPSILON)?;
                first.f_div(&root)?.f_mul_scalar_(1.0 / (1.0 - beta1.powi(steps)))?
            }
            (Optimizer::Momentum | Optimizer::Nesterov, [velocity]) => {
                let _velocity = velocity.f_mul_scalar_(self.momentum)?.f_add_(&gradient)?;
                if self.rule == Optimizer::Nesterov {
                    gradient.f_add(&velocity.f_mul_scalar(self.momentum)?)?
                } else {
                    velocity.shallow_clone()
                }
            }
            _ => gradient,
        };
        let _stepped = tensor.f_sub_(&step.f_mul_scalar(rate)?)?;
        Ok(())
    }

    /// As [`Self::apply`], for some rows of a matrix.
    fn apply_rows(
        &self,
        parameter: &mut Parameter,
        rows: &Tensor,
        gradient: Tensor,
        rate: f64,
    ) -> Result<(), TchError> {
        let of_rows = |tensor: &Tensor| tensor.f_index_select(0, rows);
        let mut tensor = of_rows(&parameter.tensor)?;
        let mut moments =
            parameter.moments.iter().map(of_rows).collect::<Result<Vec<_>, TchError>>()?;
        self.apply(&mut tensor, &mut moments, gradient, rate, parameter.decay)?;
        let _written = parameter.tensor.f_index_copy_(0, rows, &tensor)?;
        for (moment, rows_of_it) in parameter.moments.iter_mut().zip(&moments) {
            let _written = moment.f_index_copy_(0, rows, rows_of_it)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::{
        Device,
        nn::{self, OptimizerConfig as _},
    };

    use super::*;

    /// A loss whose gradient changes from step to step.
    fn loss(weight: &Tensor) -> Tensor {
        let target = Tensor::from_slice(&[1.0_f32, -2.0, 0.5, 3.0]).view([2, 2]);
        ((weight - target).square() + weight.sin()).sum(Kind::Float)
    }

    fn start() -> Tensor {
        Tensor::from_slice(&[0.3_f32, -0.1, 0.8, 0.2]).view([2, 2])
    }

    #[test]
    fn every_rule_makes_libtorchs_steps() {
        for (optimizer, decay) in [
            (Optimizer::Sgd, 0.0),
            (Optimizer::Momentum, 0.01),
            (Optimizer::Nesterov, 0.01),
            (Optimizer::Adam, 0.01),
            (Optimizer::Adamw, 0.1),
        ] {
            let store = nn::VarStore::new(Device::Cpu);
            let theirs = store.root().var_copy("w", &start());
            let rate = 0.05;
            let mut reference = match optimizer {
                Optimizer::Sgd => nn::sgd(0.0, 0.0, decay, false).build(&store, rate),
                Optimizer::Momentum => nn::sgd(0.9, 0.0, decay, false).build(&store, rate),
                Optimizer::Nesterov => nn::sgd(0.9, 0.0, decay, true).build(&store, rate),
                Optimizer::Adam => nn::adam(0.9, 0.999, decay).build(&store, rate),
                Optimizer::Adamw => nn::adamw(0.9, 0.999, decay).build(&store, rate),
            }
            .unwrap();
            let ours = start().set_requires_grad(true);
            let parameters = [("w".to_owned(), ours.shallow_clone())].into();
            let recipe = Recipe { optimizer, weight_decay: decay, clip: 0.0, ..Recipe::default() };
            let mut steps = Steps::new(&recipe, &parameters).unwrap();
            for _ in 0..30 {
                reference.backward_step(&loss(&theirs));
                steps.step(&loss(&ours), rate).unwrap();
            }
            let (theirs, ours) = (values(&theirs).unwrap(), values(&ours).unwrap());
            for (a, b) in theirs.iter().zip(&ours) {
                assert!((a - b).abs() < 1e-5, "{optimizer:?}: {theirs:?} {ours:?}");
            }
        }
    }

    #[test]
    fn a_sparse_gradient_moves_its_rows_as_a_dense_one_would_and_no_other() {
        let table = |sparse: bool| {
            let weight = Tensor::ones([4, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let parameters = [("w".to_owned(), weight.shallow_clone())].into();
            let recipe = Recipe { optimizer: Optimizer::Adam, ..Recipe::default() };
            let mut steps = Steps::new(&recipe, &parameters).unwrap();
            for _ in 0..5 {
                let rows = Tensor::from_slice(&[1_i64, 3, 1]);
                let read = Tensor::embedding(&weight, &rows, -1, false, sparse);
                steps.step(&read.square().sum(Kind::Float), 0.1).unwrap();
            }
            values(&weight).unwrap()
        };
        assert_eq!(table(true), table(false));
        assert_eq!(table(true)[..2], [1.0, 1.0]);
        assert!(table(true)[2] < 0.9);
    }

    #[test]
    fn clipping_shortens_a_long_gradient_to_the_limit() {
        let weight = Tensor::from_slice(&[0.0_f32, 0.0]).set_requires_grad(true);
        let parameters = [("w".to_owned(), weight.shallow_clone())].into();
        let recipe = Recipe { optimizer: Optimizer::Sgd, clip: 1.0, ..Recipe::default() };
        let mut steps = Steps::new(&recipe, &parameters).unwrap();
        let loss = (&weight * Tensor::from_slice(&[30.0_f32, 40.0])).sum(Kind::Float);
        steps.step(&loss, 1.0).unwrap();
        let moved = values(&weight).unwrap();
        assert!((moved[0] + 0.6).abs() < 1e-4 && (moved[1] + 0.8).abs() < 1e-4, "{moved:?}");
    }
}
