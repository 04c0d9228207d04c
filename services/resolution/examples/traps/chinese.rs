//! Chinese business customers of several systems, with everything that goes wrong among them.

use jinke_resolution::{
    batch::{Mode, Semantic as S},
    standardize::{identifier::uscc_holds, text::pinyin},
};

use super::{
    dice::{Dice, capital},
    world::World,
};

pub const COLUMNS: &[(&str, S)] = &[
    ("name", S::OrgName),
    ("uscc", S::Uscc),
    ("phone", S::Phone),
    ("email", S::Email),
    ("province", S::City),
    ("city", S::City),
    ("district", S::City),
    ("address", S::Address),
    ("contact", S::PersonName),
    ("bank", S::BankAccount),
];

/// Province, city, district, code.
const PLACES: &[(&str, &str, &str, &str)] = &[
    ("浙江省", "杭州市", "西湖区", "330106"),
    ("浙江省", "宁波市", "鄞州区", "330212"),
    ("江苏省", "苏州市", "虎丘区", "320505"),
    ("江苏省", "南京市", "鼓楼区", "320106"),
    ("广东省", "深圳市", "南山区", "440305"),
    ("广东省", "广州市", "天河区", "440106"),
    ("山东省", "青岛市", "市南区", "370202"),
    ("四川省", "成都市", "武侯区", "510107"),
    ("湖北省", "武汉市", "江夏区", "420115"),
    ("福建省", "厦门市", "思明区", "350203"),
    ("上海市", "上海市", "浦东新区", "310115"),
    ("浙江省", "温州市", "鹿城区", "330302"),
    ("浙江省", "嘉兴市", "南湖区", "330402"),
    ("浙江省", "金华市", "义乌市", "330782"),
    ("江苏省", "无锡市", "滨湖区", "320211"),
    ("江苏省", "常州市", "武进区", "320412"),
    ("江苏省", "南通市", "崇川区", "320613"),
    ("江苏省", "徐州市", "云龙区", "320303"),
    ("广东省", "佛山市", "顺德区", "440606"),
    ("广东省", "珠海市", "香洲区", "440402"),
    ("广东省", "惠州市", "惠城区", "441302"),
    ("山东省", "济南市", "历下区", "370102"),
    ("山东省", "烟台市", "芝罘区", "370602"),
    ("山东省", "潍坊市", "奎文区", "370705"),
    ("四川省", "绵阳市", "涪城区", "510703"),
    ("湖北省", "宜昌市", "西陵区", "420502"),
    ("湖北省", "襄阳市", "樊城区", "420606"),
    ("福建省", "福州市", "仓山区", "350104"),
    ("福建省", "泉州市", "丰泽区", "350503"),
    ("河南省", "郑州市", "金水区", "410105"),
    ("河南省", "洛阳市", "涧西区", "410305"),
    ("河北省", "石家庄市", "长安区", "130102"),
    ("河北省", "唐山市", "路北区", "130203"),
    ("湖南省", "长沙市", "岳麓区", "430104"),
    ("湖南省", "株洲市", "天元区", "430211"),
    ("安徽省", "合肥市", "蜀山区", "340104"),
    ("安徽省", "芜湖市", "镜湖区", "340202"),
    ("江西省", "南昌市", "东湖区", "360102"),
    ("江西省", "赣州市", "章贡区", "360702"),
    ("辽宁省", "沈阳市", "和平区", "210102"),
    ("辽宁省", "大连市", "中山区", "210202"),
    ("吉林省", "长春市", "朝阳区", "220104"),
    ("黑龙江省", "哈尔滨市", "南岗区", "230103"),
    ("陕西省", "西安市", "雁塔区", "610113"),
    ("山西省", "太原市", "小店区", "140105"),
    ("云南省", "昆明市", "五华区", "530102"),
    ("贵州省", "贵阳市", "云岩区", "520103"),
    ("甘肃省", "兰州市", "城关区", "620102"),
    ("海南省", "海口市", "龙华区", "460106"),
    ("天津市", "天津市", "南开区", "120104"),
    ("重庆市", "重庆市", "渝北区", "500112"),
    ("北京市", "北京市", "海淀区", "110108"),
];
/// As many as a million names need: with few, firms would be called alike that are not.
const BRAND: &[char] = &[
    '金', '华', '瑞', '恒', '鑫', '德', '泰', '盛', '宏', '达', '博', '远', '创', '信', '中', '天',
    '海', '新', '嘉', '诚', '兴', '隆', '凯', '力', '明', '康', '正', '凌', '云', '锦', '江', '麦',
    '琪', '祺', '晟', '昊', '沃', '朗', '睿', '腾', '骏', '弘', '澜', '岚', '安', '邦', '宝', '北',
    '本', '彬', '斌', '冰', '秉', '伯', '昌', '畅', '超', '辰', '晨', '成', '承', '城', '驰', '川',
    '春', '淳', '聪', '翠', '大', '丹', '鼎', '东', '栋', '敦', '多', '恩', '方', '芳', '飞', '菲',
    '丰', '枫', '峰', '锋', '凤', '福', '富', '刚', '高', '歌', '格', '耿', '工', '谷', '冠', '光',
    '广', '桂', '国', '果', '瀚', '航', '豪', '浩', '合', '和', '荷', '禾', '鹤', '鸿', '虎', '欢',
    '环', '煌', '辉', '汇', '惠', '慧', '吉', '集', '佳', '家', '甲', '坚', '建', '健', '剑', '杰',
    '捷', '界', '今', '津', '京', '晶', '精', '景', '靖', '静', '久', '九', '巨', '君', '钧', '峻',
    '卡', '开', '楷', '科', '可', '克', '坤', '昆', '乐', '雷', '磊', '黎', '理', '立', '丽', '利',
    '联', '良', '林', '霖', '灵', '龙', '鲁', '路', '绿', '伦', '罗', '洛', '马', '曼', '茂', '美',
    '蒙', '梦', '敏', '铭', '茗', '名', '鸣', '木', '南', '宁', '诺', '欧', '派', '攀', '鹏', '品',
    '平', '萍', '浦', '七', '奇', '启', '千', '乾', '强', '巧', '青', '清', '庆', '秋', '全', '泉',
    '群', '然', '仁', '日', '荣', '融', '如', '锐', '润', '若', '赛', '三', '森', '山', '珊', '上',
    '尚', '韶', '申', '深', '升', '生', '圣', '胜', '时', '世', '仕', '首', '舒', '顺', '硕', '思',
    '松', '苏', '太', '坦', '唐', '涛', '特', '添', '田', '铁', '通', '同', '彤', '图', '万', '旺',
    '威', '微', '为', '维', '伟', '炜', '文', '武', '西', '希', '曦', '夏', '仙', '先', '贤', '祥',
    '翔', '向', '象', '晓', '心', '欣', '馨', '星', '雄', '秀', '旭', '轩', '宣', '玄', '雪', '勋',
    '迅', '雅', '亚', '延', '岩', '阳', '洋', '耀', '业', '一', '亿', '义', '艺', '益', '逸', '毅',
    '银', '英', '盈', '永', '勇', '优', '友', '有', '宇', '雨', '玉', '育', '裕', '誉', '元', '原',
    '源', '悦', '跃', '越', '运', '韵', '再', '泽', '长', '昭', '兆', '哲', '真', '振', '镇', '之',
    '志', '智', '致', '钟', '众', '舟', '珠', '竹', '卓', '紫', '宗', '祖', '尊', '佐',
];
const TRADES: &[&str] = &[
    "科技",
    "贸易",
    "电子",
    "机械",
    "物流",
    "建材",
    "医药",
    "食品",
    "信息技术",
    "实业",
    "新材料",
    "自动化设备",
];
const SURNAMES: &[&str] = &[
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "周", "吴", "徐", "孙", "欧阳", "曾",
];
const GIVEN: &[&str] = &[
    "伟", "芳", "建国", "秀英", "敏", "静", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明霞",
    "志强", "晓东", "海燕",
];
const STREETS: &[&str] = &[
    "文三路",
    "中山东路",
    "解放路",
    "人民大道",
    "科技园路",
    "工业街",
    "学院路",
    "江南大道",
    "建设路",
];

