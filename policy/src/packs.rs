//! Rules for one law each, which come with the program. A pack only forbids and obliges: what is
//! permitted at all is for the bundle that takes it in.

use crate::bundle::{Bundle, RegionRules, default_bundle};
use crate::cases::Case;

/// Rules for one law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    /// The name, `gdpr`.
    pub name: &'static str,
    /// The law, for people.
    pub title: &'static str,
    /// Its rules.
    pub cedar: &'static str,
    cases: &'static str,
}

macro_rules! pack {
    ($name:literal, $title:literal) => {
        Pack {
            name: $name,
            title: $title,
            cedar: include_str!(concat!("../packs/", $name, "/", $name, ".cedar")),
            cases: include_str!(concat!("../packs/", $name, "/cases.json")),
        }
    };
}

impl Pack {
    /// Every pack.
    pub const ALL: [Self; 4] = [
        pack!("gdpr", "General Data Protection Regulation (EU) 2016/679"),
        pack!("pipl", "Personal Information Protection Law of the People's Republic of China"),
        pack!("hipaa", "Health Insurance Portability and Accountability Act, 45 CFR Part 164"),
        pack!("eu-ai-act", "Artificial Intelligence Act, Regulation (EU) 2024/1689"),
    ];

    /// The pack of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pack| pack.name == name)
    }

    /// The names of all packs.
    pub fn names() -> [&'static str; 4] {
        Self::ALL.map(|pack| pack.name)
    }

    /// The file of a bundle that the pack's rules stand in.
    pub fn file(&self) -> String {
        format!("packs/{}.cedar", self.name)
    }

    /// Takes the pack into a bundle, in place of an earlier edition of it.
    pub fn add_to(&self, bundle: &mut Bundle) {
        bundle.cedar.insert(self.file(), self.cedar.to_owned());
    }

    /// The pack's golden cases. They speak of the regions of [`Self::reference`].
    #[expect(clippy::expect_used, reason = "built in, and read by every test")]
    pub fn cases(&self) -> Vec<Case> {
        serde_json::from_str(self.cases).expect("the pack's cases")
    }

    /// The bundle that golden cases of packs are decided by: what the default bundle permits and
    /// the given packs, and nothing else that would oblige, in regions of three jurisdictions.
    pub fn reference(packs: &[Self]) -> Bundle {
        let mut bundle = default_bundle();
        bundle.name = "reference".to_owned();
        bundle.cases.clear();
        bundle.cedar.remove("obligations.cedar");
        if let Ok(region) = reeve_domain::Region::new("cn-north") {
            let jurisdiction = "CN".to_owned();
            let rules = RegionRules { jurisdiction, ..RegionRules::default() };
            bundle.regions.insert(region, rules);
        }
        // Some packs take out names, which only a model finds.
        bundle.privacy.names = reeve_domain::ModelName::new("names").ok().map(|model| {
            crate::bundle::NameFinder { model, minimum: reeve_privacy::Confidence::ACTED_UPON }
        });
        for pack in packs {
            pack.add_to(&mut bundle);
        }
        bundle
    }
}
