//! Parting delimited text into rows, as bytes, with bounded memory.
//!
//! Rules are those of RFC 4180 with what real exports do: `\n`, `\r\n` and `\r` end a row;
//! a quote within an unquoted cell is a character; text behind a closing quote belongs to
//! the cell. Delimiters, quotes and line ends are never part of a character in the
//! encodings we read (UTF-8, GB18030, Big5, one-byte ones), so bytes can be looked at alone.

use std::io::{self, BufRead};

use crate::limits::Limits;

/// One row: its number as a spreadsheet shows it, and its cells, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counted from 1; blank lines count.
    pub row: u64,
    /// The cells, unquoted; or why the row cannot be read.
    pub cells: Result<Vec<Vec<u8>>, &'static str>,
}

/// The rows of a delimited text.
pub struct Records<R> {
    input: R,
    delimiter: u8,
    limits: Limits,
    row: u64,
    /// Bytes to be read again, behind a quote that was not closed; taken from `again_at` on.
    again: Vec<u8>,
    again_at: usize,
    /// The bytes of the record being read.
    raw: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Bare,
    Quoted,
    QuoteInQuoted,
}

const UNCLOSED: &str = "a quote is not closed";
const TOO_LONG: &str = "the row is longer than the limit";
const TOO_MANY: &str = "the row has more cells than the limit";
const CELL_TOO_LONG: &str = "a cell is longer than the limit";

