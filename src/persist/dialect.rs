//! Statements are written once, as SQLite takes them; this is how PostgreSQL takes them.
//!
//! Only words change here, never what a statement means.

use sea_orm::{DbBackend, Statement, Value};

/// The statement with its values, for this database.
pub(super) fn statement(backend: DbBackend, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    match backend {
        DbBackend::Postgres => Statement::from_sql_and_values(backend, for_postgres(sql), values),
        _ => Statement::from_sql_and_values(backend, sql, values),
    }
}

/// Its marks are numbered, and it does not take the name of an index: it knows the sizes of its tables. No statement has
/// a question mark that is none of its marks.
pub(super) fn for_postgres(sql: &str) -> String {
    let mut parts = sql.split(" INDEXED BY ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.find([' ', ')']).map_or("", |end| &part[end..]));
    }
    let mut numbered = String::with_capacity(plain.len() + 16);
    for (n, part) in plain.split('?').enumerate() {
        if n > 0 {
            numbered.push_str(&format!("${n}"));
        }
        numbered.push_str(part);
    }
    numbered
}

/// What a query for work to do ends with: what another node is claiming at this moment is passed over. The rows stay
/// locked until the commit, so the claim that follows finds them as they were read.
pub(super) const fn skip_locked(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => " FOR UPDATE SKIP LOCKED",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_numbered_and_names_of_indexes_are_left_out() {
        let sql =
            "SELECT MIN(at) FROM t INDEXED BY t_at WHERE a = ? AND b IN (SELECT b FROM u INDEXED BY u_b) AND c < ?";
        let expected = "SELECT MIN(at) FROM t WHERE a = $1 AND b IN (SELECT b FROM u) AND c < $2";
        assert_eq!(for_postgres(sql), expected);
        assert_eq!(statement(DbBackend::Sqlite, sql, []).sql, sql);
    }
}
