//! All labelled tables, and how the engine fares with them.

use std::{collections::BTreeMap, error::Error, fmt::Write};

use jinke_resolution::{
    batch::{Expert, Options, resolve_table},
    evaluate::{b_cubed, pairwise},
};

use super::{chinese, firms, persons, things, world::World};

/// All tables, of about `count` things each.
pub fn worlds(count: usize, seed: u64) -> Vec<World> {
    vec![
        chinese::world("customers-cn", count, 50, seed),
        chinese::world("customers-cn-hard", count, 75, seed + 1),
        persons::world(count, seed + 2),
        things::products(count, seed + 3),
        things::restaurants(count / 2, seed + 4),
        things::papers(count, seed + 5),
        firms::german(count, seed + 6),
        firms::spanish(count / 2, seed + 7),
        firms::japanese(count / 2, seed + 8),
        firms::unknown(count / 2, seed + 9),
    ]
}

/// Resolves a table with nothing but its column types, and says how well: a line for the table and
/// one for each class of trap. Pairs of the class `show` that went wrong are written out.
///
/// # Errors
/// What the table was refused for.
pub fn report(w: &World, show: Option<&str>) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    let (table, truth) = (w.table(), w.truth());
    let options = Options {
        mode: Some(w.mode),
        threads: 2,
        ..Options::default()
    };
    let found = resolve_table(&table, None, &Expert::default(), &options, &|_, _, _| {})?;
    let labels = |heads: &[u32]| -> Vec<usize> { heads.iter().map(|h| *h as usize).collect() };
    let (balance, merge) = (labels(&found.heads), labels(&found.merged));
    let reviews = found.reviews.len();
    let (p, b, m) = (
        pairwise(&balance, &truth),
        b_cubed(&balance, &truth),
        pairwise(&merge, &truth),
    );
    writeln!(
        out,
        "{:18} {:6} records  P {:.4} R {:.4} F1 {:.4} B3 {:.4}   merge P {:.4} R {:.4}  reviews/1000 {:.1}",
        w.name,
        table.len(),
        p.precision,
        p.recall,
        p.f1,
        b.f1,
        m.precision,
        m.recall,
        1000.0 * reviews as f64 / table.len().max(1) as f64
    )?;
    let mut members: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
    for (i, r) in w.records.iter().enumerate() {
        if let Some(trap) = r.trap {
            members.entry(trap).or_default().push(i);
        }
    }
    // Per class: pairs of two things and how many were joined, pairs of one and how many missed.
    let mut classes: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for ((class, _), list) in &members {
        let sums = classes.entry(class).or_default();
        sums[0] += 1;
        for (k, &i) in list.iter().enumerate() {
            for &j in &list[k + 1..] {
                let (same, joined) = (truth[i] == truth[j], balance[i] == balance[j]);
                sums[if same { 3 } else { 1 }] += 1;
                sums[if same { 4 } else { 2 }] += usize::from(same != joined);
                if same != joined && show == Some(*class) {
                    writeln!(out, "    {}", if same { "missed" } else { "joined" })?;
                    for r in [i, j] {
                        writeln!(out, "      {}", w.records[r].cells.join(" | "))?;
                    }
                }
            }
        }
    }
    for (class, [n, apart, joined, together, missed]) in classes {
        writeln!(
            out,
            "    {class:52} {n:5} cases   wrongly joined {joined:5} of {apart:5}   missed {missed:5} of {together:5}"
        )?;
    }
    Ok(out)
}
