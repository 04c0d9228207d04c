//! Persons: who moves, who marries, twins, father and son, namesakes.

use jinke_resolution::batch::{Mode, Semantic as S};

use super::{
    dice::{Dice, capital},
    world::World,
};

const GIVEN: &[&str] = &[
    "Anna",
    "James",
    "Maria",
    "John",
    "Emma",
    "David",
    "Laura",
    "Peter",
    "Sofia",
    "Thomas",
    "Julia",
    "Paul",
    "Clara",
    "Martin",
    "Eva",
    "Robert",
    "Nina",
    "Daniel",
    "Carmen",
    "Lucas",
    "Alice",
    "Simon",
    "Helena",
    "Oscar",
    "Irene",
    "Victor",
    "Rosa",
    "Hugo",
    "Elena",
    "Felix",
    "Marta",
    "Leon",
    "Olivia",
    "Bruno",
    "Teresa",
    "Max",
    "Ingrid",
    "Karl",
    "Beatrice",
    "Anton",
    "Margaret",
    "William",
    "Elizabeth",
    "Michael",
    "Katherine",
    "Joseph",
    "Christina",
    "Edward",
];
const SHORT: &[(&str, &str)] = &[
    ("Robert", "Bob"),
    ("William", "Bill"),
    ("Elizabeth", "Liz"),
    ("Michael", "Mike"),
    ("Katherine", "Kate"),
    ("Thomas", "Tom"),
    ("Edward", "Ted"),
    ("Margaret", "Peggy"),
    ("Joseph", "Joe"),
    ("Daniel", "Dan"),
];
const SURNAMES: &[&str] = &[
    "Smith", "Müller", "García", "Brown", "Schmidt", "Jones", "López", "Meyer", "Wilson", "Novak",
    "Rossi", "Silva", "Johnson", "Weber", "Martin", "Taylor", "Kowalski", "Fischer", "Moore",
    "Jensen", "Nilsson", "Walker", "Costa",
];

struct Person {
    given: String,
    surname: String,
    birth: (usize, usize, usize),
    street: String,
    town: String,
    postcode: String,
    phone: String,
    email: String,
}

fn surname(d: &mut Dice) -> String {
    if d.one_in(45) {
        return d.common(SURNAMES).to_owned();
    }
    let n = 2 + d.below(2);
    let end = d.pick(&["", "n", "s", "son", "er", "ski", "ez", "mann"]);
    capital(&d.word(
        n,
        &[
            "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "br",
        ],
        &["a", "e", "i", "o", "u"],
    )) + end
}

fn place(d: &mut Dice) -> (String, String, String) {
    let town = 1 + d.below(80);
    let mut t = Dice::new(town as u64 * 7_919);
    let name = capital(&t.word(2, &["b", "l", "m", "n", "r", "w"], &["a", "e", "o"]))
        + t.pick(&["ton", "burg", "field", "ville"]);
    let street = capital(&d.word(
        2,
        &["c", "d", "h", "l", "m", "p", "r", "w"],
        &["a", "e", "i", "o"],
    )) + d.pick(&[" Street", " Road", " Avenue", " Lane"]);
    (
        format!("{} {street}", 1 + d.below(180)),
        name,
        format!("{:05}", 10_000 + town * 37 + d.below(3)),
    )
}

fn person(d: &mut Dice) -> Person {
    let (street, town, postcode) = place(d);
    let (given, surname) = (d.common(GIVEN).to_owned(), surname(d));
    let n = d.below(90);
    Person {
        email: format!(
            "{}.{}{n}@{}",
            given.to_lowercase(),
            surname.to_lowercase(),
            d.pick(&["mail.example", "post.example", "web.example"])
        ),
        birth: (1940 + d.below(65), 1 + d.below(12), 1 + d.below(28)),
        phone: format!("0{}", d.digits(9)),
        given,
        surname,
        street,
        town,
        postcode,
    }
}

fn cells(d: &mut Dice, p: &Person) -> Vec<String> {
    let mut given = p.given.clone();
    if d.one_in(10)
        && let Some((_, short)) = SHORT.iter().find(|s| s.0 == given)
    {
        given = (*short).to_owned();
    } else if d.one_in(6) {
        given = given.chars().take(1).chain(['.']).collect();
    }
    let (y, mut m, mut day) = p.birth;
    if d.one_in(3) {
        (m, day) = (day.min(12), m);
    }
    let birth = match d.below(3) {
        0 => format!("{y:04}-{m:02}-{day:02}"),
        1 => format!("{day:02}.{m:02}.{y:04}"),
        _ => format!("{y:04}{m:02}{day:02}"),
    };
    let phone = match d.below(3) {
        0 => p.phone.clone(),
        1 => format!("{} {}-{}", &p.phone[..4], &p.phone[4..7], &p.phone[7..]),
        _ => format!("({}) {}", &p.phone[..4], &p.phone[4..]),
    };
    vec![
        d.maybe_slip(&given, 7),
        d.maybe_slip(&p.surname, 8),
        d.maybe(&birth, 25),
        d.maybe_slip(&p.street, 10),
        p.town.clone(),
        d.maybe_slip(&p.postcode, 4),
        d.maybe(&phone, 35),
        d.maybe(&p.email, 45),
    ]
}

