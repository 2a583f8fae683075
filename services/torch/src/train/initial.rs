use rand::{Rng as _, rngs::StdRng};
use reeve_classifier::{Architecture, Weight, Weights};

/// PyTorch's initial weights: N(0, 1) for embeddings, U(−1/√H, 1/√H) for all of an LSTM,
/// U(−1/√n, 1/√n) for linear layers that read n values, Glorot's for attention's first projection,
/// and norms that change nothing. N-grams that go straight to the output say nothing at first.
pub(crate) fn initial(architecture: &Architecture, random: &mut StdRng) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in architecture.weights() {
        let count = shape.iter().copied().fold(1, usize::saturating_mul);
        let bound = match Start::of(&name, &shape, architecture) {
            Start::Uniform(bound) => bound,
            Start::Normal(scale) => {
                let values = (0..count).map(|_| scale * normal(random)).collect();
                weights.0.insert(name, Weight { shape, values });
                continue;
            }
            Start::Same(value) => {
                weights.0.insert(name, Weight { shape, values: vec![value; count] });
                continue;
            }
        };
        let values = (0..count).map(|_| random.random_range(-bound..bound)).collect();
        weights.0.insert(name, Weight { shape, values });
    }
    weights
}

enum Start {
    Uniform(f32),
    Normal(f32),
    Same(f32),
}

impl Start {
    fn of(name: &str, shape: &[usize], architecture: &Architecture) -> Self {
        let width = |at: usize| {
            f32::from(u16::try_from(shape.get(at).copied().unwrap_or(1)).unwrap_or(u16::MAX))
        };
        let inverse_root = |n: f32| Self::Uniform(n.max(1.0).sqrt().recip());
        let hidden = f32::from(u16::try_from(architecture.hidden).unwrap_or(u16::MAX));
        let read = architecture.read_width();
        let read = f32::from(u16::try_from(read).unwrap_or(u16::MAX));
        let embedding = f32::from(u16::try_from(architecture.embedding).unwrap_or(u16::MAX));
        match name.rsplit_once('.').unwrap_or(("", name)) {
            ("embedding" | "position", _) => Self::Normal(1.0),
            ("lstm", _) => inverse_root(hidden),
            ("wide", "weight") if architecture.wide.is_some_and(|wide| wide.width > 0) => {
                Self::Normal(0.05)
            }
            ("wide", _) => Self::Same(0.0),
            ("fc", _) => inverse_root(read),
            (_, "in_proj_weight") => Self::Uniform((6.0 / (width(0) + width(1))).sqrt()),
            (_, "in_proj_bias") => Self::Same(0.0),
            (part, "bias") if part.ends_with("out_proj") => Self::Same(0.0),
            (part, leaf) if part.contains("norm") => {
                Self::Same(if leaf == "weight" { 1.0 } else { 0.0 })
            }
            (part, _) if part.ends_with("linear2") => inverse_root(hidden),
            _ => inverse_root(embedding),
        }
    }
}

/// Box and Muller's transform of two uniform numbers.
fn normal(random: &mut StdRng) -> f32 {
    let radius = (-2.0 * (1.0 - random.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.random::<f32>()).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use reeve_classifier::{Activation, Body, Readout};

    use super::*;

    #[test]
    fn initial_weights_have_pytorchs_distributions() {
        let architecture = Architecture {
            body: Body::Lstm,
            vocabulary: 500,
            embedding: 40,
            hidden: 16,
            layers: 1,
            bidirectional: false,
            classes: 3,
            activation: Activation::None,
            readout: Readout::LastReal,
            wide: None,
        };
        let weights = initial(&architecture, &mut StdRng::seed_from_u64(1));
        let embedding = &weights.0["embedding.weight"].values;
        let mean = embedding.iter().sum::<f32>() / 20_000.0;
        let variance = embedding.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        for (name, weight) in weights.0.iter().filter(|(name, _)| !name.starts_with("emb")) {
            let largest = weight.values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            assert!(largest <= 0.25, "{name}: {largest}");
        }
        let gates = &weights.0["lstm.weight_ih_l0"].values;
        let largest = gates.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.24, "spread over the whole interval: {largest}");
    }
}
