//! Values of every kind that can be told from all else in a file, made up by the thousand.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reeve_privacy::Detector;

/// A kind, the words before a value, and how a value is written: `#` a digit, `&` a capital
/// letter, `*` either, `%` a small letter or digit, `^` a hexadecimal digit; all else itself.
///
/// Ages and German postal codes are too short to be told from other numbers.
const KINDS: &[(&str, &str, &str)] = &[
    ("EMAIL_ADDRESS", "write to", "c%%%%%%%@leak-%%%%.example"),
    ("PHONE_NUMBER", "call me at", "+49 30 9#######"),
    ("PH_MOBILE_NUMBER", "mobile", "0917#######"),
    ("TR_PHONE_NUMBER", "cep telefonu", "0532 ### ## ##"),
    ("CREDIT_CARD", "my card", "4### #### #### ####"),
    ("IBAN_CODE", "my IBAN", "DE## #### #### #### #### ##"),
    ("SWIFT_CODE", "BIC", "&&&&DE&&*#*"),
    ("CRYPTO", "wallet", "0x^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"),
    ("IP_ADDRESS", "from", "2001:db8:^^^^:^^^^:^^^^::^^^^"),
    ("MAC_ADDRESS", "device", "00:^^:^^:^^:^^:^^"),
    ("URL", "see", "https://leak-%%%%%%.example/%%%%%%"),
    ("URL_WITH_CREDENTIALS", "at", "https://u%%%%%:p%%%%%%@leak.example/"),
    ("API_KEY", "key", "sk_live_%%%%%%%%%%%%%%%%%%%%%%%%"),
    (
        "PRIVATE_KEY",
        "mine:",
        "-----BEGIN PRIVATE KEY-----MIIE%%%%%%%%%%%%%%%%%%%%%%%%%%%%-----END PRIVATE KEY-----",
    ),
    (
        "JWT",
        "token",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx%%%%%%%%In0.%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
    ),
    ("DATE_TIME", "on", "1#7#-0#-1#T0#:1#:2#Z"),
    ("DATE_OF_BIRTH", "born", "1#6#-0#-2#T0#:1#:2#Z"),
    ("COORDINATES", "location", "48.1#####, 11.5#####"),
    ("CN_VEHICLE_PLATE", "车牌", "京A#&#&#"),
    ("US_SSN", "ssn", "###-##-####"),
    ("US_ITIN", "itin", "9##-##-####"),
    ("US_PASSPORT", "passport", "&########"),
    ("US_DRIVER_LICENSE", "driver license", "&###-####-####"),
    ("US_NPI", "npi", "1#########"),
    ("US_MBI", "medicare", "#&*#&*#&&##"),
    ("ABA_ROUTING_NUMBER", "aba", "#########"),
    ("US_BANK_NUMBER", "bank account", "##############"),
    ("MEDICAL_LICENSE", "dea", "&&#######"),
    ("CA_SIN", "sin", "###-###-###"),
    ("ZIP_CODE", "zip", "#####-####"),
    ("BR_CPF", "cpf", "###.###.###-##"),
    ("BR_CNPJ", "cnpj", "##.###.###/####-##"),
    ("IN_AADHAAR", "aadhaar", "#### #### ####"),
    ("IN_PAN", "pan", "&&&P&####&"),
    ("IN_GSTIN", "gstin", "27&&&P&####&#Z*"),
    ("IN_PASSPORT", "passport", "&#######"),
    ("IN_VOTER", "voter", "&&&#######"),
    ("IN_VEHICLE_REGISTRATION", "rto", "KA##&&####"),
    ("JP_MY_NUMBER", "my number", "#### #### ####"),
    ("KR_RRN", "rrn", "8#0#1#-1######"),
    ("KR_FRN", "frn", "8#0#1#-5######"),
    ("KR_BRN", "brn", "###-##-#####"),
    ("KR_PASSPORT", "passport", "M###&####"),
    ("KR_DRIVER_LICENSE", "driver license", "1#-##-######-##"),
    ("SG_NRIC_FIN", "nric", "S#######&"),
    ("SG_UEN", "uen", "#########&"),
    ("TH_TNIN", "tnin", "#-####-#####-##-#"),
    ("PH_TIN", "tin", "###-###-###-###"),
    ("UK_NHS", "nhs", "### ### ####"),
    ("UK_NINO", "national insurance", "&& ## ## ## &"),
    ("UK_PASSPORT", "passport", "&&#######"),
    ("UK_POSTCODE", "postcode", "&&## #&&"),
    ("UK_DRIVING_LICENCE", "driving licence", "&&&&&###1##&&#&&"),
    ("UK_VEHICLE_REGISTRATION", "vehicle", "&&## &&&"),
    ("CN_RESIDENT_ID", "身份证", "1101051#7#0#1#####"),
    ("CN_PASSPORT", "护照", "E########"),
    ("CN_USCC", "统一社会信用代码", "91110105##########"),
    ("MEDICAL_RECORD_NUMBER", "mrn", "#########"),
    ("HEALTH_PLAN_NUMBER", "member id", "&&&#########"),
    ("ACCOUNT_NUMBER", "account number", "#########"),
    ("LICENSE_NUMBER", "certificate number", "#########"),
    ("DEVICE_NUMBER", "serial number", "&&-#######"),
    ("IMEI", "imei", "35#############"),
    ("VIN", "vin", "1M8GDM***KP######"),
    ("ES_NIF", "dni", "########&"),
    ("ES_NIE", "nie", "X#######&"),
    ("ES_PASSPORT", "pasaporte", "&&&######"),
    ("FR_NIR", "nir", "1 8# 0# 75 ### ### ##"),
    ("IT_FISCAL_CODE", "codice fiscale", "&&&&&&8#A1#H501&"),
    ("IT_VAT_CODE", "piva", "###########"),
    ("IT_DRIVER_LICENSE", "patente", "&&#######&"),
    ("IT_IDENTITY_CARD", "carta", "&&#######"),
    ("IT_PASSPORT", "passaporto", "&&#######"),
    ("NL_BSN", "bsn", "#########"),
    ("BE_NATIONAL_NUMBER", "rijksregisternummer", "8#.0#.1#-###.##"),
    ("PT_NIF", "nif", "2########"),
    ("PL_PESEL", "pesel", "8#0#1######"),
    ("TR_NATIONAL_ID", "tc kimlik", "###########"),
    ("TR_LICENSE_PLATE", "plaka", "34 && ####"),
    ("DE_BSNR", "bsnr", "#########"),
    ("DE_LANR", "lanr", "#########"),
    ("DE_HEALTH_INSURANCE", "kvnr", "&#########"),
    ("DE_ID_CARD", "personalausweis", "L*******#"),
    ("DE_PASSPORT", "reisepass", "C*******#"),
    ("DE_SOCIAL_SECURITY", "rentenversicherungsnummer", "651#0#8#&###"),
    ("DE_TAX_ID", "steuer-id", "###########"),
    ("DE_TAX_NUMBER", "steuernummer", "###/###/#####"),
    ("DE_VAT_ID", "ust-idnr", "DE#########"),
    ("DE_KFZ", "kennzeichen", "B-&&-####"),
    ("DE_HANDELSREGISTER", "handelsregister", "HRB ######"),
    ("DE_FUEHRERSCHEIN", "führerschein", "&#########&"),
    ("FI_PERSONAL_IDENTITY_CODE", "hetu", "1#0#8#-###*"),
    ("SE_PERSONNUMMER", "personnummer", "8#0#1#-####"),
    ("SE_ORGANISATIONSNUMMER", "organisationsnummer", "556###-####"),
    ("AU_ABN", "abn", "## ### ### ###"),
    ("AU_ACN", "acn", "### ### ###"),
    ("AU_TFN", "tfn", "### ### ###"),
    ("AU_MEDICARE", "medicare", "#### ##### #"),
    ("ZA_ID_NUMBER", "rsa id", "8#0#1########"),
    ("NG_NIN", "nin", "###########"),
    ("NG_VEHICLE_REGISTRATION", "plate number", "&&&-###&&"),
];

