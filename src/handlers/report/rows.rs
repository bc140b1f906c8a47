//! Rows that come with the request: what may stand in `rows`, and the columns that follow from it. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::cell::Cell;
use super::request::Wrong;

/// The most columns.
const MOST_COLUMNS: usize = 100;

/// The most cells, rows times columns. A row may leave members out, so that a small request could ask for a very large
/// file.
const MOST_CELLS: usize = 1_000_000;

/// A row as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Row {
    /// A value for each column.
    List(Vec<Cell>),
    /// Members by name, in the order in which they were sent.
    Members(Vec<(String, Cell)>),
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Row, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Row::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Row, A::Error> {
        let mut found = Vec::new();
        while let Some(member) = members.next_entry()? {
            found.push(member);
        }
        Ok(Row::Members(found))
    }
}

impl Row {
    /// Its values in the order of the columns.
    fn cells(self, columns: &[String]) -> Vec<Cell> {
        match self {
            Self::List(values) => values,
            Self::Members(members) => {
                let mut members: HashMap<String, Cell> = members.into_iter().collect();
                columns.iter().map(|column| members.remove(column).unwrap_or(Cell::Empty)).collect()
            }
        }
    }
}

/// The rows of a request, which fit their columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// The names above them.
    pub columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// The rows under these columns, or under the members that they have, in the order in which those first appear.
    pub fn new(columns: Option<Vec<String>>, rows: Vec<Row>) -> Result<Self, Wrong> {
        let columns = columns.unwrap_or_else(|| members(&rows));
        if columns.is_empty() && !rows.is_empty() {
            return Err(Wrong::new("columns", "must name the columns of the rows"));
        }
        if columns.len() > MOST_COLUMNS {
            let what = format!("are {}; {MOST_COLUMNS} are allowed", columns.len());
            return Err(Wrong::new("columns", what));
        }
        let cells = rows.len() * columns.len();
        if cells > MOST_CELLS {
            let (rows, columns) = (rows.len(), columns.len());
            let what = format!("are {rows}, which makes {cells} cells in {columns} columns; {MOST_CELLS} are allowed");
            return Err(Wrong::new("rows", what));
        }
        for (index, row) in rows.iter().enumerate() {
            if let Row::List(values) = row
                && values.len() != columns.len()
            {
                let what = format!("has {} values for {} columns", values.len(), columns.len());
                return Err(Wrong::new(format!("rows[{index}]"), what));
            }
        }
        Ok(Self { columns, rows })
    }

    /// Its rows, page by page.
    pub fn pages(self, size: usize) -> impl Iterator<Item = Vec<Vec<Cell>>> {
        let Self { columns, rows } = self;
        let mut cells = rows.into_iter().map(move |row| row.cells(&columns));
        std::iter::from_fn(move || Some(cells.by_ref().take(size).collect::<Vec<_>>()).filter(|page| !page.is_empty()))
    }
}

fn members(rows: &[Row]) -> Vec<String> {
    let mut seen = HashSet::new();
    let members = rows.iter().flat_map(|row| match row {
        Row::List(_) => &[][..],
        Row::Members(members) => members,
    });
    members.map(|(name, _)| name).filter(|name| seen.insert(name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: Option<&[&str]>, rows: &str) -> Result<Table, String> {
        let columns = columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
        Table::new(columns, serde_json::from_str(rows).unwrap()).map_err(|wrong| wrong.to_string())
    }

    fn texts(table: Table) -> Vec<Vec<String>> {
        let texts = |row: Vec<Cell>| row.iter().map(|cell| cell.text().to_owned()).collect();
        table.pages(2).flatten().map(texts).collect()
    }

    #[test]
    fn columns_are_the_members_in_the_order_of_their_first_appearance() {
        let table = table(None, r#"[{"z":1,"a":"x"},{"m":null,"z":2}]"#).unwrap();
        assert_eq!(table.columns, ["z", "a", "m"]);
        assert_eq!(texts(table), [["1", "x", ""], ["2", "", ""]]);
    }

    #[test]
    fn columns_may_be_chosen_and_put_in_order() {
        let table = table(Some(&["b", "a"]), r#"[{"a":1,"b":2,"c":3},[4,5],{}]"#).unwrap();
        assert_eq!(texts(table), [["2", "1"], ["4", "5"], ["", ""]]);
    }

    #[test]
    fn rows_come_in_pages_and_no_page_is_empty() {
        let sizes = |rows| table(None, rows).unwrap().pages(2).map(|page| page.len()).collect::<Vec<_>>();
        assert_eq!(sizes(r#"[{"a":1},{"a":1},{"a":1}]"#), [2, 1]);
        assert!(sizes("[]").is_empty());
    }

    #[test]
    fn rows_that_do_not_fit_are_named() {
        assert_eq!(table(Some(&["a", "b"]), "[[1,2],[1]]").unwrap_err(), "`rows[1]` has 1 values for 2 columns");
        assert_eq!(table(None, "[[1]]").unwrap_err(), "`columns` must name the columns of the rows");
        let many: String = (0..=MOST_COLUMNS).map(|n| format!(r#""c{n}":0,"#)).collect();
        let wide = table(None, &format!("[{{{}}}]", many.trim_end_matches(',')));
        assert_eq!(wide.unwrap_err(), "`columns` are 101; 100 are allowed");
        let error = serde_json::from_str::<Vec<Row>>("[{}, 3]").unwrap_err().to_string();
        assert!(error.starts_with("invalid type: integer `3`, expected an object or an array"), "{error}");
    }
    #[test]
    fn a_small_request_cannot_ask_for_a_very_large_file() {
        let columns: Vec<String> = (0..MOST_COLUMNS).map(|n| format!("c{n}")).collect();
        let of_empty_rows = |rows| Table::new(Some(columns.clone()), vec![Row::Members(vec![]); rows]);
        assert!(of_empty_rows(10_000).is_ok());
        let wrong = of_empty_rows(10_001).unwrap_err().to_string();
        assert_eq!(wrong, "`rows` are 10001, which makes 1000100 cells in 100 columns; 1000000 are allowed");
    }
}
