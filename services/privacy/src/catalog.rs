//! Every kind that can be found: its name, its category, its words, and the shapes by length.

use std::sync::LazyLock;

use crate::{
    category::Category,
    code::LONGEST,
    rule::{Rule, Shape},
    rules,
    words::Words,
};

/// Which kinds, one bit each.
pub(crate) type Bits = u128;

/// A kind that a scanner of its own finds.
pub(crate) struct Special {
    pub(crate) kind: &'static str,
    category: Category,
    why: &'static str,
    context: &'static [&'static str],
}

macro_rules! special {
    ($($name:ident, $category:ident, $why:literal, [$($word:literal),*];)*) => {
        #[derive(Clone, Copy)]
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "the field's names of the kinds")]
        #[repr(u8)]
        pub(crate) enum SpecialKind { $($name),* }

        const SPECIAL: &[Special] = &[$(Special {
            kind: stringify!($name),
            category: Category::$category,
            why: $why,
            context: &[$($word),*],
        }),*];
    };
}

special! {
    EMAIL_ADDRESS, Contact, "a local part, `@` and a domain", ["email", "e-mail", "mail", "邮箱"];
    PHONE_NUMBER, Contact, "the digits and groups of a telephone number",
        ["phone", "telephone", "tel", "call", "call me", "mobile", "cell", "fax", "desk", "answering at", "call me at", "messages to", "registered", "reach me", "whatsapp",
         "sms", "contact", "hotline", "dial", "ring", "text me", "cellphone", "handy", "mobil", "telefon",
         "téléphone", "teléfono", "telefono", "rufnummer", "电话", "手机", "联系", "致电", "拨打", "座机", "号码"];
    PH_MOBILE_NUMBER, Contact, "the prefix of a Philippine mobile number", ["mobile", "numero", "contact", "viber"];
    TR_PHONE_NUMBER, Contact, "the area and groups of a Turkish telephone number",
        ["telefon", "cep telefonu", "cep", "numaram", "telefonum", "iletişim"];
    CREDIT_CARD, Financial, "a card network's prefix and length, and a Luhn checksum that holds",
        ["card", "credit", "visa", "mastercard", "amex", "debit", "银行卡", "卡号", "信用卡"];
    IBAN_CODE, Financial, "a country's format and a checksum modulo 97 that holds", ["iban"];
    SWIFT_CODE, Financial, "a bank, a country and a place as in ISO 9362, and the word for it", ["swift", "bic"];
    CRYPTO, Financial, "the characters and the checksum of a wallet's address", ["wallet", "btc", "bitcoin", "crypto", "eth"];
    IP_ADDRESS, Network, "an IPv4 or IPv6 address", ["ip", "ipv4", "ipv6"];
    MAC_ADDRESS, Network, "six pairs of hexadecimal digits", ["mac", "ethernet", "hardware address"];
    URL, Network, "a scheme or a known top-level domain", ["url", "website", "link"];
    URL_WITH_CREDENTIALS, Secret, "a URL that carries a user's name and password", [];
    API_KEY, Secret, "the prefix and length that a provider gives its keys", ["key", "token", "secret"];
    PRIVATE_KEY, Secret, "a private key in PEM", [];
    JWT, Secret, "three base64url parts, the first of a token's header", ["token", "bearer"];
    DATE_TIME, Date, "a day of the calendar, written in numbers", ["today", "date", "datum", "日期"];
    DATE_OF_BIRTH, Date, "a day of the calendar beside a word for birth",
        ["born", "birth", "date of birth", "dob", "birthday", "geboren", "geburtsdatum", "né le", "née le",
         "nacido", "fecha de nacimiento", "出生", "生日", "出生日期"];
    AGE, Date, "a number of years beside a word for age", [];
    COORDINATES, Location, "latitude and longitude in decimal degrees", ["location", "gps", "coordinates", "坐标"];
    CN_VEHICLE_PLATE, Document, "a province, a letter and five or six characters", ["车牌", "牌照"];
}

impl SpecialKind {
    /// Its place among all kinds.
    #[expect(clippy::as_conversions, reason = "the discriminant of a field-less enumeration")]
    pub(crate) const fn id(self) -> usize {
        self as usize
    }
}

