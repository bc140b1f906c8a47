//! Bulk statements over any number of rows, from one description for both databases.
//!
//! A statement of ever new length has to be prepared anew each time. SQLite gets lists of rows whose lengths are powers
//! of two, which come from the connection's cache and are about a third faster. PostgreSQL gets one statement over
//! arrays, one for each column, whatever the number of rows.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::arrays::Arrays;
use super::tx::Tx;

/// Longest statement, in rows: 25 columns of it stay well below SQLite's limit of 32,766 bound values.
const LARGEST: usize = 512;

/// What a column of the rows holds; each may be NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bytes,
    Double,
    Int,
    Long,
    Text,
    /// A uuid.
    Id,
}

/// A statement with a list of rows in its middle.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    /// Up to the rows.
    pub head: &'static str,
    /// What is bound in one row, in order.
    pub types: &'static [Type],
    /// One row, such as `(?, ?)`; its columns are called `column1` and so on.
    pub row: &'static str,
    /// After the last row.
    pub tail: &'static str,
}

impl Bulk {
    /// The statement for so many rows, as SQLite takes it.
    pub(super) fn listing(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + rows * (self.row.len() + 2) + 8);
        sql.push_str(self.head);
        sql.push_str("VALUES ");
        for row in 0..rows {
            if row > 0 {
                sql.push_str(", ");
            }
            sql.push_str(self.row);
        }
        sql.push_str(self.tail);
        sql
    }

    /// The statement for any number of rows, as PostgreSQL takes it.
    pub(super) fn over_arrays(&self) -> String {
        let names: Vec<String> = (1..=self.types.len()).map(|n| format!("column{n}")).collect();
        let arrays: Vec<String> =
            self.types.iter().enumerate().map(|(n, of)| format!("${}::{}[]", n + 1, of.in_postgres())).collect();
        let mut row = String::new();
        for (n, part) in self.row.trim_start_matches('(').trim_end_matches(')').split('?').enumerate() {
            if n > 0 {
                row.push_str(&names[n - 1]);
            }
            row.push_str(part);
        }
        let (names, arrays) = (names.join(", "), arrays.join(", "));
        format!("{}SELECT {row} FROM unnest({arrays}) AS bound ({names}){}", self.head, self.tail)
    }

    /// Runs it over all rows, whose values follow each other; returns how many rows of the table changed.
    pub(super) async fn execute(&self, tx: &Tx, values: Vec<Value>) -> Result<u64, DbErr> {
        if let Tx::Postgres(tx) = tx {
            let Some(arrays) = Arrays::of(self.types, values)? else { return Ok(0) };
            return tx.execute_arrays(&self.over_arrays(), arrays).await;
        }
        let mut changed = 0;
        for statement in self.statements(values) {
            changed += tx.execute_raw(statement).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs it over all rows and returns what it finds.
    pub(super) async fn query(&self, tx: &Tx, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        if let Tx::Postgres(tx) = tx {
            let Some(arrays) = Arrays::of(self.types, values)? else { return Ok(Vec::new()) };
            return tx.query_arrays(&self.over_arrays(), arrays).await;
        }
        let mut found = Vec::new();
        for statement in self.statements(values) {
            found.extend(tx.query_all_raw(statement).await?);
        }
        Ok(found)
    }

    fn statements(&self, values: Vec<Value>) -> Vec<Statement> {
        let width = self.types.len();
        let mut left = values.len() / width;
        let mut values = values.into_iter();
        let mut statements = Vec::new();
        while left > 0 {
            let rows = fitting(left);
            let bound: Vec<Value> = values.by_ref().take(rows * width).collect();
            statements.push(Statement::from_sql_and_values(DbBackend::Sqlite, self.listing(rows), bound));
            left -= rows;
        }
        statements
    }
}

impl Type {
    const fn in_postgres(self) -> &'static str {
        match self {
            Self::Bytes => "bytea",
            Self::Double => "float8",
            Self::Int => "int4",
            Self::Long => "int8",
            Self::Text => "text",
            Self::Id => "uuid",
        }
    }
}

/// The largest size that is not more than `left`.
fn fitting(left: usize) -> usize {
    LARGEST.min(1 << left.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: Bulk = Bulk {
        head: "INSERT INTO t ",
        types: &[Type::Id, Type::Text],
        row: "(?, 1, ?)",
        tail: " ON CONFLICT DO NOTHING",
    };

    #[test]
    fn sqlite_gets_a_list_of_rows() {
        assert_eq!(PAIRS.listing(2), "INSERT INTO t VALUES (?, 1, ?), (?, 1, ?) ON CONFLICT DO NOTHING");
    }

    #[test]
    fn postgres_gets_one_statement_over_arrays() {
        let sql = "INSERT INTO t SELECT column1, 1, column2 FROM unnest($1::uuid[], $2::text[]) \
                   AS bound (column1, column2) ON CONFLICT DO NOTHING";
        assert_eq!(PAIRS.over_arrays(), sql);
    }

    #[test]
    fn sizes_are_powers_of_two_and_bounded() {
        assert_eq!([1, 2, 3, 100, 511, 512, 5_000].map(fitting), [1, 2, 2, 64, 256, 512, 512]);
    }
}
