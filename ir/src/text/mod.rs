//! The text form shared by the three IRs: a lexer, a constant table, linear maps, layouts and plans.
//!
//! Constants print as `const @0 f64[2, 3] = [...]`; weights are part of the text so that it parses back alone.

mod constants;
mod layout;
mod linear;

use std::str::CharIndices;

use crate::error::IrError;

pub(crate) use constants::{ConstantTable, Constants, constant, parse_constant};
pub use layout::digits_of;
pub(crate) use layout::{parse_layout, parse_plan, print_layout, print_plan};
pub(crate) use linear::{parse_map, parse_window, print_map, print_window};

/// One line's tokens with the place for errors.
pub(crate) struct Line<'t> {
    number: usize,
    rest: &'t str,
}

impl<'t> Line<'t> {
    /// The non-empty lines of a text; `#` starts a comment line.
    pub(crate) fn all(text: &'t str) -> impl Iterator<Item = Line<'t>> {
        let lines = text.lines().enumerate().map(|(i, line)| Line { number: i + 1, rest: line.trim() });
        lines.filter(|line| !line.rest.is_empty() && !line.rest.starts_with('#'))
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> IrError {
        IrError::Parse { line: self.number, message: message.into() }
    }

    /// An error from inside a line, with the line's number.
    pub(crate) fn locate(&self, error: IrError) -> IrError {
        match error {
            IrError::Type { .. } | IrError::Eval(_) => self.error(error.to_string()),
            located => located,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    /// Takes `token` if it comes next.
    pub(crate) fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(crate) fn expect(&mut self, token: &str) -> Result<(), IrError> {
        if self.take(token) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(20).collect();
        Err(self.error(format!("expected `{token}`, found `{found}`")))
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        self.skip_space();
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    pub(crate) fn word(&mut self) -> Result<&'t str, IrError> {
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.is_empty() { Err(self.error("expected a word")) } else { Ok(word) }
    }

    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Result<T, IrError> {
        let token = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        token.parse().map_err(|_| self.error(format!("`{token}` is not a number that fits here")))
    }

    /// `key=number`.
    pub(crate) fn keyed<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, IrError> {
        self.expect(key)?;
        self.expect("=")?;
        self.number()
    }

    pub(crate) fn list<T: std::str::FromStr>(&mut self) -> Result<Vec<T>, IrError> {
        self.expect("[")?;
        let mut list = Vec::new();
        while !self.take("]") {
            list.push(self.number()?);
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(list)
    }

    pub(crate) fn keyed_list<T: std::str::FromStr>(&mut self, key: &str) -> Result<Vec<T>, IrError> {
        self.expect(key)?;
        self.expect("=")?;
        self.list()
    }

    /// `key=0` or `key=1`.
    pub(crate) fn flag(&mut self, key: &str) -> Result<bool, IrError> {
        match self.keyed::<u8>(key)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("{key} is 0 or 1, not {other}"))),
        }
    }

    pub(crate) fn keyed_array<const N: usize>(&mut self, key: &str) -> Result<[usize; N], IrError> {
        let list = self.keyed_list(key)?;
        let length = list.len();
        list.try_into().map_err(|_| self.error(format!("{key} has {length} values, not {N}")))
    }

    /// A string in double quotes as [`quote`] writes it.
    pub(crate) fn string(&mut self) -> Result<String, IrError> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'u')) => text.push(self.code_point(&mut chars)?),
                    escaped => text.extend(escaped.map(|(_, escaped)| escaped)),
                },
                _ => text.push(c),
            }
        }
        Err(self.error("a string does not end"))
    }

    /// The character of `{HEX}`.
    fn code_point(&self, chars: &mut CharIndices<'_>) -> Result<char, IrError> {
        let code = chars.map(|(_, c)| c).skip_while(|&c| c == '{').take_while(|&c| c != '}').collect::<String>();
        let character = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        character.ok_or_else(|| self.error(format!("no character has the code `{code}`")))
    }
}

/// Quotes a name so that [`Line::string`] reads it back: a backslash before quotes and backslashes, control characters
/// as `\u{HEX}`.
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if c.is_control() => quoted.extend(c.escape_unicode()),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
