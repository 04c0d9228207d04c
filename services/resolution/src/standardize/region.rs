//! Provinces, cities and districts of GB/T 2260 and how they are written in names and
//! addresses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::text::ByChar;

/// What a piece of text names. Numbers index the tables of [`Divisions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A province, municipality or autonomous region.
    Province(u8),
    /// A city, prefecture or municipality; its province follows from it.
    City(u16),
    /// A district or county; its city follows from it.
    District(u16),
}

/// A region as far as it is known. A finer part always comes with the coarser ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    /// Province.
    pub province: Option<u8>,
    /// City.
    pub city: Option<u16>,
    /// District or county.
    pub district: Option<u16>,
}

/// How two regions relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They contradict in province or city.
    Different,
    /// One of them says nothing that the other could contradict.
    Unknown,
    /// One province, the city open on one side.
    SameProvince,
    /// One city.
    SameCity,
    /// One district.
    SameDistrict,
}

struct City {
    province: u8,
    name: String,
    short: String,
}

/// The tables.
pub struct Divisions {
    provinces: Vec<String>,
    cities: Vec<City>,
    districts: Vec<(u16, String)>,
    by_code: BTreeMap<u16, u16>,
    heads: ByChar<Vec<(Vec<char>, Place)>>,
    tails: ByChar<Vec<(Vec<char>, Place)>>,
    in_city: HashMap<u16, Vec<(Vec<char>, u16)>>,
}

/// Ethnic names inside division names; a short name leaves them out.
const PEOPLES: &[&str] = &[
    "维吾尔",
    "土家族",
    "苗族",
    "藏族",
    "羌族",
    "彝族",
    "布依族",
    "侗族",
    "哈尼族",
    "壮族",
    "傣族",
    "白族",
    "景颇族",
    "傈僳族",
    "回族",
    "蒙古族",
    "朝鲜族",
    "柯尔克孜",
    "哈萨克",
    "满族",
    "瑶族",
    "畲族",
    "蒙古",
];

/// County-level cities so well known that their short name stands in company names.
const KNOWN_COUNTIES: &[&str] = &[
    "昆山",
    "江阴",
    "张家港",
    "常熟",
    "太仓",
    "义乌",
    "慈溪",
    "余姚",
    "诸暨",
    "海宁",
    "桐乡",
    "瑞安",
    "乐清",
    "温岭",
    "宜兴",
    "丹阳",
    "靖江",
    "晋江",
    "石狮",
    "福清",
    "寿光",
    "胶州",
    "即墨",
    "浏阳",
    "滕州",
    "荣成",
    "都江堰",
    "普宁",
    "任丘",
    "迁安",
    "霸州",
    "新郑",
    "巩义",
];

fn short_of(name: &str) -> String {
    let mut s = name;
    for suffix in [
        "特别行政区",
        "自治区",
        "自治州",
        "自治县",
        "地区",
        "省",
        "市",
        "州",
        "盟",
        "县",
        "区",
        "旗",
    ] {
        if let Some(rest) = s.strip_suffix(suffix)
            && rest.chars().count() >= 2
        {
            s = rest;
            break;
        }
    }
    loop {
        let before = s;
        for p in PEOPLES {
            if let Some(rest) = s.strip_suffix(p)
                && rest.chars().count() >= 2
            {
                s = rest;
            }
        }
        if s == before {
            return s.to_owned();
        }
    }
}

fn index(map: &mut BTreeMap<char, Vec<(Vec<char>, Place)>>, at: char, name: &[char], place: Place) {
    let list = map.entry(at).or_default();
    if !list.iter().any(|(n, _)| n == name) {
        list.push((name.to_vec(), place));
    }
}

