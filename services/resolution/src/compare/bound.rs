//! What two organizations can score at most, told from some bytes of each.
//!
//! Most candidate pairs of a large table are far from the threshold. A [`Sketch`] of a record is
//! small and stands beside those of its neighbours, where the record itself is spread over the
//! memory: hashes for what must be equal, one bit a letter and counts of letters for what may be
//! some slips apart. [`Weights::most`] never says less than [`crate::score`], so that a pair it
//! rejects need not be compared.

use super::{
    organization::name,
    sketch::{Mark, Sketch},
};
use crate::{rules::RuleSet, standardize::region::Relation};

/// The weights of a rule set for organizations by comparison and level.
pub(crate) struct Weights {
    of: [[i32; LEVELS]; super::MAX],
}

/// Most levels of a comparison.
const LEVELS: usize = 12;

/// The largest of some weights.
fn largest<const N: usize>(of: &[i32; LEVELS], levels: [usize; N]) -> i32 {
    levels.iter().map(|l| of[*l]).max().unwrap_or(0)
}

impl Weights {
    pub(crate) fn new(rules: &RuleSet) -> Self {
        let mut of = [[0; LEVELS]; super::MAX];
        for (list, c) in of.iter_mut().zip(&rules.comparisons) {
            for (w, l) in list.iter_mut().zip(&c.levels) {
                *w = l.weight;
            }
        }
        Self { of }
    }

    /// No score of the two records is above this.
    pub(crate) fn most(&self, a: &Sketch, b: &Sketch) -> i32 {
        if !(a.plain && b.plain) {
            return i32::MAX;
        }
        let [close, far] = self.name(a, b);
        // While names share more than a brand, and while they do not.
        let [mut near, mut other] = self.uscc(a, b);
        for [x, y] in [
            self.exact(5, a.phone, b.phone),
            self.exact(6, a.email, b.email),
            self.domain(a, b),
            self.exact(8, a.account, b.account),
            self.contact(a, b),
            self.address(a, b),
        ] {
            near += x;
            other += y;
        }
        let best = match (close, far) {
            (Some(c), Some(f)) => (c + near).max(f + other),
            (Some(c), None) => c + near,
            (None, f) => f.unwrap_or(0) + other,
        };
        // The fourth comparison is of identifiers that a plain record does not have.
        best + self.region(a, b) + self.branch(a, b) + self.of[4][0]
    }

    /// The most that names can weigh while they share more than a brand, and while they do not.
    fn name(&self, a: &Sketch, b: &Sketch) -> [Option<i32>; 2] {
        let of = |level: u8| self.of[0][usize::from(level)];
        if !(a.named && b.named) {
            return [Some(of(name::NULL)), None];
        }
        let (x, y) = (&a.name, &b.name);
        let mut close: Option<i32> = None;
        let mut may = |weight: i32| close = Some(close.map_or(weight, |w| w.max(weight)));
        let rarity = x.rarity.min(y.rarity);
        if x.full == y.full {
            may(of(name::EXACT) + rarity);
        }
        if x.core == y.core {
            may(of(name::CORE) + rarity);
        }
        if x.latin != y.latin {
            if x.sounds_first == y.sounds_first && x.sounds_first != 0 {
                may(of(name::CROSS));
            }
            return [close, Some(of(name::ELSE))];
        }
        if !x.latin && x.long == y.long && x.sound == y.sound {
            may(of(name::SOUND) + rarity);
        }
        let (short, long) = if x.long <= y.long { (x, y) } else { (y, x) };
        let least = if x.latin { 4 } else { 2 };
        let same_head = x.head == y.head;
        if short.long >= least && same_head && short.letters & !long.letters == 0 {
            may(of(name::PREFIX) + x.rarity.max(y.rarity));
        }
        let differ = (x.letters ^ y.letters).count_ones();
        let within = |slips: u8| long.long - short.long <= slips && differ <= 2 * u32::from(slips);
        if short.long >= 4 && within(if long.long >= 8 { 2 } else { 1 }) {
            may(of(name::TYPO));
        }
        let mut far = of(name::DIFFERENT);
        let disjoint = !x.latin
            && x.brand_long >= 2
            && y.brand_long >= 2
            && x.brand_letters & y.letters == 0
            && y.brand_letters & x.letters == 0;
        if !disjoint {
            far = far.max(of(name::ELSE));
        }
        if x.brand == y.brand {
            far = far.max(of(name::BRAND));
        }
        if short.long >= 3 && (same_head || x.brand_sound == y.brand_sound || within(long.long / 3))
        {
            far = far.max(of(name::SIMILAR));
        }
        [close, Some(far)]
    }