/// Kinds, words and shapes, built once.
pub(crate) struct Catalog {
    kinds: Vec<Entry>,
    /// By length of the code, sorted by its groups: the shape, the kind and rule that it is for.
    shapes: Vec<Vec<(Shape, usize, &'static Rule)>>,
    /// For each length of a first group, bit *n* if a second one of *n* follows in some shape.
    pairs: [u64; LONGEST + 1],
    /// Groups that some shape begins with and goes on behind, sorted.
    begun: Vec<u64>,
    words: Words,
}

struct Entry {
    kind: &'static str,
    category: Category,
    why: &'static str,
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::build);

impl Catalog {
    pub(crate) fn get() -> &'static Self {
        &CATALOG
    }

    #[expect(clippy::expect_used, reason = "built from constants, and by every test")]
    fn build() -> Self {
        let mut kinds = Vec::new();
        let mut shapes: Vec<Vec<(Shape, usize, &'static Rule)>> = vec![Vec::new(); LONGEST + 1];
        let mut words: Vec<(&'static str, Bits)> = Vec::new();
        let mut learn = |id: usize, context: &'static [&'static str]| {
            for word in context {
                match words.iter_mut().find(|(known, _)| known == word) {
                    Some((_, bits)) => *bits |= 1 << id,
                    None => words.push((word, 1 << id)),
                }
            }
        };
        for special in SPECIAL {
            learn(kinds.len(), special.context);
            kinds.push(Entry { kind: special.kind, category: special.category, why: special.why });
        }
        for rule in rules::all() {
            let id = kinds.len();
            learn(id, rule.context);
            kinds.push(Entry { kind: rule.kind, category: rule.category, why: rule.why });
            for text in rule.shapes {
                let (shape, length) = Shape::parse(text, rule.between);
                shapes.get_mut(length).expect("a shape of at most 34").push((shape, id, rule));
            }
        }
        let mut pairs = [0; LONGEST + 1];
        let mut begun = Vec::new();
        for (shape, _, _) in shapes.iter().flatten() {
            let length = |group: u32| shape.groups >> (6 * group) & 0x3F;
            for group in (1..10).take_while(|group| length(*group) > 0) {
                begun.push(shape.groups & ((1 << (6 * group)) - 1));
            }
            if let Some(seconds) = usize::try_from(length(0)).ok().and_then(|at| pairs.get_mut(at))
            {
                *seconds |= 1 << length(1);
            }
        }
        begun.sort_unstable();
        begun.dedup();
        for shapes in &mut shapes {
            shapes.sort_by_key(|(shape, _, _)| shape.groups);
        }
        let words = Words::new(words).expect("a few hundred short words");
        Self { kinds, shapes, pairs, begun, words }
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.kinds.iter().enumerate().map(|(id, entry)| (id, entry.kind))
    }

    pub(crate) fn kind(&self, id: usize) -> Option<&'static str> {
        self.kinds.get(id).map(|entry| entry.kind)
    }

    /// What a kind is about and what speaks for it.
    pub(crate) fn about(&self, kind: &str) -> Option<(Category, &'static str)> {
        let entry = self.kinds.iter().find(|entry| entry.kind == kind)?;
        Some((entry.category, entry.why))
    }

    /// The shapes of this length in these groups.
    pub(crate) fn shapes(&self, length: usize, groups: u64) -> &[(Shape, usize, &'static Rule)] {
        let all = self.shapes.get(length).map_or(&[][..], Vec::as_slice);
        let begin = all.partition_point(|(shape, _, _)| shape.groups < groups);
        let rest = all.get(begin..).unwrap_or_default();
        let count = rest.iter().take_while(|(shape, _, _)| shape.groups == groups).count();
        rest.get(..count).unwrap_or_default()
    }

    /// Whether some shape begins with groups of these lengths.
    pub(crate) fn has_groups(&self, first: usize, second: usize) -> bool {
        second < 64 && self.pairs.get(first).is_some_and(|seconds| seconds >> second & 1 == 1)
    }

    /// Whether some shape begins with these groups and goes on.
    pub(crate) fn goes_on(&self, groups: u64) -> bool {
        self.begun.binary_search(&groups).is_ok()
    }

    /// Words near a value, with the kinds that they speak for.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }
}
