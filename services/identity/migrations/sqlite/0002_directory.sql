-- Directories (chat and OA platforms) that tell us of org units and users, and what they made.
CREATE TABLE directories (
    id TEXT NOT NULL PRIMARY KEY,
    -- The last round that began, and whether it is under way (0 or 1).
    round INTEGER NOT NULL,
    under_way INTEGER NOT NULL
) STRICT;

-- kind: 1 org unit, 2 user. gone: 0 there, 1 gone and disabled for it, 2 gone and disabled before.
CREATE TABLE directory_links (
    directory TEXT NOT NULL REFERENCES directories (id),
    kind INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    round INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    PRIMARY KEY (directory, kind, external_id),
    UNIQUE (kind, resource)
) STRICT;
