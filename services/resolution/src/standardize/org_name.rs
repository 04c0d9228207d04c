//! Names of organizations, Chinese and Latin.
//!
//! A Chinese name is region + brand + trade + legal form, e.g. 杭州 + 台进 + 电子科技 +
//! 有限公司, and may be followed by a branch. What is left of a name without region and legal
//! form is its *core*; the core without its trade words is the *brand*.

use std::{collections::HashMap, sync::LazyLock};

use smallvec::SmallVec;

use super::{
    org_print::Print,
    org_words::{BRANCH, COMPASS, FULL, LATIN_LEGAL, LATIN_TRADES, LEGAL, NOTES},
    region::{DIVISIONS, Region},
    text::{Endings, Words, folded, is_alphanumeric, is_han, pinyin, push_pinyin, text_of},
};

/// A name that is being taken apart: most stay where they are made.
type Chars = SmallVec<[char; 64]>;

/// Longest name read, in characters after folding.
pub const MAX_NAME: usize = 256;

/// What a name says about being a branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Branch {
    /// A short name: could be either.
    Unknown,
    /// A full name with a legal form and without a branch.
    Head,
    /// A branch; the text names which (a city's short name where it is one).
    Of(Box<str>),
}

/// A name in parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgName {
    /// All of it, folded, without blanks, brackets and punctuation.
    pub full: Box<str>,
    /// Without region, legal form and branch.
    pub core: Box<[char]>,
    /// How many characters of `core` are brand.
    pub(crate) brand: u16,
    /// The region the name begins with or has in brackets.
    pub region: Region,
    /// Whether it is a branch.
    pub branch: Branch,
    /// Written in a Latin script.
    pub latin: bool,
    /// Pinyin of the core, or the core itself when Latin.
    pub sound: Box<str>,
    /// How many bytes of `sound` are brand.
    pub(crate) sound_brand: u16,
    /// Term-frequency and length adjustment in milli-bits, from the rule set.
    pub rarity: i32,
    /// What most pairs are told apart by.
    pub(crate) print: Print,
}

/// Trade words, longest first.
static TRADES: LazyLock<Endings> = LazyLock::new(|| {
    let lines = include_str!("trades.txt").lines();
    let mut all: Vec<&str> = lines
        .filter(|l| !l.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect();
    all.sort_by_key(|w| std::cmp::Reverse(w.chars().count()));
    Endings::new(all)
});
static LEGAL_ENDINGS: LazyLock<Endings> = LazyLock::new(|| Endings::new(LEGAL.iter().copied()));
static FULL_ENDINGS: LazyLock<Endings> = LazyLock::new(|| Endings::new(FULL.iter().copied()));
static BRANCH_ENDINGS: LazyLock<Endings> = LazyLock::new(|| Endings::new(BRANCH.iter().copied()));
static LATIN_LEGAL_WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(LATIN_LEGAL));
static LATIN_TRADE_WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(LATIN_TRADES));

/// Parses one name; `None` when nothing comparable remains.
pub fn parse(text: &str) -> Option<OrgName> {
    let folded = folded(text, MAX_NAME);
    if folded.is_empty() {
        return None;
    }
    let (mut han, mut letters) = (0, 0);
    for c in folded.chars() {
        let is_han = is_han(c);
        han += usize::from(is_han);
        letters += usize::from(!is_han && c.is_alphabetic());
    }
    if letters > 0 && letters * 2 > han * 3 + letters {
        return latin(&folded);
    }
    chinese(&folded)
}

fn chinese(folded: &str) -> Option<OrgName> {
    let noted = without_notes(folded);
    // A region after a blank, as chat contacts write it: 瑞德科技生物 合肥.
    let mut region = Region::default();
    let mut text: Chars = noted.chars().collect();
    if let Some(blank) = text.iter().rposition(|&c| c == ' ')
        && let Some(place) = DIVISIONS.exactly(&text[blank + 1..])
        && blank >= 2
    {
        region = DIVISIONS.region(place);
        text.truncate(blank);
    }
    let mut text = without_brackets(&text, &mut region);
    fix_typos(&mut text);
    if text.is_empty() {
        return None;
    }
    let full = text_of(&text);
    let branch = split_branch(&mut text);
    let is_full = FULL_ENDINGS.find(&text, |_| true).is_some();
    strip_legal(&mut text);
    strip_regions(&mut text, &mut region);
    // A region at the end is where a bracket was lost or a short name was made unique.
    if let Some((n, place)) = DIVISIONS.at_end(&text)
        && text.len() >= n + 2
    {
        text.truncate(text.len() - n);
        region = region.refined_by(DIVISIONS.region(place));
        strip_legal(&mut text);
    }
    let brand = brand_length(&text);
    let mut sound = SmallVec::<[u8; 96]>::new();
    let mut sound_brand = 0;
    for (i, c) in text.iter().enumerate() {
        push_pinyin(*c, |syllable| sound.extend_from_slice(syllable.as_bytes()));
        if i + 1 == brand {
            sound_brand = sound.len();
        }
    }
    OrgName {
        full,
        brand: length(brand),
        region,
        branch: match branch {
            Some(b) => Branch::Of(b),
            None if is_full => Branch::Head,
            None => Branch::Unknown,
        },
        latin: false,
        // Pinyin and letters: whole characters were added.
        sound: std::str::from_utf8(&sound).unwrap_or_default().into(),
        sound_brand: length(sound_brand),
        rarity: 0,
        core: (&*text).into(),
        print: Print::default(),
    }
    .printed()
}

