//! Random statements, each with the answer of the model.
//!
//! `BOATHOUSE_TEST_DML_STEPS=1000` runs more, `BOATHOUSE_TEST_SEED=7` others.

use super::model::{Act, Condition, Merge, Row, number, text};
use crate::door::{Answer, Door, Session};
use crate::support::{Lake, values};

const STEPS: u64 = 250;
/// The table is kept about this small.
const ROWS_MAX: usize = 60;

#[tokio::test]
async fn random_statements_leave_the_rows_of_the_model() {
    let setting =
        |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let steps = setting("BOATHOUSE_TEST_DML_STEPS", STEPS);
    let mut random = Random(setting("BOATHOUSE_TEST_SEED", 42));
    let lake = Lake::local().await;
    let mut session = Door::engine(&lake).session().await;
    let create = "CREATE TABLE t (id BIGINT, part VARCHAR, n BIGINT) PARTITIONED BY (part)";
    session.run(create).await.unwrap();
    let mut rows = Vec::new();
    for step in 0..steps {
        if step % 100 == 0 {
            let hash = step % 200 == 0;
            let set = format!("SET datafusion.optimizer.prefer_hash_join = {hash}");
            session.run(&set).await.unwrap();
        }
        let (sql, expected) = random.statement(&rows);
        let answer = session.run(&sql).await;
        match (answer, expected) {
            (Ok(Answer::Count(count)), Some((after, changed))) => {
                assert_eq!(count, changed, "step {step}: {sql}");
                rows = after;
            }
            (Err(error), None) => assert!(error.contains("more than one row"), "{error}"),
            (Err(error), Some(_)) => unreachable!("step {step}: {sql}\n{error}"),
            (Ok(_), _) => unreachable!("step {step} should fail: {sql}"),
        }
        check(&mut session, &rows, &format!("step {step}: {sql}")).await;
    }
}

async fn check(session: &mut Session, rows: &[Row], about: &str) {
    let Answer::Rows(_, batches) = session.run("SELECT id, part, n FROM t").await.unwrap() else {
        unreachable!("a query gives rows")
    };
    let mut found: Vec<String> = values(&batches).into_iter().map(|row| row.join(" ")).collect();
    let mut expected: Vec<String> = rows.iter().map(Row::shown).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{about}");
}