impl Divisions {
    fn load() -> Self {
        let mut d = Self {
            provinces: Vec::new(),
            cities: Vec::new(),
            districts: Vec::new(),
            by_code: BTreeMap::new(),
            heads: ByChar::new(BTreeMap::new()),
            tails: ByChar::new(BTreeMap::new()),
            in_city: HashMap::new(),
        };
        for line in include_str!("divisions.txt")
            .lines()
            .filter(|l| !l.starts_with('#'))
        {
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let Some(city) = words.next() else {
                d.provinces.push(first.to_owned());
                continue;
            };
            let id = d.cities.len() as u16;
            let code = first.parse().unwrap_or_default();
            d.by_code.insert(code, id);
            let province = (d.provinces.len() - 1) as u8;
            d.cities.push(City {
                province,
                name: city.to_owned(),
                short: short_of(city),
            });
            for w in words {
                d.districts.push((id, w.to_owned()));
            }
        }
        let mut names: Vec<(String, Place)> = Vec::new();
        // Where two places share a name the first listed wins: municipalities are cities.
        for (i, c) in d.cities.iter().enumerate() {
            names.push((c.name.clone(), Place::City(i as u16)));
        }
        for (i, p) in d.provinces.iter().enumerate() {
            names.push((p.clone(), Place::Province(i as u8)));
        }
        let municipal = ["北京", "天津", "上海", "重庆", "吉林"];
        for (i, c) in d.cities.iter().enumerate() {
            let is_province_too = d.provinces.iter().any(|p| short_of(p) == c.short);
            if !is_province_too || (municipal.contains(&c.short.as_str()) && c.short != "吉林") {
                names.push((c.short.clone(), Place::City(i as u16)));
            }
            if c.name.ends_with("自治州") {
                names.push((
                    c.name.trim_end_matches('州').to_owned(),
                    Place::City(i as u16),
                ));
                names.push((format!("{}州", c.short), Place::City(i as u16)));
            }
        }
        for (i, p) in d.provinces.iter().enumerate() {
            names.push((short_of(p), Place::Province(i as u8)));
            if short_of(p).chars().count() == 2 || p.ends_with("自治区") {
                names.push((format!("{}省", short_of(p)), Place::Province(i as u8)));
            }
        }
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, n) in &d.districts {
            *count.entry(n).or_default() += 1;
        }
        for (i, (_, n)) in d.districts.iter().enumerate() {
            if count[n.as_str()] == 1
                && (n.ends_with('市') || n.ends_with('县') || n.ends_with('旗'))
            {
                names.push((n.clone(), Place::District(i as u16)));
                let short = short_of(n);
                if KNOWN_COUNTIES.contains(&short.as_str()) {
                    names.push((short, Place::District(i as u16)));
                }
            }
        }
        let (mut heads, mut tails) = (BTreeMap::new(), BTreeMap::new());
        for (name, place) in names {
            let chars: Vec<char> = name.chars().collect();
            if let (Some(&first), Some(&last)) = (chars.first(), chars.last())
                && chars.len() >= 2
            {
                index(&mut heads, first, &chars, place);
                index(&mut tails, last, &chars, place);
            }
        }
        for list in heads.values_mut().chain(tails.values_mut()) {
            list.sort_by_key(|(n, _): &(Vec<char>, Place)| std::cmp::Reverse(n.len()));
        }
        d.heads = ByChar::new(heads);
        d.tails = ByChar::new(tails);
        for (i, (city, n)) in d.districts.iter().enumerate() {
            let list = d.in_city.entry(*city).or_default();
            list.push((n.chars().collect(), i as u16));
            let short: Vec<char> = short_of(n).chars().collect();
            if short.len() >= 2 && short.len() < n.chars().count() {
                list.push((short, i as u16));
            }
        }
        for list in d.in_city.values_mut() {
            list.sort_by_key(|(n, _)| std::cmp::Reverse(n.len()));
        }
        d
    }

    /// The longest division name at the start of `text`: its length in characters and place.
    pub fn at_start(&self, text: &[char]) -> Option<(usize, Place)> {
        // All begin alike: most differ in the second character.
        let (first, second) = (text.first()?, text.get(1)?);
        let list = self.heads.get(*first)?;
        list.iter()
            .find(|(n, _)| n[1] == *second && text.starts_with(n))
            .map(|(n, p)| (n.len(), *p))
    }

    /// The longest division name at the end of `text`.
    pub fn at_end(&self, text: &[char]) -> Option<(usize, Place)> {
        let (last, before) = (text.last()?, text.get(text.len().checked_sub(2)?)?);
        let list = self.tails.get(*last)?;
        list.iter()
            .find(|(n, _)| n[n.len() - 2] == *before && text.ends_with(n))
            .map(|(n, p)| (n.len(), *p))
    }

    /// A district of `city` at the start of `text`, by full or short name.
    pub fn district_at_start(&self, city: u16, text: &[char]) -> Option<(usize, u16)> {
        let list = self.in_city.get(&city)?;
        let first = text.first()?;
        list.iter()
            .find(|(n, _)| n[0] == *first && text.starts_with(n))
            .map(|(n, d)| (n.len(), *d))
    }

    /// The place that `text` as a whole names.
    pub fn exactly(&self, text: &[char]) -> Option<Place> {
        self.at_start(text)
            .filter(|(n, _)| *n == text.len())
            .map(|(_, p)| p)
    }

    /// The region of a place, with the coarser parts filled in.
    pub fn region(&self, place: Place) -> Region {
        match place {
            Place::Province(p) => Region {
                province: Some(p),
                ..Region::default()
            },
            Place::City(c) => Region {
                province: self.cities.get(usize::from(c)).map(|x| x.province),
                city: Some(c),
                district: None,
            },
            Place::District(d) => {
                let city = self.districts.get(usize::from(d)).map(|x| x.0);
                Region {
                    district: Some(d),
                    ..city
                        .map(|c| self.region(Place::City(c)))
                        .unwrap_or_default()
                }
            }
        }
    }

    /// The city of a six-digit division code, by its first four digits.
    pub fn city_of_code(&self, code: &str) -> Option<u16> {
        self.by_code.get(&code.get(..4)?.parse().ok()?).copied()
    }

    /// Short name of a city, e.g. `杭州`.
    pub fn city_name(&self, city: u16) -> &str {
        self.cities.get(usize::from(city)).map_or("", |c| &c.short)
    }

    /// Short names of all cities, for reading Latin names.
    pub fn city_names(&self) -> impl Iterator<Item = (u16, &str)> {
        self.cities
            .iter()
            .enumerate()
            .map(|(i, c)| (i as u16, c.short.as_str()))
    }

    /// A readable form, e.g. `浙江省/杭州/西湖区`.
    pub fn show(&self, r: Region) -> String {
        let mut parts = Vec::new();
        if let Some(p) = r.province {
            parts.push(self.provinces.get(usize::from(p)).map_or("", |p| p));
        }
        if let Some(c) = r.city {
            parts.push(self.city_name(c));
        }
        if let Some(d) = r.district {
            parts.push(self.districts.get(usize::from(d)).map_or("", |d| &d.1));
        }
        parts.join("/")
    }
}

