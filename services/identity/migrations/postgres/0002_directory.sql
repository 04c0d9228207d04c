-- Directories (chat and OA platforms) that tell us of org units and users, and what they made.
CREATE TABLE directories (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The last round that began, and whether it is under way (0 or 1).
    round BIGINT NOT NULL,
    under_way BIGINT NOT NULL
);

-- kind: 1 org unit, 2 user. gone: 0 there, 1 gone and disabled for it, 2 gone and disabled before.
CREATE TABLE directory_links (
    directory TEXT COLLATE "C" NOT NULL REFERENCES directories (id),
    kind BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    gone BIGINT NOT NULL,
    PRIMARY KEY (directory, kind, external_id),
    UNIQUE (kind, resource)
);
