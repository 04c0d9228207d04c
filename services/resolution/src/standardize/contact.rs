//! Phones, emails, domains, bank accounts.

use std::sync::LazyLock;

use smol_str::SmolStr;

use super::text::{Words, digits, fold};

/// What kind of number a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhoneKind {
    /// A mobile number of eleven digits.
    Mobile,
    /// A landline; the area code may be missing.
    Landline,
    /// 400 and 800 numbers.
    TollFree,
    /// Another country's, with its country code.
    Foreign,
}

/// A telephone number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone {
    /// Number without area code and extension; of a foreign number with country code.
    pub number: SmolStr,
    /// Area code without the leading zero; empty when unknown or not a landline.
    pub area: SmolStr,
    /// Extension; empty when none.
    pub extension: SmolStr,
    /// Its kind.
    pub kind: PhoneKind,
}

impl Phone {
    /// Whether both are one line; a missing area code does not contradict.
    pub fn same_line(&self, other: &Self) -> bool {
        self.number == other.number
            && self.kind == other.kind
            && (self.area == other.area || self.area.is_empty() || other.area.is_empty())
    }
    /// The one way to write it: `+86 13812345678`, `+86 571 85523328 8001`, `+65…`.
    pub fn canonical(&self) -> String {
        let mut s = String::from(if self.kind == PhoneKind::Foreign {
            "+"
        } else {
            "+86"
        });
        for part in [&self.area, &self.number, &self.extension] {
            if !part.is_empty() {
                if s.len() > 1 {
                    s.push(' ');
                }
                s.push_str(part);
            }
        }
        s
    }
}

/// Parses all numbers in one text (`13812345678/0571-85523328`), at most four.
pub fn phones(text: &str) -> Vec<Phone> {
    let mut out = Vec::new();
    phones_of(text, |p| out.push(p));
    out
}

/// [`phones`], one by one.
pub(crate) fn phones_of(text: &str, each: impl FnMut(Phone)) {
    if text.len() == 11 && text.bytes().all(|b| b.is_ascii_digit()) {
        // Most mobile numbers are written plainly.
        number(text).into_iter().for_each(each);
        return;
    }
    let folded = fold(text, 128);
    folded
        .split(['/', ';', ',', '、', '|', '，', '；'])
        .filter_map(phone)
        .take(4)
        .for_each(each);
}

fn phone(text: &str) -> Option<Phone> {
    const DASHES: [char; 6] = ['—', '–', '−', '‐', 'ー', '－'];
    let dashed;
    let text = if text.is_ascii() {
        text
    } else {
        dashed = text.replace(DASHES, "-");
        dashed.as_str()
    };
    let mut main = text;
    let mut extension = String::new();
    let may_extend = text
        .bytes()
        .any(|b| !b.is_ascii_digit() && !matches!(b, b' ' | b'-' | b'+'));
    for mark in ["分机号", "分机", "转", "extension", "ext.", "ext", "x", "#"] {
        if may_extend
            && let Some((before, after)) = main.split_once(mark)
            && digits(before).len() >= 7
        {
            extension = digits(after);
            main = before;
            break;
        }
    }
    // 023-38943730-7473: a last group after an already complete number.
    if extension.is_empty()
        && let Some((before, after)) = main.rsplit_once('-')
        && (1..=6).contains(&after.bytes().filter(u8::is_ascii_digit).count())
        && let Some(p) =
            number(before).filter(|p| p.kind == PhoneKind::Landline && !p.area.is_empty())
    {
        extension = digits(after);
        let extension = extension.into();
        return Some(Phone { extension, ..p });
    }
    extension.truncate(6);
    number(main).map(|p| Phone {
        extension: extension.into(),
        ..p
    })
}