fn uscc(d: &mut Dice, code: &str) -> String {
    const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let mut text = format!("91{code}MA");
    for _ in 0..7 {
        text.push(char::from(d.pick(ALPHABET)));
    }
    let last = ALPHABET
        .iter()
        .map(|c| char::from(*c))
        .find(|c| uscc_holds(&format!("{text}{c}")));
    text.push(last.unwrap_or('0'));
    text
}

/// A company and what all its records may say.
#[derive(Clone)]
struct Firm {
    brand: String,
    trade: &'static str,
    place: usize,
    uscc: String,
    phone: String,
    email: String,
    street: String,
    contact: String,
    bank: String,
    /// What follows the legal form.
    branch: String,
}

fn person(d: &mut Dice) -> String {
    format!("{}{}", d.common(SURNAMES), d.pick(GIVEN))
}

fn mobile(d: &mut Dice) -> String {
    format!(
        "1{}{}",
        d.pick(&["38", "39", "58", "77", "86"]),
        d.digits(8)
    )
}

fn firm(d: &mut Dice) -> Firm {
    let brand: String = (0..2 + d.below(2)).map(|_| d.pick(BRAND)).collect();
    let place = d.below(PLACES.len());
    let local = pinyin(&brand) + &d.digits(2);
    Firm {
        trade: d.pick(TRADES),
        uscc: uscc(d, PLACES[place].3),
        phone: mobile(d),
        email: format!(
            "{}@{local}.example",
            d.pick(&["info", "sales", "li", "wang", "cw"])
        ),
        street: format!("{}{}号", d.pick(STREETS), 1 + d.below(600)),
        contact: person(d),
        bank: format!("6{}", d.digits(17)),
        branch: String::new(),
        place,
        brand,
    }
}

