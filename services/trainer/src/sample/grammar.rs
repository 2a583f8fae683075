//! A small grammar: `{a|b|}` is one of its alternatives, `<name>` a generated value. Braces do not
//! nest; an alternative may hold values.

use rand::{Rng as _, rngs::StdRng};

use super::{Language, personal, personal::pick};

/// A random sentence of a template. `redacted`: personal data in the form that the gateway's
/// redaction leaves.
pub(super) fn expand(
    template: &str,
    language: Language,
    redacted: bool,
    random: &mut StdRng,
) -> String {
    let chosen = replace(template, '{', '}', random, |choice, random| {
        let alternatives: Vec<&str> = choice.split('|').collect();
        pick(&alternatives, random).to_owned()
    });
    replace(&chosen, '<', '>', random, |name, random| value(name, language, redacted, random))
}

fn replace(
    text: &str,
    open: char,
    close: char,
    random: &mut StdRng,
    mut with: impl FnMut(&str, &mut StdRng) -> String,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open)
        && let Some((inner, tail)) = after.split_once(close)
    {
        out.push_str(before);
        out.push_str(&with(inner, random));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn value(name: &str, language: Language, redacted: bool, random: &mut StdRng) -> String {
    if let Some((kind, make)) = personal_value(name) {
        return if redacted { format!("[{kind}]") } else { make(random) };
    }
    let whole = random.random_range(5..400);
    match (name, language) {
        ("order", _) => {
            let series = pick(&["A", "R", "WX", "2024-", ""], random);
            format!("{series}{}", random.random_range(10_000..999_999))
        }
        ("amount", Language::English) => {
            let cents = random.random_range(0..100);
            match random.random_range(0..3) {
                0 => format!("{whole}.{cents:02} EUR"),
                1 => format!("${whole}.{cents:02}"),
                _ => format!("{whole} euros"),
            }
        }
        ("amount", Language::Chinese) => {
            format!("{whole}{}", pick(&["元", "块钱", "欧元", "元钱"], random))
        }
        (name, language) => words(name, language)
            .map_or_else(|| format!("<{name}>"), |list| pick(list, random).to_owned()),
    }
}

type Maker = fn(&mut StdRng) -> String;

fn personal_value(name: &str) -> Option<(&'static str, Maker)> {
    Some(match name {
        "email" => ("EMAIL_ADDRESS", personal::email),
        "phone" => ("PHONE_NUMBER", personal::phone),
        "ip" => ("IP_ADDRESS", personal::ip),
        "iban" => ("IBAN_CODE", personal::iban),
        "card" => ("CREDIT_CARD", personal::card),
        "resident" => ("CN_RESIDENT_ID", personal::resident),
        _ => return None,
    })
}

fn words(name: &str, language: Language) -> Option<&'static [&'static str]> {
    use Language::{Chinese, English};
    Some(match (name, language) {
        ("name", English) => &["Anna", "Tom Baker", "Maria", "Mr Novak", "Li Wei", "J. Smith"],
        ("name", Chinese) => &["小李", "王先生", "陈女士", "小张", "赵敏", "刘师傅"],
        ("city", English) => &["Berlin", "Boston", "Vienna", "Leeds", "Lyon", "Shanghai"],
        ("city", Chinese) => &["上海", "北京", "成都", "广州", "杭州", "西安"],
        ("day", English) => &["Monday", "Tuesday", "Friday", "the 3rd", "last Sunday"],
        ("day", Chinese) => &["星期一", "周三", "周五", "三号", "上个星期天"],
        ("month", English) => &["January", "March", "June", "September", "November"],
        ("month", Chinese) => &["一月", "三月份", "六月", "九月份", "上个月"],
        ("device", English) => &["phone", "tablet", "laptop", "PC", "iPhone", "Mac"],
        ("device", Chinese) => &["手机", "平板", "笔记本", "电脑", "苹果手机"],
        ("product", English) => &[
            "headphones",
            "blue jacket",
            "coffee machine",
            "router",
            "desk lamp",
            "keyboard",
            "smart watch",
            "running shoes",
        ],
        ("product", Chinese) => {
            &["耳机", "蓝色外套", "咖啡机", "路由器", "台灯", "键盘", "智能手表", "运动鞋"]
        }
        _ => return None,
    })
}
