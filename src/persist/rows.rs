//! Bulk statements over any number of rows, cut into few fixed sizes.
//!
//! A statement of ever new length has to be prepared anew each time; powers of two come from the connection's cache
//! and are about a third faster.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

/// Longest statement, in rows: 25 columns of it stay well below SQLite's limit of 32,766 bound values.
const LARGEST: usize = 512;

/// The connection of an open transaction.
pub(super) type Tx = sea_orm::DatabaseTransaction;

/// A statement with a list of rows in its middle.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    /// Up to the first row.
    pub head: &'static str,
    /// One row, such as `(?, ?)`.
    pub row: &'static str,
    /// After the last row.
    pub tail: &'static str,
}

impl Bulk {
    /// How many values a row has.
    fn width(&self) -> usize {
        self.row.bytes().filter(|byte| *byte == b'?').count()
    }

    /// The statement for so many rows.
    pub(super) fn sql(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + rows * (self.row.len() + 2));
        sql.push_str(self.head);
        for row in 0..rows {
            if row > 0 {
                sql.push_str(", ");
            }
            sql.push_str(self.row);
        }
        sql.push_str(self.tail);
        sql
    }

    /// Runs it over all rows, whose values follow each other; returns how many rows of the table changed.
    pub(super) async fn execute(&self, tx: &Tx, values: Vec<Value>) -> Result<u64, DbErr> {
        let mut changed = 0;
        for statement in self.statements(tx, values) {
            changed += tx.execute_raw(statement).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs it over all rows and returns what it finds.
    pub(super) async fn query(&self, tx: &Tx, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        let mut found = Vec::new();
        for statement in self.statements(tx, values) {
            found.extend(tx.query_all_raw(statement).await?);
        }
        Ok(found)
    }

    fn statements(&self, tx: &Tx, values: Vec<Value>) -> Vec<Statement> {
        let width = self.width();
        let mut left = values.len() / width;
        let mut values = values.into_iter();
        let mut statements = Vec::new();
        while left > 0 {
            let rows = fitting(left);
            let bound: Vec<Value> = values.by_ref().take(rows * width).collect();
            statements.push(Statement::from_sql_and_values(tx.get_database_backend(), self.sql(rows), bound));
            left -= rows;
        }
        statements
    }
}

/// The largest size that is not more than `left`.
fn fitting(left: usize) -> usize {
    LARGEST.min(1 << left.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: Bulk = Bulk { head: "INSERT INTO t VALUES ", row: "(?, ?)", tail: " ON CONFLICT DO NOTHING" };

    #[test]
    fn a_statement_lists_its_rows() {
        assert_eq!(PAIRS.sql(2), "INSERT INTO t VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING");
    }

    #[test]
    fn sizes_are_powers_of_two_and_bounded() {
        assert_eq!([1, 2, 3, 100, 511, 512, 5_000].map(fitting), [1, 2, 2, 64, 256, 512, 512]);
    }
}
