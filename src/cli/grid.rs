//! Aligned columns on a terminal.

use std::fmt::Write as _;

/// Nobody's name is longer in the table.
const LONGEST_CELL: usize = 32;

/// A note with less room than this gets a line of its own.
const SHORTEST_NOTE: usize = 24;

/// Before a note on a line of its own.
const INDENT: usize = 4;

/// What the table is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Columns of the terminal; `None` = as wide as need be.
    pub width: Option<usize>,
    /// ANSI colours.
    pub colours: bool,
}

/// How a part of the text stands out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paint {
    Bold,
    Red,
    Green,
    Yellow,
}

/// The head of a column, and to which side its cells are pushed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Head {
    Left(&'static str),
    Right(&'static str),
}

impl Head {
    const fn text(self) -> &'static str {
        match self {
            Self::Left(text) | Self::Right(text) => text,
        }
    }

    fn pad(self, text: &str, width: usize) -> String {
        match self {
            Self::Left(_) => format!("{text:<width$}"),
            Self::Right(_) => format!("{text:>width$}"),
        }
    }
}

/// One value.
pub(super) struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    /// The same in a colour.
    pub(super) fn painted(self, paint: Paint) -> Self {
        Self {
            paint: Some(paint),
            ..self
        }
    }
}

/// One line.
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// A sentence after the last column, cut where the terminal ends.
    pub(super) note: String,
}

/// Columns with heads, and a note at the end of each line.
pub(super) struct Grid {
    pub(super) heads: &'static [Head],
    pub(super) note_head: &'static str,
    pub(super) rows: Vec<Row>,
}

impl Grid {
    /// Below an empty line; nothing at all without rows.
    pub(super) fn draw(&self, text: &mut String, look: Look) {
        if self.rows.is_empty() {
            return;
        }
        let widths: Vec<usize> = self
            .heads
            .iter()
            .enumerate()
            .map(|(column, head)| {
                let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
                let widest = cells.map(|cell| length(&cell.text)).max();
                widest.unwrap_or(0).max(length(head.text()))
            })
            .collect();
        let used = widths.iter().map(|width| width + 2).sum::<usize>();
        let longest = self.rows.iter().map(|row| length(&row.note)).max();
        let room = look.width.map(|width| width.saturating_sub(used));
        let inline = room.is_none_or(|room| room >= longest.unwrap_or(0).min(SHORTEST_NOTE));

        let heads = self.heads.iter().zip(&widths);
        let heads: Vec<String> = heads.map(|(head, w)| head.pad(head.text(), *w)).collect();
        let mut line = heads.join("  ");
        if inline {
            let _ = write!(line, "  {}", self.note_head);
        }
        text.push('\n');
        push_painted(text, line.trim_end(), Paint::Bold, look);
        text.push('\n');
        for row in &self.rows {
            let line = self.line(row, &widths, look);
            if row.note.is_empty() {
                text.push_str(line.trim_end());
            } else if inline {
                let _ = write!(text, "{line}  {}", cut(&row.note, room));
            } else {
                let room = look.width.map(|width| width.saturating_sub(INDENT));
                let note = cut(&row.note, room);
                let _ = write!(text, "{}\n{:INDENT$}{note}", line.trim_end(), "");
            }
            text.push('\n');
        }
    }

    fn line(&self, row: &Row, widths: &[usize], look: Look) -> String {
        let mut line = String::new();
        for ((head, width), cell) in self.heads.iter().zip(widths).zip(&row.cells) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let padded = head.pad(&cell.text, *width);
            match cell.paint {
                Some(paint) => push_painted(&mut line, &padded, paint, look),
                None => line.push_str(&padded),
            }
        }
        line
    }
}

/// Appends `part`, in colour if there are colours.
pub(super) fn push_painted(text: &mut String, part: &str, paint: Paint, look: Look) {
    let code = match paint {
        Paint::Bold => 1,
        Paint::Red => 31,
        Paint::Green => 32,
        Paint::Yellow => 33,
    };
    // Writing to a String cannot fail.
    let _ = if look.colours {
        write!(text, "\x1b[{code}m{part}\x1b[0m")
    } else {
        text.write_str(part)
    };
}

/// A value that is neither too long nor steers the terminal.
pub(super) fn cell(text: &str) -> Cell {
    Cell {
        text: cut(&clean(text), Some(LONGEST_CELL)),
        paint: None,
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, room: Option<usize>) -> String {
    match room {
        Some(room) if length(text) > room => {
            let kept = text.chars().take(room.saturating_sub(1));
            kept.chain((room > 0).then_some('…')).collect()
        }
        _ => text.to_owned(),
    }
}

/// Much of this comes from the network, and must neither steer the terminal nor turn text around.
pub(super) fn clean(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}