pub const COLUMNS: &[(&str, S)] = &[
    ("given_name", S::GivenName),
    ("surname", S::Surname),
    ("birth", S::DateOfBirth),
    ("street", S::Address),
    ("town", S::City),
    ("postcode", S::Postcode),
    ("phone", S::Phone),
    ("email", S::Email),
];

/// `count` persons in a shop, a club and an insurance.
pub fn world(count: usize, seed: u64) -> World {
    let mut w = World::new("persons", Mode::Dedupe, COLUMNS);
    let mut d = Dice::new(seed);
    for _ in 0..count {
        let p = person(&mut d);
        let e = w.entity();
        match d.below(100) {
            0..=2 => {
                // She marries: another surname and address; phone and email stay, or one of them.
                let trap = w.trap("marriage: new surname and address");
                let first = cells(&mut d, &p);
                let (street, town, postcode) = place(&mut d);
                let after = Person {
                    surname: surname(&mut d),
                    street,
                    town,
                    postcode,
                    ..p
                };
                let mut second = cells(&mut d, &after);
                second[2] = first[2].clone();
                if second[6].is_empty() && second[7].is_empty() {
                    second[7].clone_from(&after.email);
                }
                w.add("shop", e, trap, first);
                w.add("club", e, trap, second);
            }
            3..=9 => {
                let trap = w.trap("move: new address");
                w.add("shop", e, trap, cells(&mut d, &p));
                let (street, town, postcode) = place(&mut d);
                let after = Person {
                    street,
                    town,
                    postcode,
                    ..p
                };
                w.add("club", e, trap, cells(&mut d, &after));
                w.add("insurance", e, trap, cells(&mut d, &after));
            }
            10..=12 => {
                let trap = w.trap("couple: one address and phone");
                w.add("shop", e, trap, cells(&mut d, &p));
                let o = w.entity();
                let other = Person {
                    given: d.common(GIVEN).to_owned(),
                    birth: person(&mut d).birth,
                    email: person(&mut d).email,
                    ..p
                };
                w.add("shop", o, trap, cells(&mut d, &other));
                w.add("club", o, trap, cells(&mut d, &other));
            }
            13 => {
                let trap = w.trap("twins: all but the given name");
                w.add("club", e, trap, cells(&mut d, &p));
                let o = w.entity();
                let mut given = d.pick(GIVEN).to_owned();
                if given == p.given {
                    given = String::from("Zoe");
                }
                let email = format!(
                    "{}.{}@mail.example",
                    given.to_lowercase(),
                    p.surname.to_lowercase()
                );
                let other = Person { given, email, ..p };
                w.add("club", o, trap, cells(&mut d, &other));
                w.add("insurance", o, trap, cells(&mut d, &other));
            }
            14 => {
                let trap = w.trap("father and son: one name and address");
                w.add("shop", e, trap, cells(&mut d, &p));
                let o = w.entity();
                let (y, _, _) = p.birth;
                let birth = (y + 27, 1 + d.below(12), 1 + d.below(28));
                let son = Person {
                    birth,
                    email: person(&mut d).email,
                    phone: person(&mut d).phone,
                    ..p
                };
                w.add("shop", o, trap, cells(&mut d, &son));
                w.add("club", o, trap, cells(&mut d, &son));
            }
            15..=18 => {
                let trap = w.trap("namesakes in two towns");
                w.add("shop", e, trap, cells(&mut d, &p));
                let o = w.entity();
                let other = Person {
                    given: p.given.clone(),
                    surname: p.surname.clone(),
                    ..person(&mut d)
                };
                w.add("shop", o, trap, cells(&mut d, &other));
            }
            19..=49 => w.add("shop", e, None, cells(&mut d, &p)),
            _ => {
                for source in ["shop", "club", "insurance"].iter().take(1 + d.below(3)) {
                    w.add(source, e, None, cells(&mut d, &p));
                }
                if d.one_in(30) {
                    w.add("shop", e, None, cells(&mut d, &p));
                }
            }
        }
    }
    w
}
