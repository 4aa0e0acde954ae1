CREATE TABLE databases (
    name          TEXT    NOT NULL PRIMARY KEY,
    comment       TEXT,
    location      TEXT,
    parameters    TEXT    NOT NULL, -- JSON
    created_at_ms INTEGER NOT NULL
);

CREATE TABLE tables (
    table_no          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- what the other tables refer to
    id                TEXT    NOT NULL UNIQUE,                    -- a UUID, what the world sees
    database          TEXT    NOT NULL REFERENCES databases (name),
    name              TEXT    NOT NULL,
    version           INTEGER NOT NULL,
    data_version      INTEGER NOT NULL,
    next_partition_no INTEGER NOT NULL,
    table_type        TEXT    NOT NULL, -- this and the comment: of the current version, for lists
    comment           TEXT,
    created_at_ms     INTEGER NOT NULL,
    updated_at_ms     INTEGER NOT NULL,
    UNIQUE (database, name)
);

-- Every version of every definition, the current one too.
CREATE TABLE table_versions (
    table_no      INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    version       INTEGER NOT NULL,
    spec          TEXT    NOT NULL, -- JSON
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (table_no, version)
);

-- The data versions that can still be read, the current one too.
CREATE TABLE data_versions (
    table_no        INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    data_version    INTEGER NOT NULL,
    partition_count INTEGER NOT NULL,
    file_count      INTEGER NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (table_no, data_version)
);

-- A row is never changed but to note its removal: the partition is there
-- from data version added_at until just before removed_at.
CREATE TABLE partitions (
    table_no         INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    partition_no     INTEGER NOT NULL,
    added_at         INTEGER NOT NULL,
    removed_at       INTEGER,
    partition_values TEXT    NOT NULL, -- JSON
    location         TEXT    NOT NULL,
    parameters       TEXT    NOT NULL, -- JSON
    files            TEXT,             -- JSON
    file_count       INTEGER NOT NULL,
    PRIMARY KEY (table_no, partition_no)
);
CREATE UNIQUE INDEX live_partitions ON partitions (table_no, partition_values)
    WHERE removed_at IS NULL;
CREATE INDEX removed_partitions ON partitions (table_no, removed_at, partition_no)
    WHERE removed_at IS NOT NULL;

-- The values of each partition as texts that sort as the values do. There are many rows, so no
-- foreign key is checked: whoever deletes partitions deletes these too.
CREATE TABLE partition_keys (
    table_no     INTEGER NOT NULL,
    partition_no INTEGER NOT NULL,
    key_position INTEGER NOT NULL,
    sort_key     TEXT    NOT NULL,
    PRIMARY KEY (table_no, partition_no, key_position)
) WITHOUT ROWID;
CREATE INDEX partition_keys_by_value
    ON partition_keys (table_no, key_position, sort_key, partition_no);