    fn region(&self, a: &Sketch, b: &Sketch) -> i32 {
        let list = |s: &Sketch| s.regions.1 as usize;
        let mut best = None;
        for x in &a.regions.0[..list(a)] {
            for y in &b.regions.0[..list(b)] {
                best = best.max(Some(x.relation(*y)));
            }
        }
        self.of[1][usize::from(super::organization::region_level(best))]
    }

    fn branch(&self, a: &Sketch, b: &Sketch) -> i32 {
        let of = &self.of[2];
        if !(a.named && b.named) {
            return of[0];
        }
        let first = |s: &Sketch| s.name.branch_first;
        match (a.name.branch, b.name.branch) {
            (2, 2) if first(a) == first(b) => largest(of, [2, 5]),
            (2, 2) if first(a) == '\0' || first(b) == '\0' => largest(of, [2, 5]),
            (2, 2) => of[5],
            (2, 1) | (1, 2) => of[4],
            (2, _) | (_, 2) => of[3],
            (1, 1) => of[1],
            _ => of[0],
        }
    }

    fn uscc(&self, a: &Sketch, b: &Sketch) -> [i32; 2] {
        let of = &self.of[3];
        if !(a.uscc.is_there() && b.uscc.is_there()) {
            return [of[0]; 2];
        }
        let differ = match a.uscc_valid && b.uscc_valid {
            true => of[5],
            false if a.uscc.within(b.uscc, 2) => largest(of, [3, 4]),
            false => of[4],
        };
        with_equal(of, differ, a.uscc.may_equal(b.uscc))
    }

    /// A comparison with the levels null, equal, equal_other_name, near, else.
    fn exact(&self, comparison: usize, x: Mark, y: Mark) -> [i32; 2] {
        let of = &self.of[comparison];
        if !(x.is_there() && y.is_there()) {
            return [of[0]; 2];
        }
        let differ = if x.within(y, 1) {
            largest(of, [3, 4])
        } else {
            of[4]
        };
        with_equal(of, differ, x.may_equal(y))
    }

    fn domain(&self, a: &Sketch, b: &Sketch) -> [i32; 2] {
        let of = &self.of[7];
        if a.domains[0] == 0 || b.domains[0] == 0 {
            return [of[0]; 2];
        }
        let shared = |d: &u32| *d != 0 && b.domains.contains(d);
        with_equal(of, of[3], a.domains.iter().any(shared))
    }

    fn contact(&self, a: &Sketch, b: &Sketch) -> [i32; 2] {
        let of = &self.of[9];
        let ((there, surname, full), (also, its_surname, its_full)) = (a.contact, b.contact);
        if !(there && also) {
            return [of[0]; 2];
        }
        let same_full = full != 0 && full == its_full;
        let same_sound = a.person.is_there() && a.person.may_equal(b.person);
        if same_full || same_sound {
            return with_equal(of, largest(of, [3, 4, 5, 6]), true);
        }
        let most = match surname != 0 && surname == its_surname {
            false => of[6],
            true if full == 0 || its_full == 0 => largest(of, [4, 6]),
            true if a.person.within(b.person, 1) => largest(of, [3, 5, 6]),
            true => largest(of, [5, 6]),
        };
        [most; 2]
    }

    fn address(&self, a: &Sketch, b: &Sketch) -> [i32; 2] {
        let of = &self.of[10];
        if !(a.placed && b.placed) {
            return [of[0]; 2];
        }
        let (x, y) = (&a.place, &b.place);
        let relation = x.region.relation(y.region);
        let has_street = x.tail != 0 && y.tail != 0;
        let mut most = match (relation, x.region.district, y.region.district) {
            (Relation::Different, ..) => return [of[5]; 2],
            (Relation::SameCity, Some(_), Some(_)) => of[6],
            _ if has_street => of[7],
            _ => of[0],
        };
        let same_number = x.number != 0 && x.number == y.number;
        let same_street = has_street && x.tail == y.tail;
        if same_street {
            most = most.max(of[4]);
        }
        if has_street && same_number {
            most = most.max(of[3]);
        }
        with_equal(of, most, same_street && same_number)
    }
}