fn number(text: &str) -> Option<Phone> {
    let t = text
        .trim()
        .trim_start_matches(|c: char| !(c.is_ascii_digit() || c == '+'));
    let all = digits(t);
    if !(7..=18).contains(&all.len()) || is_placeholder(&all) {
        return None;
    }
    let plus = t.starts_with('+') || all.starts_with("00");
    let mut d = all.trim_start_matches("00");
    if plus && !d.starts_with("86") {
        return Some(make(d, "", PhoneKind::Foreign));
    }
    if plus || (d.starts_with("86") && d.len() >= 11) {
        d = d.strip_prefix("86").unwrap_or(d);
    }
    national(d)
}

fn national(d: &str) -> Option<Phone> {
    let zero = d.starts_with('0');
    let d = d.trim_start_matches('0');
    let bytes = d.as_bytes();
    if d.len() == 11 && bytes[0] == b'1' && bytes[1] >= b'3' {
        return Some(make(d, "", PhoneKind::Mobile));
    }
    if d.len() == 10 && (d.starts_with("400") || d.starts_with("800")) && !zero {
        return Some(make(d, "", PhoneKind::TollFree));
    }
    let area = if d.starts_with("10") || d.starts_with('2') {
        2
    } else {
        3
    };
    let rest = d.len().saturating_sub(area);
    // Seven and eight digits may be a bare local number; with a zero before it they are too
    // short to be complete.
    if !zero && matches!(d.len(), 7 | 8) {
        return Some(make(d, "", PhoneKind::Landline));
    }
    if matches!(rest, 7 | 8) {
        return Some(make(&d[area..], &d[..area], PhoneKind::Landline));
    }
    (d.len() >= 7 && !zero).then(|| make(d, "", PhoneKind::Foreign))
}

fn make(number: &str, area: &str, kind: PhoneKind) -> Phone {
    Phone {
        number: SmolStr::new(number),
        area: SmolStr::new(area),
        extension: SmolStr::default(),
        kind,
    }
}

fn is_placeholder(d: &str) -> bool {
    let tail = &d[d.len().saturating_sub(7)..];
    tail.bytes().all(|b| b == tail.as_bytes()[0]) || d.ends_with("12345678")
}

/// An email address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email {
    /// Lower-case `local@domain`, tag removed.
    pub text: SmolStr,
    /// The domain belongs to a mail provider, not to the party.
    pub free: bool,
    /// A mailbox of a function (info@, sales@…), not of a person.
    pub role: bool,
}

static FREE: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "163.com",
        "126.com",
        "yeah.net",
        "qq.com",
        "vip.qq.com",
        "foxmail.com",
        "sina.com",
        "sina.cn",
        "sina.com.cn",
        "sohu.com",
        "139.com",
        "189.cn",
        "wo.cn",
        "21cn.com",
        "tom.com",
        "aliyun.com",
        "188.com",
        "vip.163.com",
        "vip.126.com",
        "vip.sina.com",
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "live.cn",
        "msn.com",
        "yahoo.com",
        "yahoo.com.cn",
        "yahoo.cn",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "mail.ru",
        "yandex.ru",
        "protonmail.com",
        "proton.me",
        "263.net",
        "eyou.com",
    ])
});

static ROLES: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "info",
        "service",
        "services",
        "sales",
        "sale",
        "contact",
        "admin",
        "administrator",
        "office",
        "hr",
        "kefu",
        "support",
        "caiwu",
        "finance",
        "market",
        "marketing",
        "webmaster",
        "postmaster",
        "mail",
        "email",
        "hello",
        "enquiry",
        "inquiry",
        "export",
        "purchase",
        "caigou",
        "xiaoshou",
        "account",
        "accounts",
        "billing",
        "order",
        "orders",
        "help",
        "team",
        "company",
        "business",
        "public",
        "job",
        "jobs",
        "zhaopin",
        "fapiao",
    ])
});

const NOREPLY: &[&str] = &[
    "noreply",
    "no-reply",
    "donotreply",
    "do-not-reply",
    "no_reply",
    "nobody",
    "none",
    "null",
    "test",
    "abuse",
];

