//! Explaining a score and a cluster.

use std::collections::BTreeMap;

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
    /// The link that was made last, which is one with the least score; none when all are
    /// judgements.
    pub weakest: Option<Link>,
    /// Ids of the positive judgements that hold it.
    pub judgements: Vec<String>,
    /// Compared pairs inside the cluster at or above the review threshold, the best first.
    pub supporting: Vec<Edge>,
    /// What would split it: the two sides that remain without the weakest link, each by key. Empty
    /// when there is none.
    pub sides: [Vec<usize>; 2],
    /// The supporting pairs between the sides. The sides part when all of them fall below the
    /// merge threshold, or when a negative judgement names the two sides; fewer may be enough
    /// where what remains is a weak bridge.
    pub holding: Vec<Edge>,
}

/// Explains the cluster at index `index` of `clustering`; empty when there is none.
///
/// That the sides part, and that each of them stays whole, holds for the records of the cluster by
/// themselves, because the weakest link is the last: all that was joined before it is the two
/// sides, and would be joined again. Under a negative judgement they part whoever else is there.
/// Without the pairs of `holding` a third cluster, of which one side would then be part, could in
/// rare cases bring them together again.
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
    let mut member = vec![false; nodes.len()];
    members.iter().for_each(|&m| member[m] = true);
    let inside = |a: usize, b: usize| member[a] && member[b];
    // Clustering lists links from the strongest to the weakest already.
    let links: Vec<Link> = clustering
        .links
        .iter()
        .filter(|l| inside(l.a, l.b))
        .cloned()
        .collect();
    // Of several with the least score too it must be the last: only then are the sides what stood
    // before it.
    let last = links
        .iter()
        .rposition(|l| matches!(l.cause, Cause::Score(_)));
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
    let mut best: BTreeMap<(usize, usize), i32> = BTreeMap::new();
    let related = edges.iter().filter(|e| e.a != e.b && inside(e.a, e.b));
    for e in related.filter(|e| e.score >= rules.thresholds.review) {
        let ordered = nodes[e.a].key <= nodes[e.b].key;
        let pair = if ordered { (e.a, e.b) } else { (e.b, e.a) };
        let score = best.entry(pair).or_insert(e.score);
        *score = e.score.max(*score);
    }
    let mut supporting: Vec<Edge> = best
        .into_iter()
        .map(|((a, b), score)| Edge { a, b, score })
        .collect();
    supporting.sort_by(|x, y| {
        y.score
            .cmp(&x.score)
            .then_with(|| (nodes[x.a].key, nodes[x.b].key).cmp(&(nodes[y.a].key, nodes[y.b].key)))
    });
    let mut sides = <[Vec<usize>; 2]>::default();
    let mut holding = Vec::new();
    if let Some(last) = last {
        let near = near(&links, last, nodes.len());
        let (left, right) = members.iter().partition(|m| near[**m]);
        sides = [left, right];
        let between = supporting.iter().filter(|e| near[e.a] != near[e.b]);
        holding = between.copied().collect();
    }
    ClusterExplanation {
        weakest: last.map(|l| links[l].clone()),
        sides,
        holding,
        links,
        judgements,
        supporting,
    }
}

/// Which nodes hang together with one end of a link of the tree, without it.
fn near(links: &[Link], cut: usize, nodes: usize) -> Vec<bool> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (_, l) in links.iter().enumerate().filter(|(i, _)| *i != cut) {
        next[l.a].push(l.b);
        next[l.b].push(l.a);
    }
    let mut near = vec![false; nodes];
    near[links[cut].a] = true;
    let mut todo = vec![links[cut].a];
    while let Some(x) = todo.pop() {
        for &n in &next[x] {
            if !near[n] {
                near[n] = true;
                todo.push(n);
            }
        }
    }
    near
}