/// A length below [`MAX_NAME`] letters' worth of bytes.
fn length(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Takes off marks, prefixes and suffixes that are notes, not name.
fn without_notes(folded: &str) -> &str {
    let mut s = folded.trim();
    // 【VIP】某公司 and 某公司【停用】
    if let Some(rest) = s.strip_prefix('【')
        && let Some((_, after)) = rest.split_once('】')
        && !after.trim().is_empty()
    {
        s = after.trim();
    }
    if let Some(rest) = s.strip_suffix('】')
        && let Some((before, _)) = rest.rsplit_once('【')
        && !before.trim().is_empty()
    {
        s = before.trim();
    }
    for prefix in ["客户:", "客户名称:", "供应商:", "公司名称:", "名称:"] {
        s = s.strip_prefix(prefix).unwrap_or(s).trim();
    }
    loop {
        let before = s;
        s = s.trim_end_matches([
            '*', '#', '!', '?', '.', ',', '、', '。', '·', '-', '_', ' ', '~', '/',
        ]);
        s = s.trim_start_matches(['*', '#', '!', '.', ',', '·', '-', '_', ' ', '~', '/']);
        // 某公司_1, 某公司-老客户, 某公司-华东, 某公司-张三
        if let Some((head, tail)) = s.rsplit_once(['-', '_', '—', '/']) {
            let n = tail.chars().count();
            let small = tail.chars().all(|c| c.is_ascii_digit()) && n <= 3;
            let note = NOTES.contains(&tail) || COMPASS.contains(&tail);
            let contact = (2..=4).contains(&n)
                && tail.chars().all(is_han)
                && DIVISIONS
                    .exactly(&tail.chars().collect::<Chars>())
                    .is_none();
            if head.chars().count() >= 2 && (small || note || contact) {
                s = head;
            }
        }
        for note in ["老客户", "新客户", "大客户"] {
            if let Some(head) = s.strip_suffix(note)
                && head.chars().count() >= 3
            {
                s = head;
            }
        }
        if s == before {
            return s;
        }
    }
}

/// Removes brackets: a region in them is read, a note or a person's name dropped, other text
/// kept in place. Also removes blanks and punctuation.
fn without_brackets(text: &[char], region: &mut Region) -> Chars {
    let mut out = Chars::new();
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        if matches!(c, '(' | '[' | '{' | '<' | '《' | '〈' | '「')
            && let Some(len) = text[i + 1..]
                .iter()
                .position(|c| matches!(c, ')' | ']' | '}' | '>' | '》' | '〉' | '」'))
        {
            let inner: Chars = text[i + 1..i + 1 + len]
                .iter()
                .copied()
                .filter(|c| *c != ' ')
                .collect();
            let word: String = inner.iter().collect();
            if let Some(place) = DIVISIONS.exactly(&inner) {
                *region = region.refined_by(DIVISIONS.region(place));
            } else if !(NOTES.contains(&word.as_str()) || is_person_note(&inner) || word == "中国")
            {
                out.extend(inner.iter().copied().filter(|c| is_alphanumeric(*c)));
            }
            i += len + 2;
            continue;
        }
        if is_han(c) || c.is_alphanumeric() || matches!(c, '&' | '+') {
            out.push(c);
        }
        i += 1;
    }
    out
}

/// (廖总), (王经理)
fn is_person_note(inner: &[char]) -> bool {
    inner.len() <= 4 && super::person_name::has_honorific(inner)
}

fn ends_with(text: &[char], suffix: &str) -> bool {
    // Cheap test first: most suffixes differ in their last character.
    if text.last().copied() != suffix.chars().next_back() {
        return false;
    }
    text.iter()
        .rev()
        .copied()
        .take(suffix.chars().count())
        .eq(suffix.chars().rev())
}

fn fix_typos(text: &mut Chars) {
    const PAIRS: &[(&str, &str)] = &[
        ("公可", "公司"),
        ("么司", "公司"),
        ("公同", "公司"),
        ("有眼公司", "有限公司"),
        ("冇限公司", "有限公司"),
        ("有线公司", "有限公司"),
    ];
    for (wrong, right) in PAIRS {
        if ends_with(text, wrong) {
            let keep = text.len() - wrong.chars().count();
            text.truncate(keep);
            text.extend(right.chars());
        }
    }
}