/// Parses an email; `None` when it is none or a mailbox nobody reads (noreply@).
pub fn email(text: &str) -> Option<Email> {
    let folded = fold(text, 254);
    let t = folded
        .trim_start_matches("mailto:")
        .trim_matches(['<', '>', ' ', ';', ',', '"', '\'']);
    let (local, domain) = t.split_once('@')?;
    let local = local.split('+').next().unwrap_or(local).trim();
    let domain = host(domain)?;
    if local.is_empty() || domain.contains('@') || local.contains(' ') || NOREPLY.contains(&local) {
        return None;
    }
    let free = FREE.contains(&domain);
    let (local, domain) = match domain.as_str() {
        "gmail.com" | "googlemail.com" => (local.replace('.', ""), "gmail.com".to_owned()),
        _ => (local.to_owned(), domain),
    };
    if local.is_empty() {
        return None;
    }
    Some(Email {
        role: ROLES.contains(&local),
        text: smol_str::format_smolstr!("{local}@{domain}"),
        free,
    })
}

/// A plain host name, or `None`.
fn host(text: &str) -> Option<String> {
    let t = text.trim().trim_end_matches('.');
    let ok = t.len() <= 253
        && t.contains('.')
        && !t.as_bytes().windows(2).any(|two| two == b"..")
        && !t.starts_with(['.', '-'])
        && t.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'));
    ok.then(|| t.to_owned())
}

/// Hosts under which many parties have their page.
static PLATFORMS: LazyLock<Words> = LazyLock::new(|| {
    Words::new(&[
        "taobao.com",
        "tmall.com",
        "1688.com",
        "alibaba.com",
        "jd.com",
        "weibo.com",
        "weixin.qq.com",
        "made-in-china.com",
        "qcc.com",
        "tianyancha.com",
        "baidu.com",
        "facebook.com",
        "linkedin.com",
        "b2b.cn",
        "hc360.com",
        "zhaopin.com",
        "58.com",
        "github.io",
        "wordpress.com",
        "wix.com",
    ])
});

/// Second levels under which names are registered.
const SECOND: &[&str] = &[
    "com", "net", "org", "gov", "edu", "ac", "co", "or", "ne", "go",
];

/// The registrable domain of a web address; `None` for platforms and what is no domain.
pub fn domain(text: &str) -> Option<SmolStr> {
    let folded = fold(text, 512);
    let t = folded.trim();
    let t = t.split_once("://").map_or(t, |x| x.1);
    let t = t.split(['/', '?', '#', ' ', ',', ';']).next().unwrap_or(t);
    let t = t.rsplit('@').next().unwrap_or(t);
    let t = t.split(':').next().unwrap_or(t);
    registrable(&host(t)?)
}

/// The registrable domain of a non-free email.
pub fn domain_of_email(email: &Email) -> Option<SmolStr> {
    if email.free {
        return None;
    }
    registrable(email.text.split_once('@')?.1)
}

fn registrable(host: &str) -> Option<SmolStr> {
    let labels = || host.rsplit('.').filter(|l| !l.is_empty());
    let (Some(top), Some(second)) = (labels().next(), labels().nth(1)) else {
        return None;
    };
    if labels().all(|l| l.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let third = labels()
        .nth(2)
        .filter(|_| top.len() == 2 && SECOND.contains(&second));
    let name = match third {
        Some(third) => smol_str::format_smolstr!("{third}.{second}.{top}"),
        None => smol_str::format_smolstr!("{second}.{top}"),
    };
    let shared = PLATFORMS.contains(&name) || PLATFORMS.contains(host) || FREE.contains(&name);
    (!shared).then_some(name)
}

/// Digits of a bank account, 8 to 32 of them; `None` otherwise. Letters of an IBAN stay.
pub fn bank_account(text: &str) -> Option<SmolStr> {
    let t: String = fold(text, 64)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let plausible = (8..=34).contains(&t.len()) && digits(&t).len() >= 8;
    let first = t.chars().next()?;
    (plausible && !t.chars().all(|c| c == first)).then(|| t.to_ascii_uppercase().into())
}
