//! Labelled texts that are made up: names, places, organisations and addresses in the sentences
//! that people write around them, in English and Chinese. Half of the names are composed of
//! syllables, so that a model learns from what stands around a name, and not names by heart.

use std::ops::Range;

use anyhow::Result;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reeve_classifier::TaggedText;

/// `<name>` a person, `<first>`, `<last>`, `<address>`, `<city>`, `<country>`, `<org>`; `<number>`,
/// `<date>`, `<kind>` are nothing, the last one a value that was taken out before.
const ENGLISH: &[&str] = &[
    "My name is <name> and I live at <address>.",
    "My name appears incorrectly on my statement, please change it to <name>.",
    "Please send the card to <name>, <address>.",
    "I moved from <city> to <address>, could you update my file?",
    "Hi, this is <first>. Can somebody from <org> call me back at <kind>?",
    "<name> works at <org> in <city>.",
    "{I am|I'm|It is|This is} <name>.",
    "{Call|Ask|Tell|Thank} <name> {please|again|for me}.",
    "<first> <last> was born in <city>, <country> on <date>.",
    "Dear <name>, thank you for your order <number>.",
    "Regards,\n<name>\n<org>\n<address>",
    "Ms. <last> asked <first> to send it to <city> by <date>.",
    "Dr. <last> saw the patient on <date>.",
    "The meeting with <name> from <org> is in <city> next week.",
    "I will be travelling to <country> next month, so please activate my card there.",
    "Where is the nearest branch? I am in <city>.",
    "What is the weather like in <city> today?",
    "How do I get from <city> to <city> without a car?",
    "<name>, who founded <org>, lives in <city>.",
    "They were talking about <last>'s new book, weren't they?",
    "The address is <address>.",
    "Deliver to: <name>\n<address>",
    "Can you transfer <number> to <name> at <org>?",
    "My colleague <first> paid <number> with card <kind>, not me.",
    "<name> lives at <address> and can be reached at <kind>.",
    "Please cancel the contract of <name>, customer <number>.",
    "According to <name>, the company <org> is moving to <city>, <country>.",
    "I ordered shoes from <org> and they were sent to <address> instead of <address>.",
    "You can find us at <address>, opposite the station.",
    "<org> was founded in <city> in <number>.",
    "The concert of <name> in <city> was sold out.",
    "{Is|Was} <name> {at work|there} on <date>?",
    "{Just posted a photo|I left my bag} at <org>, <city>.",
    "Hello, I'm <first>, {husband|wife|brother|mother|partner} of <name>.",
    "The film was directed by <name> and written by <name>.",
    "{Our office|The shop|My flat} at <address> is closed on <date>.",
    "Name: <name>, address: <address>, phone: <kind>",
    "<name>\n\n<address>\n<country>\n<kind>",
    "He said: \"<first>, you must go to <country>!\"",
    "The president of <country> met <name> on <date>.",
    "Patient <name>, admitted in <city> on <date>, MRN <kind>.",
    // Nothing at all: capitals, numbers and places of other kinds.
    "How do I change the limit of my card?",
    "My card {was declined|is lost|has expired}, what can I do?",
    "I was charged twice for order <number>, please refund it.",
    "The app closes whenever I open the statements of {May|June|March}.",
    "Please send the invoice of last {Monday|Friday} to <kind>.",
    "What is the limit for card <kind>?",
    "It is the second time this month that a parcel was left in front of the door.",
    "I ordered <number> pairs in size 42 and only one of them has arrived.",
    "Thank You For Your Help With My Account",
    "{ZIP code|postcode|zip} {941|000|100}**, admitted in <number>, <number> years old.",
    "Reference <number>-<number>, serial number <number>, member ID <kind>.",
    "from <number>.<number>.<number>.* at {noon|night|10:30}",
    "WHY WAS I CHARGED A FEE OF <number>?",
    "The total is <number>, due on <date>.",
    "Could you please tell me when the {bank|shop|office} opens on {Sunday|Saturday}?",
];

