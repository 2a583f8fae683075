//! Values told less exactly: a day as its year, a postal code as its region, ages above 89 as one.
//!
//! For dates, ages and ZIP codes this is what 45 CFR 164.514(b)(2)(i)(B) and (C) ask for; the ZIP
//! codes of few people are those of the Department of Health and Human Services' guidance on
//! de-identification (2012, from the census of 2000).

use crate::fold::Folded;

/// Kinds that can be told less exactly.
pub(crate) const KINDS: [&str; 8] = [
    "AGE",
    "COORDINATES",
    "DATE_OF_BIRTH",
    "DATE_TIME",
    "DE_PLZ",
    "IP_ADDRESS",
    "UK_POSTCODE",
    "ZIP_CODE",
];

/// Three digits that begin the ZIP codes of 20,000 people or fewer.
const FEW_PEOPLE: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878",
    "879", "884", "890", "893",
];

/// What a value becomes; none if nothing of it may be told. `year` is the present one.
pub(crate) fn generalise(kind: &str, value: &str, year: u16) -> Option<String> {
    let folded = Folded::new(value);
    let plain = std::str::from_utf8(&folded.bytes).ok()?.trim();
    match kind {
        "AGE" => {
            let age: u16 = numbers(plain).next()?.parse().ok()?;
            Some(if age > 89 { "90+".to_owned() } else { value.to_owned() })
        }
        "DATE_TIME" => year_of(plain).map(str::to_owned),
        "DATE_OF_BIRTH" => {
            let born = year_of(plain)?;
            // Who was born in this year may be 90 already.
            (born.parse::<u16>().ok()? > year.saturating_sub(90)).then(|| born.to_owned())
        }
        "ZIP_CODE" => {
            let region = plain.get(..3).filter(|region| is_digits(region))?;
            let region = if FEW_PEOPLE.contains(&region) { "000" } else { region };
            Some(format!("{region}**"))
        }
        "DE_PLZ" => plain.get(..2).filter(|region| is_digits(region)).map(|r| format!("{r}***")),
        "UK_POSTCODE" => {
            // All but the last three characters: the outward code.
            let code: String = plain.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
            let outward = code.get(..code.len().checked_sub(3)?)?;
            Some(format!("{outward} ***"))
        }
        "IP_ADDRESS" => {
            if let Some((network, _)) = plain.rsplit_once('.').filter(|_| !plain.contains(':')) {
                return Some(format!("{network}.*"));
            }
            let address: std::net::Ipv6Addr = plain.split(['/', '%']).next()?.parse().ok()?;
            let [a, b, c, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:*"))
        }
        "COORDINATES" => {
            let mut degrees = plain
                .split(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-'))
                .filter_map(|part| part.split('.').next())
                .filter(|part| part.bytes().any(|byte| byte.is_ascii_digit()));
            Some(format!("{}°, {}°", degrees.next()?, degrees.next()?))
        }
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty())
}

/// The only number of four digits.
fn year_of(date: &str) -> Option<&str> {
    let mut years = numbers(date).filter(|number| number.len() == 4);
    years.next().filter(|_| years.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_less_exactly() {
        for (kind, value, expected) in [
            ("AGE", "89", Some("89")),
            ("AGE", "90", Some("90+")),
            ("AGE", "９１", Some("90+")),
            ("DATE_TIME", "2024-03-15T10:00:00Z", Some("2024")),
            ("DATE_TIME", "2024年3月15日", Some("2024")),
            ("DATE_TIME", "3/15/24", None),
            ("DATE_TIME", "21 May", None),
            ("DATE_OF_BIRTH", "21 May 1937", Some("1937")),
            ("DATE_OF_BIRTH", "21 May 1936", None),
            ("ZIP_CODE", "94105-1234", Some("941**")),
            ("ZIP_CODE", "03601", Some("000**")),
            ("DE_PLZ", "80331", Some("80***")),
            ("UK_POSTCODE", "SW1A 1AA", Some("SW1A ***")),
            ("IP_ADDRESS", "192.0.2.7", Some("192.0.2.*")),
            ("IP_ADDRESS", "2001:db8::7", Some("2001:db8:0:*")),
            ("COORDINATES", "48.1374, -11.5755", Some("48°, -11°")),
            ("EMAIL_ADDRESS", "jo@example.com", None),
        ] {
            let found = generalise(kind, value, 2026);
            assert_eq!(found.as_deref(), expected, "{kind} {value}");
        }
    }
}