impl<R: BufRead> Records<R> {
    /// Rows of `input` with cells parted by `delimiter`.
    pub const fn new(input: R, delimiter: u8, limits: Limits) -> Self {
        Self {
            input,
            delimiter,
            limits,
            row: 0,
            again: Vec::new(),
            again_at: 0,
            raw: Vec::new(),
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.again.get(self.again_at) {
            return Ok(Some(*byte));
        }
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self) {
        if self.again_at < self.again.len() {
            self.again_at += 1;
            if self.again_at == self.again.len() {
                self.again = Vec::new();
                self.again_at = 0;
            }
        } else {
            self.input.consume(1);
        }
    }

    /// Takes the `\n` of `\r\n`.
    fn end_of_line(&mut self, byte: u8) -> io::Result<()> {
        if byte == b'\r' && self.peek()? == Some(b'\n') {
            self.take();
        }
        Ok(())
    }

    fn skip_line(&mut self) -> io::Result<()> {
        while let Some(byte) = self.peek()? {
            self.take();
            if byte == b'\n' || byte == b'\r' {
                return self.end_of_line(byte);
            }
        }
        Ok(())
    }

    /// Gives up the line a quote was opened in, and reads the lines behind it again.
    fn give_up_quote(&mut self) -> io::Result<()> {
        let raw = std::mem::take(&mut self.raw);
        let Some(end) = raw.iter().position(|b| *b == b'\n' || *b == b'\r') else {
            return self.skip_line();
        };
        let crlf = raw[end] == b'\r' && raw.get(end + 1) == Some(&b'\n');
        let mut again = raw[end + 1 + usize::from(crlf)..].to_vec();
        again.extend_from_slice(&self.again[self.again_at..]);
        self.again = again;
        self.again_at = 0;
        Ok(())
    }

    /// The next row; `None` at the end.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        self.row += 1;
        self.raw.clear();
        let row = self.row;
        let bad = |why| {
            Ok(Some(Record {
                row,
                cells: Err(why),
            }))
        };
        let mut cells: Vec<Vec<u8>> = Vec::new();
        let mut cell: Vec<u8> = Vec::new();
        let mut problem = None;
        let mut state = State::Start;
        loop {
            let Some(byte) = self.peek()? else {
                if state == State::Quoted {
                    self.give_up_quote()?;
                    return bad(UNCLOSED);
                }
                break;
            };
            if self.raw.len() >= self.limits.record_bytes {
                if state == State::Quoted {
                    self.give_up_quote()?;
                    return bad(UNCLOSED);
                }
                self.skip_line()?;
                return bad(TOO_LONG);
            }
            self.take();
            self.raw.push(byte);
            match (state, byte) {
                (State::Quoted, b'"') => state = State::QuoteInQuoted,
                (State::Quoted, _) => cell.push(byte),
                (State::QuoteInQuoted, b'"') => {
                    cell.push(byte);
                    state = State::Quoted;
                }
                (_, b'\n' | b'\r') => {
                    self.end_of_line(byte)?;
                    break;
                }
                (_, _) if byte == self.delimiter => {
                    if cells.len() + 1 >= self.limits.columns {
                        problem = Some(TOO_MANY);
                        cell.clear();
                    } else {
                        cells.push(std::mem::take(&mut cell));
                    }
                    state = State::Start;
                }
                (State::Start, b'"') => state = State::Quoted,
                (_, _) => {
                    cell.push(byte);
                    state = State::Bare;
                }
            }
            if cell.len() > self.limits.cell_bytes {
                problem = problem.or(Some(CELL_TOO_LONG));
                cell.clear();
            }
        }
        if let Some(why) = problem {
            return bad(why);
        }
        cells.push(cell);
        Ok(Some(Record {
            row,
            cells: Ok(cells),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, limits: Limits) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut records = Records::new(text.as_bytes(), b',', limits);
        let mut all = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            let cells = record.cells.map(|cells| {
                cells
                    .into_iter()
                    .map(|c| String::from_utf8(c).unwrap())
                    .collect()
            });
            all.push((record.row, cells));
        }
        all
    }

    fn cells(text: &str) -> Vec<Vec<String>> {
        read(text, Limits::default())
            .into_iter()
            .map(|(_, cells)| cells.unwrap())
            .collect()
    }

    #[test]
    fn quotes_delimiters_and_line_ends() {
        assert_eq!(cells("a,b\r\nc,d"), [["a", "b"], ["c", "d"]]);
        assert_eq!(cells("a,b\rc,d\r"), [["a", "b"], ["c", "d"]]);
        assert_eq!(cells("\"a,1\",\"b\"\"2\"\n"), [["a,1", "b\"2"]]);
        assert_eq!(cells("\"a\nb\",c\n"), [["a\nb", "c"]]);
        assert_eq!(cells("a\"b\",\"c\"d\n"), [["a\"b\"", "cd"]]);
        assert_eq!(cells("a,,\n"), [["a", "", ""]]);
        assert_eq!(cells("a\n\nb\n"), [["a"], [""], ["b"]]);
        assert!(cells("").is_empty());
    }

    #[test]
    fn an_unclosed_quote_costs_one_row() {
        let rows = read("a,b\nx,\"open\nc,d\ne,f\n", Limits::default());
        let good = |a: &str, b: &str| Ok(vec![a.to_owned(), b.to_owned()]);
        assert_eq!(
            rows,
            [
                (1, good("a", "b")),
                (2, Err(UNCLOSED)),
                (3, good("c", "d")),
                (4, good("e", "f"))
            ]
        );
        // Also when the end of the file is far away.
        let limits = Limits {
            record_bytes: 64,
            ..Limits::default()
        };
        let far = format!("x,\"open\n{}\"z\",y\n", "c,d\n".repeat(100));
        let rows = read(&far, limits);
        assert_eq!(rows[0], (1, Err(UNCLOSED)));
        assert_eq!(rows.len(), 102);
        assert!(
            rows[1..101]
                .iter()
                .all(|(_, cells)| *cells == good("c", "d"))
        );
        assert_eq!(rows[101], (102, good("z", "y")));
    }

    #[test]
    fn limits_make_row_errors() {
        let limits = Limits {
            record_bytes: 50,
            cell_bytes: 10,
            columns: 3,
            ..Limits::default()
        };
        let text = format!(
            "a,b\n{}\n{},b\na,b,c,d\n1,2,3\n",
            "x".repeat(500),
            "y".repeat(20)
        );
        let rows = read(&text, limits);
        let whys: Vec<_> = rows
            .iter()
            .map(|(row, cells)| (*row, cells.clone().err()))
            .collect();
        let want = [
            (1, None),
            (2, Some(TOO_LONG)),
            (3, Some(CELL_TOO_LONG)),
            (4, Some(TOO_MANY)),
            (5, None),
        ];
        assert_eq!(whys, want);
    }
}