const CHINESE: &[&str] = &[
    "我叫<name>，住在<address>。",
    "请把卡寄给<name>，地址是<address>。",
    "你好，我是<name>，电话<kind>，想问一下订单<number>。",
    "<name>在<city>的<org>上班。",
    "收件人：<name>\n地址：<address>\n电话：<kind>",
    "患者<name>于<date>在<city>入院。",
    "<org>的<name>女士请您回电。",
    "我下个月要去<country>出差，请开通境外支付。",
    "从<city>到<city>怎么走？",
    "快递送错了，应该送到<address>，不是<address>。",
    "请问<name>先生在吗？",
    "<org>成立于<number>年，总部在<city>。",
    "{爸爸|妈妈|我爱人|同事}<name>昨天在<city>用卡<kind>付了<number>元。",
    "请把户名改为<name>。",
    "我的银行卡{丢了|被吞了|过期了}，怎么办？",
    "订单<number>被扣了两次款，请退回来。",
    "请问你们周末营业吗？",
    "衣服的颜色和图片差很多，可以换一件吗？",
    "打开账单的时候应用就闪退。",
    "卡<kind>的限额是多少？",
];

const FIRST: &[&str] = &[
    "James",
    "Mary",
    "John",
    "Patricia",
    "Robert",
    "Jennifer",
    "Michael",
    "Linda",
    "David",
    "Elizabeth",
    "William",
    "Barbara",
    "Richard",
    "Susan",
    "Joseph",
    "Jessica",
    "Thomas",
    "Sarah",
    "Karen",
    "Christopher",
    "Nancy",
    "Daniel",
    "Lisa",
    "Matthew",
    "Betty",
    "Anthony",
    "Margaret",
    "Mark",
    "Sandra",
    "Paul",
    "Ashley",
    "Steven",
    "Kimberly",
    "Andrew",
    "Emily",
    "Kenneth",
    "Donna",
    "Joshua",
    "Michelle",
    "Kevin",
    "Dorothy",
    "Brian",
    "Carol",
    "George",
    "Amanda",
    "Anna",
    "Lukas",
    "Emma",
    "Jonas",
    "Mia",
    "Felix",
    "Lena",
    "Maximilian",
    "Sofia",
    "Pierre",
    "Camille",
    "Hugo",
    "Chloé",
    "Giulia",
    "Marco",
    "Alessandro",
    "Lucía",
    "Javier",
    "Carmen",
    "Ingrid",
    "Lars",
    "Astrid",
    "Bjørn",
    "Katarzyna",
    "Piotr",
    "Zsófia",
    "László",
    "Dmitri",
    "Olga",
    "Svetlana",
    "Yuki",
    "Hiroshi",
    "Aiko",
    "Wei",
    "Mei",
    "Jian",
    "Priya",
    "Arjun",
    "Fatima",
    "Omar",
    "Layla",
    "Ahmed",
    "Chidi",
    "Amara",
    "Kwame",
    "Thandiwe",
    "Nguyen",
    "João",
];

const LAST: &[&str] = &[
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Garcia",
    "Miller",
    "Davis",
    "Rodriguez",
    "Martinez",
    "Hernandez",
    "Lopez",
    "Wilson",
    "Anderson",
    "Taylor",
    "Moore",
    "Jackson",
    "Martin",
    "Lee",
    "Thompson",
    "White",
    "Harris",
    "Clark",
    "Lewis",
    "Robinson",
    "Walker",
    "Young",
    "Allen",
    "King",
    "Wright",
    "Scott",
    "Hill",
    "Green",
    "Adams",
    "Nelson",
    "Baker",
    "Hall",
    "Campbell",
    "Müller",
    "Schmidt",
    "Schneider",
    "Fischer",
    "Weber",
    "Dubois",
    "Moreau",
    "Laurent",
    "Rossi",
    "Russo",
    "Ferrari",
    "Fernández",
    "González",
    "Lindqvist",
    "Johansson",
    "Nielsen",
    "Kowalski",
    "Nowak",
    "Szabó",
    "Kovács",
    "Ivanov",
    "Petrova",
    "Smirnov",
    "Tanaka",
    "Suzuki",
    "Watanabe",
    "Chen",
    "Zhang",
    "Li",
    "Patel",
    "Sharma",
    "Singh",
    "Khan",
    "Hassan",
    "Okafor",
    "Mensah",
    "O'Brien",
    "O'Neill",
    "McDonald",
    "van Dijk",
    "de Vries",
    "da Silva",
    "Tran",
    "Kim",
    "Park",
];

