//! Tables for people.

use std::fmt::Write as _;

/// Rows under a header, two spaces apart, indented by two. Columns that nobody fills are left out.
pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As text; nothing if there is no row.
    pub(super) fn render(&self) -> String {
        let columns: Vec<(usize, usize)> = (0..self.header.len())
            .filter(|column| self.cells(*column).any(|cell| !cell.is_empty()))
            .map(|column| {
                let widest = self.cells(column).map(|cell| cell.chars().count()).max();
                let header = self.header.get(column).map_or(0, |it| it.chars().count());
                (column, header.max(widest.unwrap_or(0)))
            })
            .collect();
        let mut text = String::new();
        let header: Vec<String> = self.header.iter().map(|it| (*it).to_owned()).collect();
        for row in std::iter::once(&header)
            .filter(|_| !self.rows.is_empty())
            .chain(&self.rows)
        {
            let mut line = String::new();
            for (column, width) in &columns {
                let cell = row.get(*column).map_or("", String::as_str);
                // Writing to a String cannot fail.
                let _ = write!(line, "  {cell:<width$}");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rows
            .iter()
            .filter_map(move |row| row.get(column))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_empty_ones_left_out() {
        let mut table = Table::new(&["name", "none", "current"]);
        table.row(vec!["Größe".into(), String::new(), "16 A".into()]);
        table.row(vec!["x".into(), String::new(), String::new()]);
        assert_eq!(table.render(), "  name   current\n  Größe  16 A\n  x\n");
        assert_eq!(Table::new(&["name"]).render(), "");
    }
}
