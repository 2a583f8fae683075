//! Personal data of nobody: reserved ranges and test numbers with valid checksums, so that a
//! detector finds them and no person has them.

use rand::{Rng as _, rngs::StdRng};

/// An address under a domain that RFC 2606 reserves.
pub(super) fn email(random: &mut StdRng) -> String {
    let first = pick(&["anna", "li.wei", "john", "maria", "chen", "sam", "zhang.min"], random);
    let last = pick(&["smith", "wang", "mueller", "rossi", "zhao", "lee", "novak"], random);
    let domain = pick(&["example.com", "example.org", "example.net", "mail.example.com"], random);
    format!("{first}.{last}{}@{domain}", random.random_range(1..100))
}

/// Numbers kept free for fiction (NANPA 555-01xx, Ofcom, Bundesnetzagentur), and the test line of
/// China Mobile.
pub(super) fn phone(random: &mut StdRng) -> String {
    match random.random_range(0..4) {
        0 => format!("+1 212-555-01{:02}", random.random_range(0..100)),
        1 => format!("+44 1632 960{:03}", random.random_range(0..1000)),
        2 => format!("+49 30 23125{:03}", random.random_range(0..1000)),
        _ => pick(&["13800138000", "138 0013 8000", "+86 138 0013 8000"], random).to_owned(),
    }
}

/// Addresses that RFC 5737 and RFC 3849 reserve for documentation.
pub(super) fn ip(random: &mut StdRng) -> String {
    let host: u8 = random.random_range(1..255);
    match random.random_range(0..4) {
        0 => format!("192.0.2.{host}"),
        1 => format!("198.51.100.{host}"),
        2 => format!("203.0.113.{host}"),
        _ => format!("2001:db8::{host:x}"),
    }
}

/// A German or Austrian account at a bank code that no bank has, with ISO 13616's check digits.
pub(super) fn iban(random: &mut StdRng) -> String {
    let (country, numeric, bank, digits) =
        pick(&[("DE", "1314", "99999999", 10), ("AT", "1029", "99999", 11)], random);
    let account = digits_of(digits, random);
    let check = 98 - remainder(&format!("{bank}{account}{numeric}00"), 97);
    let whole = format!("{country}{check:02}{bank}{account}");
    if random.random_bool(0.5) { grouped(&whole) } else { whole }
}

/// A card number within Visa's test range 4000 00, with Luhn's check digit.
pub(super) fn card(random: &mut StdRng) -> String {
    let body = format!("400000{}", digits_of(9, random));
    let whole = format!("{body}{}", luhn(&body));
    if random.random_bool(0.5) { grouped(&whole) } else { whole }
}

/// A resident id (GB 11643) of somebody born from 1900 to 1909.
pub(super) fn resident(random: &mut StdRng) -> String {
    let region = pick(&["110101", "310101", "440103", "510104"], random);
    let body = format!(
        "{region}190{}{:02}{:02}{:03}",
        random.random_range(0..10),
        random.random_range(1..13),
        random.random_range(1..29),
        random.random_range(0..1000)
    );
    // ISO 7064 MOD 11-2: weights 2^(17 − i) mod 11.
    let sum = body
        .bytes()
        .zip([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
        .fold(0_u32, |sum, (byte, weight)| sum + digit(byte) * weight);
    let check = "10X98765432".chars().nth(usize::try_from(sum % 11).unwrap_or(0));
    body.chars().chain(check).collect()
}

/// One of several, each as likely.
pub(super) fn pick<T: Copy>(from: &[T], random: &mut StdRng) -> T {
    let index = random.random_range(0..from.len().max(1));
    #[expect(
        clippy::indexing_slicing,
        reason = "every list in this module has an element, and \
        the index is below their number"
    )]
    from[index]
}

fn digits_of(count: usize, random: &mut StdRng) -> String {
    (0..count).map(|_| char::from(b'0' + random.random_range(0..10_u8))).collect()
}

fn digit(byte: u8) -> u32 {
    u32::from(byte.saturating_sub(b'0'))
}

fn remainder(number: &str, by: u32) -> u32 {
    number.bytes().fold(0, |rest, byte| (rest * 10 + digit(byte)) % by)
}

/// The digit that makes Luhn's sum (ISO/IEC 7812-1) a multiple of ten.
fn luhn(body: &str) -> u32 {
    let sum = body.bytes().rev().enumerate().fold(0, |sum, (place, byte)| {
        let value = digit(byte) * if place % 2 == 0 { 2 } else { 1 };
        sum + value / 10 + value % 10
    });
    (10 - sum % 10) % 10
}

/// In groups of four, as people write long numbers.
fn grouped(number: &str) -> String {
    let mut text = String::new();
    for (place, character) in number.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::as_conversions, reason = "small numbers of a test")]

    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn check_digits_are_those_of_published_examples() {
        // Well-known examples of an IBAN and of a test card.
        assert_eq!(remainder("370400440532013000131489", 97), 1, "DE89 3704 0044 0532 0130 00");
        assert_eq!(luhn("424242424242424"), 2);
    }

    #[test]
    fn generated_numbers_pass_their_checks() {
        let mut random = StdRng::seed_from_u64(5);
        for _ in 0..200 {
            let iban = iban(&mut random).replace(' ', "");
            let moved = format!("{}{}", &iban[4..], &iban[..4]);
            let numeric: String = moved
                .chars()
                .map(|c| c.to_digit(36).map(|d| d.to_string()).unwrap_or_default())
                .collect();
            assert_eq!(remainder(&numeric, 97), 1, "{iban}");
            let card = card(&mut random).replace(' ', "");
            let (body, check) = card.split_at(15);
            assert_eq!(luhn(body).to_string(), check);
            let id = resident(&mut random);
            assert_eq!(id.len(), 18);
            // The check sum as the standard states it, over all 18 places: 1 modulo 11.
            let sum: u32 = id
                .chars()
                .enumerate()
                .map(|(i, c)| c.to_digit(10).unwrap_or(10) * (2_u32.pow(17 - i as u32) % 11))
                .sum();
            assert_eq!(sum % 11, 1, "{id}");
        }
    }
}