const CITIES: &[&str] = &[
    "London",
    "Paris",
    "Berlin",
    "Munich",
    "Hamburg",
    "Vienna",
    "Zurich",
    "Rome",
    "Milan",
    "Madrid",
    "Barcelona",
    "Lisbon",
    "Dublin",
    "Edinburgh",
    "Manchester",
    "Amsterdam",
    "Rotterdam",
    "Brussels",
    "Copenhagen",
    "Stockholm",
    "Oslo",
    "Helsinki",
    "Warsaw",
    "Kraków",
    "Prague",
    "Budapest",
    "Athens",
    "Istanbul",
    "Moscow",
    "New York",
    "Los Angeles",
    "Chicago",
    "Houston",
    "San Francisco",
    "Boston",
    "Seattle",
    "Toronto",
    "Vancouver",
    "Mexico City",
    "São Paulo",
    "Buenos Aires",
    "Tokyo",
    "Osaka",
    "Seoul",
    "Beijing",
    "Shanghai",
    "Singapore",
    "Mumbai",
    "Delhi",
    "Sydney",
    "Melbourne",
    "Cairo",
    "Lagos",
    "Nairobi",
    "Cape Town",
    "Springfield",
];

const COUNTRIES: &[&str] = &[
    "Germany",
    "France",
    "Italy",
    "Spain",
    "Portugal",
    "Ireland",
    "Poland",
    "Hungary",
    "Austria",
    "Switzerland",
    "Sweden",
    "Norway",
    "Denmark",
    "Finland",
    "Greece",
    "Turkey",
    "Russia",
    "Canada",
    "Mexico",
    "Brazil",
    "Argentina",
    "Japan",
    "China",
    "India",
    "Australia",
    "Egypt",
    "Nigeria",
    "Kenya",
    "South Africa",
    "the United States",
    "the United Kingdom",
    "New Zealand",
    "Namibia",
    "Macedonia",
    "Slovenia",
    "Ukraine",
    "Israel",
    "Iceland",
    "Chile",
    "Peru",
    "Vietnam",
    "Thailand",
];

const STREETS: &[&str] = &[
    "Main",
    "Oak",
    "Maple",
    "Cedar",
    "Park",
    "Church",
    "High",
    "Mill",
    "Station",
    "King",
    "Queen",
    "Victoria",
    "Lake",
    "River",
    "Hill",
    "Spring",
    "Walnut",
    "Chestnut",
    "Elm",
    "Washington",
    "Lincoln",
    "Franklin",
    "School",
    "Bridge",
    "Garden",
    "Meadow",
    "Sunset",
    "Forest",
    "Harbour",
];

const SYLLABLES: &[&str] = &[
    "ba", "bel", "bran", "ca", "cor", "da", "den", "dra", "el", "fa", "fen", "ga", "gor", "ha",
    "hol", "is", "ka", "kel", "la", "len", "li", "lor", "ma", "mar", "mi", "na", "nor", "o", "ol",
    "per", "ra", "ren", "ri", "ro", "sa", "sel", "si", "sto", "ta", "ten", "ti", "tor", "u", "va",
    "ven", "vi", "wen", "ya", "yel", "za", "zi", "sky", "ov", "ez", "ini", "son", "ton", "berg",
];

const SURNAMES_ZH: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文欧阳";
const GIVEN_ZH: &str = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂兰玉萍红玲建国华志文雪梅琳宇浩然子涵梓轩雨欣佳怡思远俊嘉诗晨博天昊欣妍一诺若曦泽楷";
const CITIES_ZH: &[&str] = &[
    "北京",
    "上海",
    "广州",
    "深圳",
    "杭州",
    "南京",
    "成都",
    "重庆",
    "武汉",
    "西安",
    "苏州",
    "天津",
    "青岛",
    "大连",
    "厦门",
    "长沙",
    "郑州",
    "昆明",
    "哈尔滨",
    "合肥",
    "福州",
    "济南",
    "宁波",
    "无锡",
];
const COUNTRIES_ZH: &[&str] =
    &["德国", "法国", "英国", "美国", "日本", "韩国", "新加坡", "泰国", "澳大利亚", "加拿大"];
const DISTRICTS_ZH: &[&str] =
    &["朝阳区", "海淀区", "浦东新区", "天河区", "南山区", "西湖区", "江宁区", "武侯区", "雁塔区"];