/// A small generator of its own, so that a seed is the same run everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn number(&mut self, limit: u64) -> i64 {
        self.below(limit).cast_signed()
    }

    fn sometimes<T>(&mut self, one_in: u64, value: T) -> Option<T> {
        (self.below(one_in) != 0).then_some(value)
    }

    fn part(&mut self) -> Option<String> {
        let parts = ["a", "b c", "d/e%", "ü"];
        let part = parts[self.below(4) as usize].to_owned();
        self.sometimes(6, part)
    }

    fn row(&mut self) -> Row {
        let (id, n) = (self.number(30), self.number(100));
        Row { id: self.sometimes(12, id), part: self.part(), n: self.sometimes(6, n) }
    }

    fn rows(&mut self, most: u64) -> Vec<Row> {
        (0..=self.below(most)).map(|_| self.row()).collect()
    }

    fn condition(&mut self, depth: u64) -> Condition {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 | 1 => {
                let low = self.number(30);
                Condition::IdBetween(low, low + self.number(6))
            }
            2 => Condition::IdIn((0..=self.below(4)).map(|_| self.number(30)).collect()),
            3 => Condition::PartIs(self.part()),
            4 => Condition::NLess(self.number(100)),
            5 => Condition::NIsNull,
            6 => Condition::Not(Box::new(self.plain_condition(depth - 1))),
            7 => Condition::Or(
                Box::new(self.condition(depth - 1)),
                Box::new(self.condition(depth - 1)),
            ),
            _ => Condition::And(
                Box::new(self.condition(depth - 1)),
                Box::new(self.condition(depth - 1)),
            ),
        }
    }

    /// A condition without a subquery, as clauses of a MERGE take it.
    fn plain_condition(&mut self, depth: u64) -> Condition {
        loop {
            let condition = self.condition(depth);
            if !condition.sql("x").contains("SELECT") {
                return condition;
            }
        }
    }

    /// A statement, with the rows after it and how many it changed; `None` if it must fail.
    fn statement(&mut self, rows: &[Row]) -> (String, Option<(Vec<Row>, u64)>) {
        if rows.len() > ROWS_MAX {
            return self.delete(rows);
        }
        match self.below(20) {
            0..6 => self.insert(rows),
            6..9 => self.delete(rows),
            9..13 => self.update(rows),
            13..18 => {
                let merge = self.merge();
                (merge.sql(), merge.apply(rows))
            }
            18 => self.overwrite(rows),
            _ if self.below(8) == 0 => {
                ("TRUNCATE TABLE t".to_owned(), Some((Vec::new(), rows.len() as u64)))
            }
            _ => self.insert(rows),
        }
    }

    fn insert(&mut self, rows: &[Row]) -> (String, Option<(Vec<Row>, u64)>) {
        let new = self.rows(8);
        let values: Vec<String> = new.iter().map(Row::sql).collect();
        let count = new.len() as u64;
        let after = rows.iter().cloned().chain(new).collect();
        (format!("INSERT INTO t VALUES {}", values.join(", ")), Some((after, count)))
    }

    fn delete(&mut self, rows: &[Row]) -> (String, Option<(Vec<Row>, u64)>) {
        let condition = self.condition(2);
        let after: Vec<Row> = rows.iter().filter(|row| !condition.is_true(row)).cloned().collect();
        let count = (rows.len() - after.len()) as u64;
        (format!("DELETE FROM t AS x WHERE {}", condition.sql("x")), Some((after, count)))
    }

    fn update(&mut self, rows: &[Row]) -> (String, Option<(Vec<Row>, u64)>) {
        let condition = (self.below(10) != 0).then(|| self.condition(2));
        let (add, part) = (self.number(9), self.part());
        let sets_part = self.below(3) == 0;
        let mut count = 0;
        let mut after = rows.to_vec();
        for row in &mut after {
            if condition.as_ref().is_none_or(|condition| condition.is_true(row)) {
                count += 1;
                row.n = row.n.map(|n| n + add);
                if sets_part {
                    row.part = part.clone();
                }
            }
        }
        let set =
            if sets_part { format!(", part = {}", text(part.as_deref())) } else { String::new() };
        let filter = condition.map_or(String::new(), |c| format!(" WHERE {}", c.sql("t")));
        (format!("UPDATE t SET n = n + {}{set}{filter}", number(Some(add))), Some((after, count)))
    }

    fn merge(&mut self) -> Merge {
        let mut source = self.rows(10);
        if self.below(4) != 0 {
            // Mostly without two rows of one key.
            source.sort_by_key(|row| row.id);
            source.dedup_by_key(|row| row.id);
        }
        let mut merge = Merge { source, matched: vec![], by_source: vec![], inserts: vec![] };
        merge.matched = self.clauses();
        if self.below(3) == 0 {
            merge.by_source = self.clauses();
        }
        if self.below(3) != 0 {
            merge.inserts = match self.below(3) {
                0 => vec![Some(self.plain_condition(1))],
                1 => vec![Some(self.plain_condition(1)), None],
                _ => vec![None],
            };
        }
        if merge.matched.is_empty() && merge.by_source.is_empty() && merge.inserts.is_empty() {
            merge.inserts.push(None);
        }
        merge
    }

    fn clauses(&mut self) -> Vec<(Option<Condition>, Act)> {
        let mut clauses = Vec::new();
        for _ in 0..self.below(3) {
            clauses.push((Some(self.plain_condition(1)), self.act()));
        }
        if self.below(2) == 0 {
            clauses.push((None, self.act()));
        }
        clauses
    }

    fn act(&mut self) -> Act {
        match self.below(4) {
            0 => Act::Delete,
            1 => Act::AddN,
            2 => Act::Copy,
            _ => Act::SetPart(self.part()),
        }
    }

    fn overwrite(&mut self, rows: &[Row]) -> (String, Option<(Vec<Row>, u64)>) {
        let mut new = self.rows(6);
        let count = new.len() as u64;
        let sql = |rows: &[Row]| rows.iter().map(Row::sql).collect::<Vec<_>>().join(", ");
        let not_in = |parts: &[Option<String>]| {
            rows.iter().filter(|row| !parts.contains(&row.part)).cloned().collect::<Vec<_>>()
        };
        match self.below(3) {
            0 => (format!("INSERT OVERWRITE t VALUES {}", sql(&new)), Some((new, count))),
            1 => {
                let part = self.part();
                for row in &mut new {
                    row.part = part.clone();
                }
                let mut after = not_in(std::slice::from_ref(&part));
                let values: Vec<String> = new
                    .iter()
                    .map(|row| format!("({}, {})", number(row.id), number(row.n)))
                    .collect();
                let part = text(part.as_deref());
                after.extend(new);
                let values = values.join(", ");
                let sql = format!("INSERT OVERWRITE t PARTITION (part = {part}) VALUES {values}");
                (sql, Some((after, count)))
            }
            _ => {
                let parts: Vec<Option<String>> = new.iter().map(|row| row.part.clone()).collect();
                let mut after = not_in(&parts);
                let sql = format!("INSERT OVERWRITE t PARTITION (part) VALUES {}", sql(&new));
                after.extend(new);
                (sql, Some((after, count)))
            }
        }
    }
}