/// Kinds that are left out, see above.
pub(crate) const TOO_SHORT: [&str; 2] = ["AGE", "DE_PLZ"];

/// A value and a text that holds it.
pub(crate) struct Canary {
    pub(crate) value: String,
    pub(crate) text: String,
}

/// How many kinds there are.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(kind, _, _)| *kind)
}

/// A value of the kind at `place`, as the detector knows it, in a sentence.
pub(crate) fn canary(place: usize, detector: &Detector, random: &mut StdRng) -> Canary {
    let (kind, _, form) = KINDS[place % KINDS.len()];
    made(place, detector, random).unwrap_or_else(|| panic!("{kind} is not found as {form}"))
}

fn made(place: usize, detector: &Detector, random: &mut StdRng) -> Option<Canary> {
    let (kind, before, form) = KINDS[place % KINDS.len()];
    // Most check digits are right once in ten times, some once in a hundred; a date now and then.
    (0..20_000).find_map(|_| {
        let value: String = form.chars().map(|class| character(class, random)).collect();
        let text = format!("The {before} {value} is what we have, thank you");
        let begin = text.find(&value).unwrap();
        let place = begin..begin + value.len();
        let found = detector.scan_str(&text).unwrap();
        let is_it = found.iter().any(|one| one.kind.as_str() == kind && one.range == place);
        is_it.then_some(Canary { value, text })
    })
}

#[test]
fn a_value_of_every_kind_can_be_made() {
    let detector = Detector::new(&Detector::known_kinds());
    let mut random = StdRng::seed_from_u64(1);
    let fails = |place: &usize| made(*place, &detector, &mut random).is_none();
    let failed: Vec<_> = (0..KINDS.len()).filter(fails).map(|place| KINDS[place]).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

fn character(class: char, random: &mut StdRng) -> char {
    let mut one = |from: &[u8]| char::from(from[random.random_range(0..from.len())]);
    match class {
        '#' => one(b"0123456789"),
        '&' => one(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        '*' => one(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        '%' => one(b"0123456789abcdefghijklmnopqrstuvwxyz"),
        '^' => one(b"0123456789abcdef"),
        other => other,
    }
}