const ROADS_ZH: &[&str] = &[
    "人民路",
    "中山路",
    "建设大街",
    "解放路",
    "学院路",
    "科技园南路",
    "长江路",
    "幸福里",
    "文三路",
];
const TRADES_ZH: &[&str] = &["科技有限公司", "银行", "贸易公司", "人民医院", "大学", "物流公司"];

/// As many texts, the same for the same seed. A third are messages of the other sample, in which
/// nobody is named: they teach the words that are no names.
pub(super) fn texts(count: usize, seed: u64) -> Result<Vec<TaggedText>> {
    let mut random = StdRng::seed_from_u64(seed);
    let messages = crate::sample::rows(seed)?;
    Ok((0..count)
        .map(|at| {
            if at % 3 == 0 {
                let place = random.random_range(0..messages.len());
                let text = messages.get(place).map_or_else(String::new, |(text, _)| text.clone());
                return TaggedText { text, spans: Vec::new() };
            }
            let chinese = random.random_bool(0.25);
            let templates = if chinese { CHINESE } else { ENGLISH };
            let template = pick(templates, &mut random);
            let mut text = expand(template, chinese, &mut random);
            // People write more than one sentence.
            let sentences = if random.random_bool(0.4) { random.random_range(1..12) } else { 0 };
            for _ in 0..sentences {
                let more = expand(pick(templates, &mut random), chinese, &mut random);
                text = joined(text, more);
            }
            text
        })
        .collect())
}

fn joined(mut first: TaggedText, second: TaggedText) -> TaggedText {
    first.text.push(' ');
    let shift = first.text.chars().count();
    first.text.push_str(&second.text);
    let moved = second.spans.into_iter();
    first.spans.extend(moved.map(|(kind, at)| (kind, at.start + shift..at.end + shift)));
    first
}

fn expand(template: &str, chinese: bool, random: &mut StdRng) -> TaggedText {
    let (mut text, mut length) = (String::new(), 0);
    let mut spans: Vec<(String, Range<usize>)> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, holed) = rest.split_at(at);
        let close = if holed.starts_with('<') { '>' } else { '}' };
        let Some((hole, after)) = holed.get(1..).and_then(|hole| hole.split_once(close)) else {
            break;
        };
        let (value, kind) = if close == '}' {
            let choices: Vec<&str> = hole.split('|').collect();
            (pick(&choices, random).to_owned(), None)
        } else if chinese {
            value_zh(hole, random)
        } else {
            value(hole, random)
        };
        text.push_str(before);
        text.push_str(&value);
        length += before.chars().count();
        let end = length + value.chars().count();
        if let Some(kind) = kind {
            spans.push((kind.to_owned(), length..end));
        }
        length = end;
        rest = after;
    }
    text.push_str(rest);
    TaggedText { text, spans }
}

fn pick<'a>(all: &[&'a str], random: &mut StdRng) -> &'a str {
    all.get(random.random_range(0..all.len())).copied().unwrap_or_default()
}

/// A word with a capital, of one to three syllables.
fn made(random: &mut StdRng) -> String {
    let syllables = random.random_range(1..4);
    let word: String = (0..=syllables).map(|_| pick(SYLLABLES, random)).collect();
    let mut characters = word.chars();
    characters.next().map_or(String::new(), |c| c.to_uppercase().chain(characters).collect())
}

fn either(known: &[&str], random: &mut StdRng) -> String {
    if random.random_bool(0.5) { pick(known, random).to_owned() } else { made(random) }
}