fn cells(d: &mut Dice, f: &Firm, hard: usize) -> Vec<String> {
    let (province, city, district, _) = PLACES[f.place];
    let short_city = city.trim_end_matches('市');
    let (brand, trade, branch) = (&f.brand, f.trade, &f.branch);
    let mut name = match d.below(100) {
        0..=44 => format!("{short_city}{brand}{trade}有限公司{branch}"),
        45..=54 => format!("{city}{brand}{trade}有限责任公司{branch}"),
        55..=64 => format!("{brand}{trade}（{short_city}）有限公司{branch}"),
        65..=74 => format!("{brand}{trade}有限公司{branch}"),
        75..=89 => format!("{brand}{trade}{branch}"),
        _ => format!("{short_city}{brand}{branch}"),
    };
    if d.one_in(4) {
        name.push_str(d.pick(&["（停用）", "-1", "*", "【VIP】"]));
    }
    if d.one_in(hard / 6) {
        name = d.slip(&name);
    }
    let phone = match d.below(4) {
        0 => format!("+86 {}", f.phone),
        1 => format!("{} {} {}", &f.phone[..3], &f.phone[3..7], &f.phone[7..]),
        _ => f.phone.clone(),
    };
    let missing = |d: &mut Dice, text: &str, percent: usize| d.maybe(text, percent * hard / 50);
    let code = d.maybe_slip(&f.uscc, hard / 12);
    let title = if d.one_in(8) {
        f.contact.chars().take(1).chain("总".chars()).collect()
    } else {
        f.contact.clone()
    };
    vec![
        name,
        missing(d, &code, 60),
        missing(d, &phone, 45),
        missing(d, &f.email, 65),
        d.maybe(province, 30),
        d.maybe(city, 15),
        d.maybe(district, 40),
        missing(d, &f.street, 45),
        missing(d, &title, 40),
        missing(d, &f.bank, 75),
    ]
}

const SOURCES: [&str; 5] = ["erp", "finance", "crm", "chat", "shop"];

