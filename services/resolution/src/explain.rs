//! Explaining a score and a cluster.

use jinke_types::PartyKind;

use crate::{
    block::Generic,
    cluster::{Cause, Clustering, Edge, Link, Node},
    compare::compare,
    rules::RuleSet,
    standardize::{Standardized, contact::Phone, identifier, org_name::Branch, region::DIVISIONS},
};

/// One step of the waterfall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Name of the comparison.
    pub comparison: String,
    /// Name of the level reached.
    pub level: String,
    /// The standardized values of one record that were compared.
    pub left: String,
    /// Those of the other.
    pub right: String,
    /// Match weight in milli-bits.
    pub weight: i32,
    /// The part of it that is a term-frequency or length adjustment.
    pub adjustment: i32,
    /// Sum so far in milli-bits.
    pub sum: i32,
}

/// Why two records score what they score, step by step; the last sum is the score. Empty for
/// records of different kinds.
pub fn explain_pair(
    a: &Standardized,
    b: &Standardized,
    generic: &dyn Generic,
    rules: &RuleSet,
) -> Vec<Step> {
    let mut sum = 0;
    let steps = compare(a, b, generic, rules)
        .levels
        .into_iter()
        .filter_map(|hit| {
            let comparison = rules.comparisons.get(usize::from(hit.comparison))?;
            let level = comparison.levels.get(usize::from(hit.level))?;
            sum += hit.weight;
            Some(Step {
                comparison: comparison.name.clone(),
                level: level.name.clone(),
                left: shown(a, &comparison.name),
                right: shown(b, &comparison.name),
                weight: hit.weight,
                adjustment: hit.adjustment,
                sum,
            })
        });
    steps.collect()
}

/// The standardized values that a comparison looks at, separated by ` / `.
fn shown(std: &Standardized, comparison: &str) -> String {
    let join = |list: Vec<String>| list.join(" / ");
    let person = std.kind() == PartyKind::Person;
    let people = || {
        let one = |p: &crate::standardize::person_name::PersonName| {
            if p.full.is_empty() {
                format!("{}…", p.surname)
            } else {
                p.full.to_string()
            }
        };
        std.people.iter().map(one).collect()
    };
    let ids = |of: &dyn Fn(&str) -> bool| {
        let all = std.identifiers().filter(|i| of(&i.scheme));
        all.map(|i| {
            if i.valid {
                i.text.to_string()
            } else {
                format!("{}?", i.text)
            }
        })
        .collect()
    };
    join(match comparison {
        "name" if person => people(),
        "contact" => people(),
        "name" | "employer" => std
            .names
            .iter()
            .map(|n| {
                let (brand, trade) = n.core.split_at(n.brand_len());
                let text: String = brand.iter().chain(&['|']).chain(trade).collect();
                format!("{} ({})", n.full, text.trim_end_matches('|'))
            })
            .collect(),
        "region" => std.regions.iter().map(|r| DIVISIONS.show(*r)).collect(),
        "branch" => std
            .names
            .iter()
            .map(|n| match &n.branch {
                Branch::Unknown => String::from("?"),
                Branch::Head => String::from("head"),
                Branch::Of(b) => b.to_string(),
            })
            .collect(),
        "uscc" => ids(&|s| s == identifier::USCC),
        "id_card" => ids(&|s| s == "id_card"),
        "identifier" => ids(&|s| s != identifier::USCC && s != "id_card"),
        "phone" => std
            .phones
            .iter()
            .map(|p| Phone::canonical(&p.value))
            .collect(),
        "email" => std
            .emails
            .iter()
            .map(|e| e.value.text.to_string())
            .collect(),
        "domain" => std.domains.iter().map(|d| d.value.to_string()).collect(),
        "bank" => std.accounts.iter().map(|d| d.value.to_string()).collect(),
        "birth" => std
            .births
            .iter()
            .map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"))
            .collect(),
        "address" => std.addresses.iter().map(|a| a.canonical()).collect(),
        _ => Vec::new(),
    })
}

/// Why one cluster holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterExplanation {
    /// The tree of links, strongest first, judgements before scores.
    pub links: Vec<Link>,
    /// The link with the least score; none when all are judgements.
    pub weakest: Option<Link>,
    /// Ids of the positive judgements that hold it.
    pub judgements: Vec<String>,
    /// Compared pairs inside the cluster at or above the review threshold.
    pub supporting: Vec<Edge>,
    /// What would split it: the two sides that remain without the weakest link. Empty when there
    /// is none.
    pub sides: [Vec<usize>; 2],
    /// The supporting pairs between the sides: the split needs all of them to fall below the
    /// merge threshold, or a negative judgement on the two sides.
    pub holding: Vec<Edge>,
}

/// Explains the cluster at index `index` of `clustering`; empty when there is none.
pub fn explain_cluster(
    nodes: &[Node<'_>],
    edges: &[Edge],
    clustering: &Clustering,
    index: usize,
    rules: &RuleSet,
) -> ClusterExplanation {
    let Some(members) = clustering.clusters.get(index) else {
        return ClusterExplanation::default();
    };
    let inside = |a: usize, b: usize| members.contains(&a) && members.contains(&b);
    // Clustering lists links from the strongest to the weakest already.
    let links: Vec<Link> = clustering
        .links
        .iter()
        .filter(|l| inside(l.a, l.b))
        .cloned()
        .collect();
    let score = |l: &&Link| {
        if let Cause::Score(s) = l.cause {
            Some(s)
        } else {
            None
        }
    };
    let weakest = links
        .iter()
        .filter(|l| score(l).is_some())
        .min_by_key(score)
        .cloned();
    let mut judgements: Vec<String> = links
        .iter()
        .filter_map(|l| {
            if let Cause::Judgement(id) = &l.cause {
                Some(id.clone())
            } else {
                None
            }
        })
        .collect();
    judgements.sort();
    judgements.dedup();
    let mut supporting: Vec<Edge> = edges
        .iter()
        .filter(|e| e.score >= rules.thresholds.review && e.a != e.b && inside(e.a, e.b))
        .map(|e| {
            if nodes[e.a].key <= nodes[e.b].key {
                *e
            } else {
                Edge {
                    a: e.b,
                    b: e.a,
                    score: e.score,
                }
            }
        })
        .collect();
    supporting.sort_by(|x, y| {
        y.score
            .cmp(&x.score)
            .then_with(|| (nodes[x.a].key, nodes[x.b].key).cmp(&(nodes[y.a].key, nodes[y.b].key)))
    });
    supporting.dedup();
    let sides = weakest
        .as_ref()
        .map_or_else(Default::default, |w| sides(members, &links, w));
    let on = |x: usize| sides[0].contains(&x);
    let holding: Vec<Edge> = supporting
        .iter()
        .copied()
        .filter(|e| !sides[0].is_empty() && on(e.a) != on(e.b))
        .collect();
    ClusterExplanation {
        sides,
        holding,
        links,
        weakest,
        judgements,
        supporting,
    }
}

/// The members on each side of a link of the tree.
fn sides(members: &[usize], links: &[Link], cut: &Link) -> [Vec<usize>; 2] {
    let mut near = std::collections::BTreeSet::from([cut.a]);
    let mut todo = vec![cut.a];
    while let Some(x) = todo.pop() {
        for l in links.iter().filter(|l| *l != cut) {
            let next = match x {
                x if x == l.a => l.b,
                x if x == l.b => l.a,
                _ => continue,
            };
            if near.insert(next) {
                todo.push(next);
            }
        }
    }
    let (left, right) = members.iter().partition(|m| near.contains(m));
    [left, right]
}
