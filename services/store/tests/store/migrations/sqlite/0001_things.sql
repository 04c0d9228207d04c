CREATE TABLE things (
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT,
    data BLOB,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX things_name ON things (name);

CREATE TABLE parts (
    thing INTEGER NOT NULL REFERENCES things (id),
    number INTEGER NOT NULL,
    note TEXT,
    PRIMARY KEY (thing, number)
) STRICT;
