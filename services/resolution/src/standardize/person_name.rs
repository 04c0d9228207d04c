//! Names of persons: surname, given name, and what people call each other instead.

use std::sync::LazyLock;

use smallvec::SmallVec;
use smol_str::{SmolStr, SmolStrBuilder};

use super::text::{ByChar, Endings, folded, is_han, pinyin, push_pinyin};

/// A person's name in parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonName {
    /// The whole name without honorific; empty when only the surname is known (王总).
    pub full: SmolStr,
    /// The surname; of a Latin name its last word, empty when there is one word.
    pub surname: SmolStr,
    /// Pinyin of the whole name (surname first), or the folded words of a Latin name, sorted.
    pub sound: SmolStr,
    /// Length adjustment in milli-bits, from the rule set.
    pub rarity: i32,
}

/// Surnames of more than one character.
const COMPOUND: &[&str] = &[
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "司徒",
    "令狐",
    "夏侯",
    "长孙",
    "宇文",
    "轩辕",
    "端木",
    "独孤",
    "南宫",
    "百里",
    "呼延",
    "闻人",
    "澹台",
    "公冶",
    "太史",
    "申屠",
    "钟离",
    "赫连",
    "濮阳",
    "淳于",
    "单于",
    "万俟",
    "拓跋",
    "西门",
    "东郭",
    "左丘",
    "第五",
    "梁丘",
    "公羊",
    "谷梁",
    "鲜于",
    "闾丘",
    "亓官",
    "司空",
    "仲孙",
    "巫马",
    "羊舌",
    "微生",
    "南门",
    "纳兰",
    "完颜",
    "叶赫",
    "那拉",
    "爱新觉罗",
];

/// What stands after a name or a surname.
const HONORIFICS: &[&str] = &[
    "总经理",
    "副总经理",
    "董事长",
    "董事",
    "总监",
    "经理",
    "先生",
    "女士",
    "小姐",
    "太太",
    "夫人",
    "主任",
    "会计",
    "出纳",
    "老师",
    "医生",
    "大夫",
    "博士",
    "教授",
    "院长",
    "校长",
    "厂长",
    "部长",
    "科长",
    "处长",
    "局长",
    "主管",
    "专员",
    "助理",
    "秘书",
    "老板",
    "师傅",
    "同志",
    "律师",
    "工程师",
    "采购",
    "销售",
    "财务",
    "店长",
    "队长",
    "总工",
    "副总",
    "总裁",
    "总",
    "工",
    "董",
    "姐",
    "哥",
    "局",
    "处",
    "所",
];

const LATIN_HONORIFICS: &[&str] = &["mr", "mrs", "ms", "miss", "dr", "prof", "sir", "madam"];

/// Surnames read otherwise than the same character elsewhere.
const READINGS: &[(&str, &str)] = &[
    ("单", "shan"),
    ("曾", "zeng"),
    ("解", "xie"),
    ("仇", "qiu"),
    ("查", "zha"),
    ("区", "ou"),
    ("朴", "piao"),
    ("盖", "ge"),
    ("任", "ren"),
    ("华", "hua"),
    ("翟", "zhai"),
    ("乐", "yue"),
    ("尉迟", "yuchi"),
    ("万俟", "moqi"),
    ("长孙", "zhangsun"),
    ("重", "chong"),
    ("覃", "qin"),
    ("种", "chong"),
    ("冼", "xian"),
    ("逄", "pang"),
    ("缪", "miao"),
    ("宓", "mi"),
];

/// Texts by their first character, in the order given.
fn by_first<T: Copy>(list: &[T], text: impl Fn(T) -> &'static str) -> ByChar<Vec<T>> {
    let mut by: std::collections::BTreeMap<char, Vec<T>> = Default::default();
    for item in list {
        let first = text(*item).chars().next().unwrap_or_default();
        by.entry(first).or_default().push(*item);
    }
    ByChar::new(by)
}

static COMPOUND_BY_FIRST: LazyLock<ByChar<Vec<&'static str>>> =
    LazyLock::new(|| by_first(COMPOUND, |c| c));
