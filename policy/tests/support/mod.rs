//! Calls and rules at random, the same for the same seed.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    Action, AgeGroup, Country, DecisionInput, Instrument, Kind, LegalFacts, ModelFacts, ModelName,
    Purpose, Region, ResultUse, Scope, TenantFacts, TenantId, Timestamp, TransferCount, Until,
};
use reeve_policy::{Bundle, Pack};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let len = u64::try_from(items.len()).unwrap();
        items.get(usize::try_from(self.below(len)).unwrap()).unwrap()
    }

    fn some<T: Ord + Clone>(&mut self, items: &[T], percent: u64) -> BTreeSet<T> {
        items.iter().filter(|_| self.chance(percent)).cloned().collect()
    }

    fn until(&mut self) -> Until {
        self.chance(50).then(|| Timestamp::from_micros(i64::try_from(self.below(2000)).unwrap()))
    }
}

const PURPOSES: [&str; 6] =
    ["support", "recruitment", "treatment", "social-scoring", "elections", "marketing"];
const REGIONS: [&str; 3] = ["cn-north", "eu-west", "us-east"];

fn purposes() -> Vec<Purpose> {
    PURPOSES.iter().map(|name| Purpose::new(name).unwrap()).collect()
}

pub(crate) fn tenant(random: &mut Random, number: u64) -> TenantFacts {
    let regions: Vec<Region> = REGIONS.iter().map(|name| Region::new(name).unwrap()).collect();
    let mut labels = BTreeMap::new();
    if random.chance(70) {
        labels.insert("jurisdiction".to_owned(), (*random.of(&["EU", "US", "CN"])).to_owned());
    }
    if random.chance(30) {
        labels.insert("hipaa".to_owned(), "covered-entity".to_owned());
    }
    let mut legal = LegalFacts::default();
    for name in ["dpa", "baa"] {
        if random.chance(80) {
            legal.agreements.insert(name.to_owned(), random.until());
        }
    }
    for law in ["EU", "US", "CN"] {
        if random.chance(40) {
            let kinds = ["scc", "bcr", "standard-contract", "security-assessment", "certification"];
            let kind = (*random.of(&kinds)).to_owned();
            legal.instruments.insert(law.to_owned(), Instrument { kind, until: random.until() });
        }
    }
    for category in ["health", "religion"] {
        if random.chance(50) {
            legal.bases.insert(category.to_owned(), "9(2)(a)".to_owned());
        }
    }
    for purpose in purposes() {
        if random.chance(50) {
            legal.overseen.insert(purpose, random.until());
        }
    }
    if random.chance(20) {
        legal.break_glass =
            Some(Timestamp::from_micros(i64::try_from(random.below(2000)).unwrap()));
    }
    TenantFacts {
        id: TenantId::new(format!("tenant-{number}")).unwrap(),
        residency: random.some(&regions, 60),
        purposes: random.some(&purposes(), 50),
        labels,
        legal,
    }
}

pub(crate) fn model(random: &mut Random, number: u64) -> ModelFacts {
    ModelFacts {
        name: ModelName::new("support").unwrap(),
        version: number.to_string(),
        digest: reeve_domain::Digest::of(&number.to_le_bytes()),
        generative: random.chance(10),
        risk_class: (*random.of(&["minimal", "limited", "high"])).to_owned(),
        conformity: random.chance(50),
        instructions: random.chance(50),
    }
}

pub(crate) fn call(
    random: &mut Random,
    tenants: &[TenantFacts],
    models: &[ModelFacts],
) -> DecisionInput {
    let names = |random: &mut Random, names: &[&str], percent| -> BTreeSet<String> {
        random.some(names, percent).into_iter().map(str::to_owned).collect()
    };
    let scopes = random.some(&["classify", "explain", "read"], 70);
    let kinds: Vec<Kind> =
        ["CN_RESIDENT_ID", "CREDIT_CARD", "EMAIL_ADDRESS", "US_SSN", "DATE_TIME"]
            .map(Kind::of)
            .into();
    let countries = ["DE", "NO", "US", "CN", "CH"].map(|name| Country::new(name).unwrap());
    let some = |random: &mut Random| random.chance(60);
    DecisionInput {
        at: Timestamp::from_micros(i64::try_from(random.below(2000)).unwrap()),
        tenant: random.of(tenants).clone(),
        scopes: scopes.into_iter().map(|name| Scope::new(name).unwrap()).collect(),
        action: *random.of(&[Action::Classify, Action::Classify, Action::Explain]),
        model: random.of(models).clone(),
        purpose: some(random).then(|| random.of(&purposes()).clone()),
        subject_country: some(random).then(|| random.of(&countries).clone()),
        consents: names(random, &["general", "sensitive", "transfer", "guardian"], 60),
        data_categories: names(random, &["health", "religion", "important-data"], 15),
        subject_age: some(random).then(|| *random.of(&AgeGroup::ALL)),
        result_use: some(random).then(|| *random.of(&ResultUse::ALL)),
        shared_key: random.chance(30),
        transferred: some(random).then(|| TransferCount {
            subjects: *random.of(&[1, 99_999, 100_000, 1_000_000]),
            sensitive: *random.of(&[0, 1, 9_999, 10_000]),
        }),
        found: random.some(&kinds, 25).into_iter().map(|kind| (kind, 1)).collect(),
        items: 1 + random.below(8),
        characters: random.below(4000),
        candidates: random
            .some(&REGIONS, 80)
            .into_iter()
            .chain(random.chance(2).then_some("mars"))
            .map(|name| Region::new(name).unwrap())
            .collect(),
    }
}

/// A bundle with all packs, and `rules` more of which about every tenth is about any one tenant.
pub(crate) fn bundle(random: &mut Random, rules: u64) -> Bundle {
    let mut bundle = Pack::reference(&Pack::ALL);
    let mut text = String::new();
    for number in 0..rules {
        let tenant = match random.below(10) {
            0 => String::new(),
            _ => format!("principal == Tenant::\"tenant-{}\"", random.below(10)),
        };
        let tenant = if tenant.is_empty() { "principal".to_owned() } else { tenant };
        let condition = match random.below(8) {
            0 => format!("context has purpose && context.purpose == \"{}-{number}\"", random.of(&PURPOSES)),
            1 => format!("context.characters > {} && context.items > 3", 3000 + random.below(2000)),
            2 => "resource.risk_class == \"high\" && context.shared_key".to_owned(),
            3 => "resource.risk_class == \"none\" && context.shared_key".to_owned(),
            4 => format!("principal.hasTag(\"sector\") && principal.getTag(\"sector\") == \"{number}\""),
            5 => "context.found.contains(\"US_SSN\") && context has subject_age && context.subject_age == \"minor\"".to_owned(),
            6 => format!("context.region == \"us-east\" && context.consents.contains(\"c-{number}\")"),
            // Overflows for large texts: what errs must err in both.
            _ => "context.characters * 4611686018427387 < 0 && context.characters > 2100".to_owned(),
        };
        let redacts = random.chance(30);
        let (effect, action, more) = if redacts {
            ("permit", "obligate", "@redact(\"EMAIL_ADDRESS\")")
        } else {
            ("forbid", "classify", "")
        };
        text.push_str(&format!(
            "@id(\"rule-{number}\")@title(\"t\")@reason(\"Rule {number}.\"){more}\n{effect} ({tenant}, action == Action::\"{action}\", resource) when {{ {condition} }};\n"
        ));
    }
    bundle.cedar.insert("more.cedar".to_owned(), text);
    bundle
}
