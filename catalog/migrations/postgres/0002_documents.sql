-- What is kept beside tables and partitions, each a JSON text under a name: functions, tags,
-- crawlers and their crawls, classifiers, access keys, partition indexes, column statistics.
-- The parent is what it belongs to: a database, the id of a table, a crawler, or ''.
CREATE TABLE documents (
    kind          TEXT   NOT NULL,
    parent        TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    body          TEXT   NOT NULL, -- JSON
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, parent, name)
);

-- What Glue's PartitionInput says that no other column holds.
ALTER TABLE partitions ADD COLUMN details TEXT; -- JSON