fn some(
    w: &mut World,
    d: &mut Dice,
    f: &Firm,
    e: usize,
    trap: Option<(&'static str, usize)>,
    n: usize,
    hard: usize,
) {
    for _ in 0..n {
        let c = cells(d, f, hard);
        w.add(d.pick(&SOURCES), e, trap, c);
    }
}

/// `count` companies; `hard` is how much is missing and mistyped, 50 is usual.
pub fn world(name: &'static str, count: usize, hard: usize, seed: u64) -> World {
    let mut w = World::new(name, Mode::Dedupe, COLUMNS);
    let mut d = Dice::new(seed);
    for _ in 0..count {
        let f = firm(&mut d);
        let e = w.entity();
        let n = 1 + d.below(3);
        let other = firm(&mut d);
        match d.below(100) {
            0..=2 => {
                let trap = w.trap("head office's USCC on a branch");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let branch = Firm {
                    place: other.place,
                    branch: format!("{}分公司", PLACES[other.place].1.trim_end_matches('市')),
                    brand: f.brand.clone(),
                    trade: f.trade,
                    uscc: f.uscc.clone(),
                    ..other
                };
                some(&mut w, &mut d, &branch, o, trap, 2, hard);
            }
            3..=5 => {
                let trap = w.trap("another company's valid USCC copied");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let mut wrong = cells(&mut d, &other, hard);
                wrong[1].clone_from(&f.uscc);
                w.add("chat", o, trap, wrong);
                some(&mut w, &mut d, &other, o, trap, 2, hard);
            }
            6..=8 => {
                // One owner, two shops of one trade in one street, each a business of its own.
                let trap = w.trap("个体工商户: one owner's two shops");
                let (_, city, district, code) = PLACES[f.place];
                for shop in 0..2 {
                    let o = if shop == 0 { e } else { w.entity() };
                    let brand: String = (0..2).map(|_| d.pick(BRAND)).collect();
                    let code = uscc(&mut d, code).replacen("91", "92", 1);
                    for _ in 0..2 {
                        let style = d.below(2);
                        let name = if style == 0 {
                            format!("{city}{district}{brand}餐饮店（个体工商户）")
                        } else {
                            format!("{brand}餐饮店")
                        };
                        let street = format!(
                            "{}{}号",
                            f.street
                                .trim_end_matches(|c: char| c.is_ascii_digit() || c == '号'),
                            10 + shop * 20
                        );
                        let c = vec![
                            name,
                            d.maybe(&code, 50),
                            d.maybe(&f.phone, 20),
                            String::new(),
                            String::new(),
                            city.to_owned(),
                            district.to_owned(),
                            d.maybe(&street, 20),
                            d.maybe(&f.contact, 30),
                            String::new(),
                        ];
                        w.add("shop", o, trap, c);
                    }
                }
            }
            9..=11 => {
                let trap = w.trap("contacts of one name at different companies");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let namesake = Firm {
                    contact: f.contact.clone(),
                    place: f.place,
                    ..other
                };
                some(&mut w, &mut d, &namesake, o, trap, 2, hard);
            }
            12..=14 => {
                let trap = w.trap("overseas name in two scripts");
                some(&mut w, &mut d, &f, e, trap, 1, hard);
                let latin = format!(
                    "{} {} Co., Ltd.",
                    capital(&pinyin(&f.brand)),
                    d.pick(&["Technology", "Trading", "Industrial"])
                );
                let mut c = cells(&mut d, &f, hard);
                c[0] = latin;
                if c[2].is_empty() && c[3].is_empty() {
                    c[2].clone_from(&f.phone);
                }
                w.add("crm", e, trap, c);
            }
            15..=18 => {
                let trap = w.trap("branches of one company");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                for _ in 0..2 {
                    let place = d.below(PLACES.len());
                    let own = firm(&mut d);
                    let o = w.entity();
                    let branch = Firm {
                        branch: format!("{}分公司", PLACES[place].1.trim_end_matches('市')),
                        brand: f.brand.clone(),
                        trade: f.trade,
                        place,
                        email: f.email.clone(),
                        ..own
                    };
                    if place != f.place {
                        some(&mut w, &mut d, &branch, o, trap, 2, hard);
                    }
                }
            }
            19..=21 => {
                let trap = w.trap("subsidiary with the parent's stem");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let trade = TRADES
                    .iter()
                    .copied()
                    .find(|t| *t != f.trade && *t != "科技")
                    .unwrap_or("实业");
                let subsidiary = Firm {
                    brand: f.brand.clone(),
                    trade,
                    place: f.place,
                    email: f.email.clone(),
                    ..other
                };
                some(&mut w, &mut d, &subsidiary, o, trap, 2, hard);
            }
            22..=24 => {
                let trap = w.trap("the same short name in another city");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let place = (f.place + 1 + d.below(PLACES.len() - 1)) % PLACES.len();
                let elsewhere = Firm {
                    brand: f.brand.clone(),
                    trade: f.trade,
                    place,
                    ..other
                };
                some(&mut w, &mut d, &elsewhere, o, trap, 2, hard);
            }
            25..=26 => {
                let trap = w.trap("a shared switchboard");
                let phone = format!("0571{}", d.digits(8));
                for k in 0..12 {
                    let o = if k == 0 { e } else { w.entity() };
                    let tenant = Firm {
                        phone: phone.clone(),
                        place: f.place,
                        street: f.street.clone(),
                        ..firm(&mut d)
                    };
                    some(&mut w, &mut d, &tenant, o, trap, 1 + k % 2, hard);
                }
            }
            27..=29 => {
                let trap = w.trap("a contact who moves with the phone");
                some(&mut w, &mut d, &f, e, trap, n, hard);
                let o = w.entity();
                let next = Firm {
                    phone: f.phone.clone(),
                    contact: f.contact.clone(),
                    ..other
                };
                some(&mut w, &mut d, &next, o, trap, 2, hard);
            }
            30 => {
                let trap = w.trap("one customer a hundred times");
                some(&mut w, &mut d, &f, e, trap, 100, hard / 2);
            }
            31..=32 => {
                let trap = w.trap("a company that moved and kept its code");
                some(&mut w, &mut d, &f, e, trap, 1, 20);
                let moved = Firm {
                    place: other.place,
                    street: other.street,
                    phone: other.phone,
                    ..f
                };
                some(&mut w, &mut d, &moved, e, trap, 1, 20);
            }
            _ => some(&mut w, &mut d, &f, e, None, n, hard),
        }
    }
    w
}
