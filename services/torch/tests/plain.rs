//! The plain computation, which faster ones are held against when a model is loaded, is libtorch's.

use proptest::prelude::*;
use reeve_classifier::{
    Arithmetic, Backend as _, Device, Encoded, Plain, Readout, Source,
    testing::{architectures, texts, weights},
};
use reeve_torch::Torch;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn plain_logits_are_libtorch_s(
        architecture in architectures(),
        lengths in prop::collection::vec(1_usize..24, 1..20),
        seed in any::<u64>(),
    ) {
        reeve_torch::set_threads(1);
        let weights = weights(&architecture, seed);
        let texts = texts(&architecture, &lengths, seed);
        let classes = usize::try_from(architecture.classes).unwrap();
        let source = Source {
            architecture: &architecture,
            weights: &weights,
            script: None,
            classes,
            empty_token: 0,
        };
        let torch = Torch.network(source, Device::Cpu, Arithmetic::Fp32).unwrap();
        let expected = torch.answers(&texts.iter().collect::<Vec<&Encoded>>()).unwrap();
        let plain = Plain::new(&architecture, &weights).unwrap();
        for (text, mut expected) in texts.iter().zip(expected) {
            if architecture.readout == Readout::EveryToken {
                expected.truncate(text.ids.len() * classes);
            }
            let found = plain.logits(text);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }
}