fn value(hole: &str, random: &mut StdRng) -> (String, Option<&'static str>) {
    match hole {
        "name" => {
            let (first, last) = (either(FIRST, random), either(LAST, random));
            let name = match random.random_range(0..12) {
                0..7 => format!("{first} {last}"),
                7 => format!("{first} {}. {last}", char::from(b'A' + random.random_range(0..26))),
                8 => format!("{first} {last}-{}", either(LAST, random)),
                9 => format!("{first} {} {last}", either(FIRST, random)),
                10 => first,
                _ => format!("{first} {last}").to_lowercase(),
            };
            (name, Some("PERSON"))
        }
        "first" => (either(FIRST, random), Some("PERSON")),
        "last" => (either(LAST, random), Some("PERSON")),
        "city" => {
            let city = if random.random_bool(0.75) {
                pick(CITIES, random).to_owned()
            } else {
                made(random)
            };
            (city, Some("GPE"))
        }
        "country" => (pick(COUNTRIES, random).to_owned(), Some("GPE")),
        "org" => {
            let name = either(LAST, random);
            let organisation = match random.random_range(0..8) {
                0 => format!("{name} & {}", either(LAST, random)),
                1 => format!("{name} Inc."),
                2 => format!("{name} GmbH"),
                3 => format!(
                    "{name} {}",
                    pick(&["Bank", "Group", "Hospital", "Ltd", "Partners"], random)
                ),
                4 => format!("University of {}", pick(CITIES, random)),
                5 => format!("The {name} Orchestra"),
                6 => format!("{name}, {} and {}", either(LAST, random), either(LAST, random)),
                _ => format!(
                    "{} {}",
                    made(random),
                    pick(&["Corp", "Industries", "Foods", "LLC"], random)
                ),
            };
            (organisation, Some("ORGANIZATION"))
        }
        "address" => (address(random), Some("STREET_ADDRESS")),
        "number" => (random.random_range(2..99_999).to_string(), None),
        "date" => {
            let (day, month) = (random.random_range(1..29), random.random_range(1..13));
            (format!("{day}/{month}/20{:02}", random.random_range(10..27)), None)
        }
        _ => {
            let kinds = ["PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "DATE_TIME"];
            (format!("[{}]", pick(&kinds, random)), None)
        }
    }
}

fn address(random: &mut StdRng) -> String {
    let street = either(STREETS, random);
    let number = random.random_range(1..9_999);
    let small = random.random_range(1..200);
    let city = if random.random_bool(0.6) { pick(CITIES, random).to_owned() } else { made(random) };
    let zip = random.random_range(10_000..99_999);
    let separator = pick(&[", ", "\n", " "], random);
    let kind =
        pick(&["Street", "St", "Avenue", "Ave", "Road", "Rd", "Lane", "Drive", "Blvd"], random);
    match random.random_range(0..8) {
        0 => format!("{number} {street} {kind}"),
        1 => format!("{number} {street} {kind}{separator}{city}"),
        2 => format!(
            "{number} {street} {kind}{separator}{city}, {} {zip}",
            pick(&["NY", "CA", "TX", "MI", "OR"], random)
        ),
        3 => format!(
            "{number} {street} {kind}{separator}Suite {small}{separator}{city}{separator}{} {zip}",
            pick(COUNTRIES, random)
        ),
        4 => format!("{street}straße {small}{separator}{zip} {city}"),
        5 => format!("{small} rue {street}{separator}{zip} {city}"),
        6 => format!("Flat {small}{separator}{number} {street} {kind}{separator}{city}"),
        _ => format!("{street} {small}{separator}{city} {zip}"),
    }
}

fn value_zh(hole: &str, random: &mut StdRng) -> (String, Option<&'static str>) {
    let mut one = |from: &str| {
        let all: Vec<char> = from.chars().collect();
        all.get(random.random_range(0..all.len())).copied().unwrap_or('王')
    };
    match hole {
        "name" => {
            let (last, first, second) = (one(SURNAMES_ZH), one(GIVEN_ZH), one(GIVEN_ZH));
            let short = random.random_bool(0.3);
            (
                if short { format!("{last}{first}") } else { format!("{last}{first}{second}") },
                Some("PERSON"),
            )
        }
        "city" => {
            (format!("{}{}", pick(CITIES_ZH, random), pick(&["", "市"], random)), Some("GPE"))
        }
        "country" => (pick(COUNTRIES_ZH, random).to_owned(), Some("GPE")),
        "org" => {
            let name = [one(GIVEN_ZH), one(GIVEN_ZH)];
            let name: String = name.iter().collect();
            let city = pick(CITIES_ZH, random);
            (format!("{city}{name}{}", pick(TRADES_ZH, random)), Some("ORGANIZATION"))
        }
        "address" => {
            let (city, district) = (pick(CITIES_ZH, random), pick(DISTRICTS_ZH, random));
            let (road, number) = (pick(ROADS_ZH, random), random.random_range(1..400));
            let room = random.random_range(101..2_800);
            let address = match random.random_range(0..3) {
                0 => format!("{city}市{district}{road}{number}号"),
                1 => format!("{city}市{district}{road}{number}号{}号楼{room}室", number % 9 + 1),
                _ => format!("{district}{road}{number}弄{room}室"),
            };
            (address, Some("STREET_ADDRESS"))
        }
        other => value(other, random),
    }
}
