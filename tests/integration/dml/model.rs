//! A table as a list of rows in memory, and the statements that change it.

use std::fmt::Write as _;

/// A row: a key that may be NULL, a partition and a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) id: Option<i64>,
    pub(crate) part: Option<String>,
    pub(crate) n: Option<i64>,
}

impl Row {
    pub(crate) fn sql(&self) -> String {
        format!("({}, {}, {})", number(self.id), text(self.part.as_deref()), number(self.n))
    }

    /// As a query shows it.
    pub(crate) fn shown(&self) -> String {
        let number = |value: Option<i64>| value.map_or("NULL".to_owned(), |n| n.to_string());
        let part = self.part.clone().unwrap_or("NULL".to_owned());
        format!("{} {part} {}", number(self.id), number(self.n))
    }
}

pub(crate) fn number(value: Option<i64>) -> String {
    value.map_or("NULL::BIGINT".to_owned(), |n| n.to_string())
}

pub(crate) fn text(value: Option<&str>) -> String {
    value.map_or("NULL::VARCHAR".to_owned(), |text| format!("'{text}'"))
}

/// A condition on one row, with its value for a row: `None` is NULL.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    IdBetween(i64, i64),
    IdIn(Vec<i64>),
    PartIs(Option<String>),
    NLess(i64),
    NIsNull,
    Not(Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    And(Box<Condition>, Box<Condition>),
}

impl Condition {
    /// As SQL over the columns of `alias`.
    pub(crate) fn sql(&self, alias: &str) -> String {
        match self {
            Self::IdBetween(low, high) => format!("{alias}.id BETWEEN {low} AND {high}"),
            Self::IdIn(ids) => {
                let ids: Vec<String> = ids.iter().map(|id| format!("({id})")).collect();
                let ids = ids.join(", ");
                format!("{alias}.id IN (SELECT k FROM (VALUES {ids}) AS v (k))")
            }
            Self::PartIs(None) => format!("{alias}.part IS NULL"),
            Self::PartIs(Some(part)) => format!("{alias}.part = '{part}'"),
            Self::NLess(limit) => format!("{alias}.n < {limit}"),
            Self::NIsNull => format!("{alias}.n IS NULL"),
            Self::Not(inner) => format!("NOT ({})", inner.sql(alias)),
            Self::Or(a, b) => format!("(({}) OR ({}))", a.sql(alias), b.sql(alias)),
            Self::And(a, b) => format!("(({}) AND ({}))", a.sql(alias), b.sql(alias)),
        }
    }

    pub(crate) fn holds(&self, row: &Row) -> Option<bool> {
        match self {
            Self::IdBetween(low, high) => row.id.map(|id| (*low..=*high).contains(&id)),
            Self::IdIn(ids) => row.id.map(|id| ids.contains(&id)),
            Self::PartIs(None) => Some(row.part.is_none()),
            Self::PartIs(Some(part)) => row.part.as_ref().map(|own| own == part),
            Self::NLess(limit) => row.n.map(|n| n < *limit),
            Self::NIsNull => Some(row.n.is_none()),
            Self::Not(inner) => inner.holds(row).map(|holds| !holds),
            Self::Or(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::And(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
        }
    }

    pub(crate) fn is_true(&self, row: &Row) -> bool {
        self.holds(row) == Some(true)
    }
}

/// What a clause of a MERGE does with a row of the target.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Delete,
    /// `n = n + source.n`, where there is one, else `n = 0`.
    AddN,
    /// `part = …, n = …` of the source.
    Copy,
    SetPart(Option<String>),
}

/// A MERGE; conditions are on the target's row, those of inserts on the source's.
#[derive(Clone, Debug)]
pub(crate) struct Merge {
    pub(crate) source: Vec<Row>,
    pub(crate) matched: Vec<(Option<Condition>, Act)>,
    pub(crate) by_source: Vec<(Option<Condition>, Act)>,
    pub(crate) inserts: Vec<Option<Condition>>,
}

impl Merge {
    pub(crate) fn sql(&self) -> String {
        let rows: Vec<String> = self.source.iter().map(Row::sql).collect();
        let mut sql = format!(
            "MERGE INTO t USING (SELECT * FROM (VALUES {}) AS v (id, part, n)) AS s ON t.id = s.id",
            rows.join(", ")
        );
        let and = |condition: &Option<Condition>, alias: &str| match condition {
            Some(condition) => format!(" AND {}", condition.sql(alias)),
            None => String::new(),
        };
        for (condition, act) in &self.matched {
            let then = match act {
                Act::Delete => "DELETE".to_owned(),
                Act::AddN => "UPDATE SET n = t.n + s.n".to_owned(),
                Act::Copy => "UPDATE SET *".to_owned(),
                Act::SetPart(part) => format!("UPDATE SET part = {}", text(part.as_deref())),
            };
            write!(sql, " WHEN MATCHED{} THEN {then}", and(condition, "t")).unwrap();
        }
        for (condition, act) in &self.by_source {
            let then = match act {
                Act::Delete => "DELETE".to_owned(),
                Act::AddN | Act::Copy => "UPDATE SET n = 0".to_owned(),
                Act::SetPart(part) => format!("UPDATE SET part = {}", text(part.as_deref())),
            };
            write!(sql, " WHEN NOT MATCHED BY SOURCE{} THEN {then}", and(condition, "t")).unwrap();
        }
        for condition in &self.inserts {
            write!(sql, " WHEN NOT MATCHED{} THEN INSERT *", and(condition, "s")).unwrap();
        }
        sql
    }

    /// The new rows and how many were changed; `None` where a changed row matches twice.
    pub(crate) fn apply(&self, rows: &[Row]) -> Option<(Vec<Row>, u64)> {
        let (mut after, mut changed) = (Vec::new(), 0);
        let only_deletes = self
            .matched
            .iter()
            .all(|(condition, act)| condition.is_none() && matches!(act, Act::Delete));
        for row in rows {
            let partners: Vec<&Row> =
                self.source.iter().filter(|s| s.id.is_some() && s.id == row.id).collect();
            let clauses = if partners.is_empty() { &self.by_source } else { &self.matched };
            let holds = |condition: &Option<Condition>| {
                condition.as_ref().is_none_or(|condition| condition.is_true(row))
            };
            let Some((_, act)) = clauses.iter().find(|(condition, _)| holds(condition)) else {
                after.push(row.clone());
                continue;
            };
            if partners.len() > 1 && !only_deletes {
                return None;
            }
            changed += 1;
            after.extend(done(row, act, partners.first().copied()));
        }
        for source in &self.source {
            let known = source.id.is_some() && rows.iter().any(|row| row.id == source.id);
            let taken = self.inserts.iter().any(|condition| {
                condition.as_ref().is_none_or(|condition| condition.is_true(source))
            });
            if !known && taken {
                changed += 1;
                after.push(source.clone());
            }
        }
        Some((after, changed))
    }
}

fn done(row: &Row, act: &Act, partner: Option<&Row>) -> Option<Row> {
    let mut row = row.clone();
    match (act, partner) {
        (Act::Delete, _) => return None,
        (Act::AddN, Some(partner)) => row.n = row.n.zip(partner.n).map(|(a, b)| a + b),
        (Act::Copy, Some(partner)) => row = partner.clone(),
        (Act::AddN | Act::Copy, None) => row.n = Some(0),
        (Act::SetPart(part), _) => row.part = part.clone(),
    }
    Some(row)
}