/// Takes the branch off the end and returns which it is.
fn split_branch(text: &mut Chars) -> Option<Box<str>> {
    let end = text.len() - BRANCH_ENDINGS.find(text, |_| true)?;
    // 某公司(北京)分公司: what stands between the last legal form and the word is the branch.
    let head = (2..=end).rev().find(|&i| {
        ["公司", "集团", "合伙企业", "银行", "事务所", "中心"]
            .iter()
            .any(|l| ends_with(&text[..i], l))
    });
    let start = match head {
        Some(i) if end > i => i,
        _ => match DIVISIONS.at_end(&text[..end]) {
            Some((n, _)) if end >= n + 2 => end - n,
            _ if end >= 4 => end - 2,
            _ => return None,
        },
    };
    let name = &text[start..end];
    let place = DIVISIONS.at_start(name).map(|(_, p)| DIVISIONS.region(p));
    let which = match place.and_then(|r| r.city) {
        Some(city) if place.is_some_and(|r| r.district.is_none()) => {
            DIVISIONS.city_name(city).into()
        }
        _ => text_of(name),
    };
    text.truncate(start);
    Some(which)
}

fn strip_legal(text: &mut Chars) {
    // Twice: 某某集团 + 有限公司.
    for _ in 0..3 {
        let long = text.len();
        let Some(n) = LEGAL_ENDINGS.find(text, |n| long >= n + if n == 1 { 4 } else { 2 }) else {
            return;
        };
        text.truncate(long - n);
    }
}

/// 武侯区 after 成都市: the district of a city that is known, by its full name.
fn strip_district(text: &mut Chars, region: &mut Region) {
    if let Some(city) = region.city
        && let Some((n, district)) = DIVISIONS.district_at_start(city, text)
        && matches!(text[n - 1], '区' | '县' | '旗' | '市')
        && text.len() >= n + 2
    {
        region.district = region.district.or(Some(district));
        text.drain(..n);
    }
}

fn strip_regions(text: &mut Chars, region: &mut Region) {
    for round in 0..3 {
        if round > 0 {
            strip_district(text, region);
        }
        let Some((n, place)) = DIVISIONS.at_start(text) else {
            return;
        };
        let found = DIVISIONS.region(place);
        if text.len() < n + 2 {
            return;
        }
        *region = if region.is_empty() {
            found
        } else {
            region.refined_by(found)
        };
        text.drain(..n);
        // 佛山市一品莲: the short name was followed by its own suffix.
        if matches!(text.first(), Some('市' | '省')) && text.len() > 3 {
            text.remove(0);
        }
    }
}

/// Characters of `core` that are brand: the rest is trade words.
fn brand_length(core: &[char]) -> usize {
    let trades = &*TRADES;
    let mut end = core.len();
    while let Some(n) = trades.find(&core[..end], |n| end >= n + 2) {
        end -= n;
    }
    end
}

static CITY_SOUNDS: LazyLock<HashMap<String, u16>> = LazyLock::new(|| {
    let mut out = HashMap::new();
    for (i, n) in DIVISIONS.city_names() {
        // Of two cities of one sound the first listed counts.
        out.entry(pinyin(n)).or_insert(i);
    }
    out
});

fn latin(folded: &str) -> Option<OrgName> {
    let undotted: String = folded
        .chars()
        .filter(|c| !matches!(c, '.' | '\'' | '’'))
        .collect();
    let tokens: Vec<&str> = undotted
        .split(|c: char| !(c.is_alphanumeric() || c == '&'))
        .filter(|t| !t.is_empty() && *t != "&")
        .collect();
    let full: String = tokens.concat();
    if full.is_empty() {
        return None;
    }
    let mut region = Region::default();
    let mut kept: Vec<&str> = Vec::new();
    for (i, t) in tokens.iter().enumerate() {
        let city = CITY_SOUNDS.get(*t).copied();
        let legal = i > 0 && LATIN_LEGAL_WORDS.contains(t);
        match city {
            Some(c)
                if tokens.len() > 2
                    && (i == 0 || i + 1 == tokens.len() || region.is_empty() && i > 1) =>
            {
                region = region.refined_by(DIVISIONS.region(super::region::Place::City(c)));
            }
            _ if legal => {}
            _ => kept.push(t),
        }
    }
    if kept.is_empty() {
        kept = tokens;
    }
    let mut brand_tokens = kept.len();
    while brand_tokens > 1 && LATIN_TRADE_WORDS.contains(kept[brand_tokens - 1]) {
        brand_tokens -= 1;
    }
    let sound = kept.concat();
    let brand_text = kept[..brand_tokens].concat();
    OrgName {
        brand: length(brand_text.chars().count()),
        sound_brand: length(brand_text.len()),
        full: full.into(),
        core: sound.chars().collect(),
        sound: sound.into(),
        region,
        branch: Branch::Unknown,
        latin: true,
        rarity: 0,
        print: Print::default(),
    }
    .printed()
}

impl OrgName {
    /// The core as text.
    pub fn core_text(&self) -> String {
        self.core.iter().collect()
    }
    /// How many characters of the core are brand.
    pub fn brand_len(&self) -> usize {
        usize::from(self.brand).min(self.core.len())
    }
    /// The brand part of the core.
    pub fn brand_chars(&self) -> &[char] {
        &self.core[..self.brand_len()]
    }
    /// The pinyin, or Latin letters, of the brand.
    pub fn brand_sound(&self) -> &str {
        let brand = self.sound.get(..usize::from(self.sound_brand));
        brand.unwrap_or(&self.sound)
    }
}
