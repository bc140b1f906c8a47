//! The values of many rows, turned into one array for each column, as PostgreSQL takes them.

use sea_orm::sqlx::Arguments;
use sea_orm::sqlx::postgres::PgArguments;
use sea_orm::{DbErr, Value};
use uuid::Uuid;

use super::rows::Type;

/// One column of all rows.
enum Array {
    Bytes(Vec<Option<Vec<u8>>>),
    Double(Vec<Option<f64>>),
    Int(Vec<Option<i32>>),
    Long(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Id(Vec<Option<Uuid>>),
}

/// All columns, bound in their order.
pub(super) struct Arrays(pub PgArguments);

impl Arrays {
    /// The columns of rows whose values follow each other; nothing if there are no rows.
    pub(super) fn of(types: &[Type], values: Vec<Value>) -> Result<Option<Self>, DbErr> {
        if values.is_empty() {
            return Ok(None);
        }
        let rows = values.len() / types.len();
        let mut columns: Vec<Array> = types.iter().map(|of| Array::with_room(*of, rows)).collect();
        for (n, value) in values.into_iter().enumerate() {
            columns[n % types.len()].push(value)?;
        }
        let mut bound = PgArguments::default();
        for column in columns {
            column.bind(&mut bound).map_err(|error| DbErr::Type(error.to_string()))?;
        }
        Ok(Some(Self(bound)))
    }
}

impl Array {
    fn with_room(of: Type, rows: usize) -> Self {
        match of {
            Type::Bytes => Self::Bytes(Vec::with_capacity(rows)),
            Type::Double => Self::Double(Vec::with_capacity(rows)),
            Type::Int => Self::Int(Vec::with_capacity(rows)),
            Type::Long => Self::Long(Vec::with_capacity(rows)),
            Type::Text => Self::Text(Vec::with_capacity(rows)),
            Type::Id => Self::Id(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Value) -> Result<(), DbErr> {
        match (self, value) {
            (Self::Bytes(column), Value::Bytes(value)) => column.push(value),
            (Self::Double(column), Value::Double(value)) => column.push(value),
            (Self::Int(column), Value::Int(value)) => column.push(value),
            (Self::Long(column), Value::BigInt(value)) => column.push(value),
            (Self::Text(column), Value::String(value)) => column.push(value),
            (Self::Id(column), Value::Uuid(value)) => column.push(value),
            (_, _) => return Err(DbErr::Type("a value is of another type than its column".to_owned())),
        }
        Ok(())
    }

    fn bind(self, to: &mut PgArguments) -> Result<(), sea_orm::sqlx::error::BoxDynError> {
        match self {
            Self::Bytes(column) => to.add(column),
            Self::Double(column) => to.add(column),
            Self::Int(column) => to.add(column),
            Self::Long(column) => to.add(column),
            Self::Text(column) => to.add(column),
            Self::Id(column) => to.add(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_becomes_one_array_and_another_type_is_an_error() {
        let types = [Type::Id, Type::Text];
        let row = |text: Value| vec![Value::from(Uuid::nil()), text, Uuid::max().into(), Value::String(None)];
        let arrays = Arrays::of(&types, row("a".into())).unwrap().unwrap();
        assert_eq!(arrays.0.len(), 2);
        assert!(Arrays::of(&types, row(1.into())).is_err());
        assert!(Arrays::of(&types, Vec::new()).unwrap().is_none());
    }
}
