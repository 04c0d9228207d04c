CREATE TABLE things (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C",
    data BYTEA,
    revision BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX things_name ON things (name);

CREATE TABLE parts (
    thing BIGINT NOT NULL REFERENCES things (id),
    number BIGINT NOT NULL,
    note TEXT COLLATE "C",
    PRIMARY KEY (thing, number)
);