/// The most that a comparison can weigh while names share more than a brand, and while they do
/// not: an equal value, where there may be one, has the levels 1 and 2.
fn with_equal(of: &[i32; LEVELS], differ: i32, may_equal: bool) -> [i32; 2] {
    if may_equal {
        [differ.max(of[1]), differ.max(of[2])]
    } else {
        [differ; 2]
    }
}

#[cfg(test)]
mod tests {
    use jinke_types::{Address as Raw, Datum, PartyKind, Value, attribute};

    use super::*;
    use crate::{NothingGeneric, batch::parallel::mix, score, standardize::standardize};

    #[test]
    fn no_score_is_above_what_the_sketches_allow() {
        let names = [
            "杭州华兴电子科技有限公司",
            "华兴电子",
            "华星电子科技",
            "杭州华兴电子科技有限公司宁波分公司",
            "宁波华兴物流有限公司",
            "Hangzhou Huaxing Electronics Co., Ltd.",
            "huaxing electronic",
            "上海东方贸易商行",
            "东方",
            "",
        ];
        let numbers = [
            "91330106MA27X0AB1C",
            "91330106MA27X0AB1D",
            "913301000000000000",
            "",
        ];
        let phones = [
            "13812345670",
            "13812345607",
            "0571-85523328",
            "13912345670/13712345670",
            "",
        ];
        let emails = [
            "zhang.wei@huaxing.com",
            "zhang.wie@huaxing.com",
            "info@huaxing.com",
            "",
        ];
        let people = ["张伟", "章伟", "张总", "张小伟", "Wei Zhang", ""];
        let places = [
            "文三路100号",
            "杭州市西湖区文三路100号",
            "文二路100号",
            "海宁路7号",
            "",
        ];
        let accounts = ["6222001234567890", "6222001234567809", ""];
        let rules = RuleSet::organization();
        let mut x = 1_u64;
        let mut pick = |list: &[&'static str]| {
            x = mix(x);
            list[(x % list.len() as u64) as usize]
        };
        let mut records = Vec::new();
        for i in 0..500 {
            let mut values = vec![
                Value::text(attribute::NAME, pick(&names)),
                Value::text(attribute::PHONE, pick(&phones)),
                Value::text(attribute::EMAIL, pick(&emails)),
                Value::text(attribute::CONTACT_NAME, pick(&people)),
                Value::text(attribute::BANK_ACCOUNT, pick(&accounts)),
                Value::identifier("uscc", pick(&numbers)),
                Value::of(
                    attribute::ADDRESS,
                    Datum::Address(Raw {
                        city: pick(&["杭州", "宁波", ""]).into(),
                        text: pick(&places).into(),
                        ..Raw::default()
                    }),
                ),
            ];
            if i % 50 == 0 {
                values.push(Value::text(attribute::NAME, pick(&names)));
            }
            values.retain(|v| !v.datum.is_blank());
            let mut record = standardize(PartyKind::Organization, &values, &rules);
            if i % 7 == 0 {
                record.mark_generic(|k| k % 2 == 0);
            }
            records.push(record);
        }
        let weights = Weights::new(&rules);
        let sketches: Vec<Sketch> = records.iter().map(Sketch::of).collect();
        let (mut exact, mut pairs) = (0, 0);
        for (a, x) in records.iter().zip(&sketches) {
            for (b, y) in records.iter().zip(&sketches) {
                let (most, score) = (weights.most(x, y), score(a, b, &NothingGeneric, &rules));
                assert!(most >= score, "{most} {score}\n{a:?}\n{b:?}");
                exact += usize::from(most == score);
                pairs += 1;
            }
        }
        // It says little more than the score, else it would be of no use.
        assert!(exact * 3 > pairs, "{exact} of {pairs}");
    }
}
