//! A column in memory: every distinct value standardized once, rows hold its number.

use std::collections::{BTreeMap, HashMap};

use super::{
    kinds::Semantic,
    parallel::{self, Tally},
    similar::{self, Vocabulary, Words},
    table::Table,
    values,
};

/// A standardized column. Value 0 is "no value". Numbers of values and words follow their
/// order as text, so that they do not depend on the order of rows.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    pub(super) semantic: Semantic,
    pub(super) of_row: Vec<u32>,
    /// How many rows hold a value.
    pub(super) count: Vec<u32>,
    pub(super) number: Vec<i64>,
    text: Vec<Box<str>>,
    chars: Vec<char>,
    char_ends: Vec<usize>,
    words: Vec<u32>,
    word_ends: Vec<usize>,
    word_sum: Vec<u32>,
    pub(super) vocabulary: Vocabulary,
    /// How many rows hold a word.
    pub(super) word_rows: Vec<u32>,
    /// Adjustment of an equal value in milli-bits.
    pub(super) rarity: Vec<i32>,
}

/// After so many rows progress is told.
const TOLD: usize = 16_384;

fn span<'a, T>(all: &'a [T], ends: &[usize], i: usize) -> &'a [T] {
    let from = if i == 0 { 0 } else { ends[i - 1] };
    &all[from..ends[i]]
}

impl Cells {
    /// Standardizes column `c` of a table.
    pub(super) fn new(table: &Table, c: usize, tally: &Tally<'_>) -> Self {
        let semantic = table.columns[c].semantic;
        let mut raw: HashMap<&str, u32> = HashMap::new();
        let mut found: HashMap<String, u32> = HashMap::new();
        let mut list: Vec<values::Standard> = vec![values::Standard::default()];
        found.insert(String::new(), 0);
        let mut of_row = Vec::with_capacity(table.len());
        for row in 0..table.len() {
            if row % TOLD == TOLD - 1 {
                tally.add(TOLD as u64);
            }
            let cell = table.cell(row, c);
            let id = match raw.get(cell) {
                Some(id) => *id,
                None => {
                    let standard = values::standardize(semantic, cell);
                    let id = match found.get(&standard.text) {
                        Some(id) => *id,
                        None => {
                            let id = list.len() as u32;
                            found.insert(standard.text.clone(), id);
                            list.push(standard);
                            id
                        }
                    };
                    raw.insert(cell, id);
                    id
                }
            };
            of_row.push(id);
        }
        drop((raw, found));
        // Texts in order; the empty one, which is no value, comes first.
        let mut order: Vec<u32> = (0..list.len() as u32).collect();
        order.sort_unstable_by(|a, b| list[*a as usize].text.cmp(&list[*b as usize].text));
        let mut place = vec![0_u32; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old as usize] = new as u32;
        }
        let mut count = vec![0; list.len()];
        for id in &mut of_row {
            *id = place[*id as usize];
            count[*id as usize] += 1;
        }
        let mut cells = Self {
            semantic,
            of_row,
            count,
            number: Vec::new(),
            text: Vec::new(),
            chars: Vec::new(),
            char_ends: Vec::new(),
            words: Vec::new(),
            word_ends: Vec::new(),
            word_sum: Vec::new(),
            vocabulary: Vocabulary::default(),
            word_rows: Vec::new(),
            rarity: vec![0; list.len()],
        };
        let sorted: Vec<values::Standard> = order
            .into_iter()
            .map(|i| std::mem::take(&mut list[i as usize]))
            .collect();
        cells.fill_words(&sorted);
        for s in sorted {
            cells.chars.extend(s.text.chars());
            cells.char_ends.push(cells.chars.len());
            cells.number.push(s.number);
            cells.text.push(s.text.into_boxed_str());
        }
        cells
    }

    fn fill_words(&mut self, sorted: &[values::Standard]) {
        let mut rows: BTreeMap<&str, u32> = BTreeMap::new();
        for (id, s) in sorted.iter().enumerate() {
            for w in &s.words {
                *rows.entry(w).or_default() += self.count[id];
            }
        }
        let mut number: HashMap<&str, u32> = HashMap::with_capacity(rows.len());
        for (w, n) in rows {
            number.insert(w, self.word_rows.len() as u32);
            self.word_rows.push(n);
            let from = self.vocabulary.chars.len();
            self.vocabulary.chars.extend(w.chars());
            let letters = similar::letters(&self.vocabulary.chars[from..]);
            self.vocabulary.letters.push(letters);
            let code = similar::is_code(&self.vocabulary.chars[from..]);
            self.vocabulary.code.push(code);
            self.vocabulary
                .ends
                .push(self.vocabulary.chars.len() as u32);
        }
        for s in sorted {
            let from = self.words.len();
            self.words
                .extend(s.words.iter().map(|w| number[w.as_str()]));
            self.words[from..].sort_unstable();
            self.word_ends.push(self.words.len());
        }
    }

    /// Sets what each word weighs: log2 of how rare it is, at least half a bit.
    pub(super) fn weigh_words(&mut self, weight: impl Fn(&str, u32) -> u32) {
        let mut word = String::new();
        self.vocabulary.weight = (0..self.word_rows.len() as u32)
            .map(|w| {
                word.clear();
                word.extend(self.vocabulary.word(w));
                weight(&word, self.word_rows[w as usize]).max(500)
            })
            .collect();
        self.word_sum = (0..self.text.len())
            .map(|v| {
                let ids = span(&self.words, &self.word_ends, v);
                ids.iter()
                    .map(|w| self.vocabulary.weight[*w as usize])
                    .sum()
            })
            .collect();
    }

    /// How many values there are, "no value" included.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
    pub(super) fn text(&self, value: u32) -> &str {
        &self.text[value as usize]
    }
    pub(super) fn chars(&self, value: u32) -> &[char] {
        span(&self.chars, &self.char_ends, value as usize)
    }
    pub(super) fn word_ids(&self, value: u32) -> &[u32] {
        span(&self.words, &self.word_ends, value as usize)
    }
    pub(super) fn words(&self, value: u32) -> Words<'_> {
        Words {
            ids: self.word_ids(value),
            sum: self.word_sum[value as usize],
        }
    }
    /// Rows that have a value.
    pub(super) fn known(&self) -> u64 {
        (self.of_row.len() as u64) - u64::from(self.count[0])
    }
}

/// Standardizes every column, several at a time.
pub(super) fn columns(table: &Table, threads: usize, tally: &Tally<'_>) -> Vec<Cells> {
    parallel::map(threads, table.columns.len(), |c| {
        Cells::new(table, c, tally)
    })
}