static READINGS_BY_FIRST: LazyLock<ByChar<Vec<(&'static str, &'static str)>>> =
    LazyLock::new(|| by_first(READINGS, |r| r.0));

fn surname_length(name: &[char]) -> usize {
    let first = name.first().copied().unwrap_or_default();
    COMPOUND_BY_FIRST
        .get(first)
        .into_iter()
        .flatten()
        .find(|c| name.iter().copied().take(c.chars().count()).eq(c.chars()))
        .map_or(1, |c| c.chars().count())
}

static HONORIFIC_ENDINGS: LazyLock<Endings> =
    LazyLock::new(|| Endings::new(HONORIFICS.iter().copied()));

/// Whether a short text ends in an honorific after at least a surname.
pub fn has_honorific(text: &[char]) -> bool {
    let n = text.len();
    HONORIFIC_ENDINGS.find(text, |h| h < n).is_some()
}

/// Parses one name; `None` when nothing comparable remains.
pub fn parse(text: &str) -> Option<PersonName> {
    let folded = folded(text, 64);
    // A note in brackets is not part of the name.
    let name = folded.split(['(', '[', '【', '/', ',', ';']).next();
    let name = name.unwrap_or("").trim();
    if name.chars().any(is_han) {
        chinese(name)
    } else {
        latin(name)
    }
}

fn chinese(folded: &str) -> Option<PersonName> {
    let mut name: SmallVec<[char; 20]> = folded
        .chars()
        .filter(|c| is_han(*c) || c.is_alphabetic())
        .take(20)
        .collect();
    let mut honorific = false;
    // Not while it would leave nothing; a single last character such as 工 is an honorific only
    // after a bare surname, because given names end in it too.
    loop {
        let (long, last) = (name.len(), name.last().copied());
        let found = HONORIFIC_ENDINGS.find(&name, |n| {
            let rest = long.saturating_sub(n);
            rest >= 1
                && (n > 1 || rest == surname_length(&name) || (last == Some('总') && rest <= 3))
        });
        let Some(n) = found else {
            break;
        };
        name.truncate(long - n);
        honorific = true;
    }
    // 小王, 老李, 阿强: a familiar prefix before one character.
    let familiar = name.len() == 2 && matches!(name[0], '小' | '老' | '阿');
    if familiar {
        name.remove(0);
    }
    let n = surname_length(&name);
    let surname: SmolStr = name.iter().copied().take(n).collect();
    if surname.is_empty() {
        return None;
    }
    let only_surname = name.len() <= n && (honorific || familiar || name.len() < 2);
    let reading = READINGS_BY_FIRST
        .get(name.first().copied().unwrap_or_default())
        .into_iter()
        .flatten()
        .find(|(s, _)| *s == surname)
        .map(|(_, r)| *r);
    let mut sound = SmolStrBuilder::new();
    if !only_surname {
        match reading {
            Some(r) => sound.push_str(r),
            None => sound.push_str(&pinyin(&surname)),
        }
        for c in name.iter().skip(n) {
            push_pinyin(*c, |syllable| sound.push_str(syllable));
        }
    }
    Some(PersonName {
        full: if only_surname {
            SmolStr::default()
        } else {
            name.iter().copied().collect()
        },
        surname,
        sound: sound.finish(),
        rarity: 0,
    })
}

fn latin(folded: &str) -> Option<PersonName> {
    let words: Vec<&str> = folded
        .split(|c: char| !c.is_alphabetic())
        .filter(|w| !w.is_empty() && !LATIN_HONORIFICS.contains(w))
        .take(8)
        .collect();
    let last = words.last()?;
    let mut sorted = words.clone();
    sorted.sort_unstable();
    Some(PersonName {
        full: words.join(" ").into(),
        surname: if words.len() > 1 {
            SmolStr::new(last)
        } else {
            SmolStr::default()
        },
        sound: sorted.join(" ").into(),
        rarity: 0,
    })
}