impl Region {
    /// Whether nothing is known.
    pub const fn is_empty(self) -> bool {
        self.province.is_none() && self.city.is_none()
    }
    /// Adds what `finer` knows where it does not contradict.
    #[must_use]
    pub fn refined_by(self, finer: Self) -> Self {
        if self.relation(finer) == Relation::Different {
            return self;
        }
        Self {
            province: self.province.or(finer.province),
            city: self.city.or(finer.city),
            district: self.district.or(finer.district),
        }
    }
    /// How two regions relate. Districts do not contradict here: sources get them wrong too
    /// often, the address comparison weighs them.
    pub fn relation(self, other: Self) -> Relation {
        match (self.city, other.city) {
            (Some(a), Some(b)) if a == b => match (self.district, other.district) {
                (Some(x), Some(y)) if x == y => Relation::SameDistrict,
                _ => Relation::SameCity,
            },
            (Some(_), Some(_)) => Relation::Different,
            _ => match (self.province, other.province) {
                (Some(a), Some(b)) if a == b => Relation::SameProvince,
                (Some(_), Some(_)) => Relation::Different,
                _ => Relation::Unknown,
            },
        }
    }
}

/// The embedded tables.
pub static DIVISIONS: LazyLock<Divisions> = LazyLock::new(Divisions::load);

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        DIVISIONS
            .at_start(&chars)
            .map_or_else(String::new, |(n, p)| {
                format!("{n} {}", DIVISIONS.show(DIVISIONS.region(p)))
            })
    }

    #[test]
    fn finds_divisions_at_the_start() {
        assert_eq!(show("杭州市西湖"), "3 浙江省/杭州");
        assert_eq!(show("杭州好美味"), "2 浙江省/杭州");
        assert_eq!(show("黔西南布依族苗族自治"), "10 贵州省/黔西南");
        assert_eq!(show("西双版纳茶叶"), "4 云南省/西双版纳");
        assert_eq!(show("上海"), "2 上海市/上海");
        assert_eq!(show("昆山某某"), "2 江苏省/苏州/昆山市");
        assert_eq!(show("海南椰子"), "2 海南省");
        assert_eq!(show("吉林某某"), "2 吉林省");
        assert_eq!(show("吉林市某某"), "3 吉林省/吉林");
        assert_eq!(show("百度"), "");
    }

    #[test]
    fn codes_name_cities() {
        assert_eq!(
            DIVISIONS
                .city_of_code("330106")
                .map(|c| DIVISIONS.city_name(c)),
            Some("杭州")
        );
        assert_eq!(DIVISIONS.city_of_code("999999"), None);
    }
}
