-- Users, service accounts, org units, what they may do, and how they prove who they are.
CREATE TABLE org_units (
    id TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    parent TEXT NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE INDEX org_units_parent ON org_units (parent);

-- The display name is sealed with a data key of the user's own.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    data_key BLOB NOT NULL,
    display_name BLOB NOT NULL,
    org_unit TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    password_change INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

CREATE TABLE service_accounts (
    id TEXT NOT NULL PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

CREATE TABLE service_account_keys (
    id TEXT NOT NULL PRIMARY KEY,
    service_account TEXT NOT NULL REFERENCES service_accounts (id),
    display_name TEXT NOT NULL,
    mac BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER
) STRICT;
CREATE INDEX service_account_keys_account ON service_account_keys (service_account, id);

CREATE TABLE role_bindings (
    id TEXT NOT NULL PRIMARY KEY,
    member TEXT NOT NULL,
    role TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    UNIQUE (member, role, org_unit)
) STRICT;

CREATE TABLE policies (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    cedar TEXT NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- The private key is sealed with a data key of its own.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    public_key BLOB NOT NULL,
    data_key BLOB NOT NULL,
    private_key BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    active_time INTEGER NOT NULL,
    expire_time INTEGER
) STRICT;

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    member TEXT NOT NULL,
    key_id TEXT NOT NULL,
    audiences TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    token_expire_time INTEGER NOT NULL,
    refreshes INTEGER NOT NULL,
    end_time INTEGER,
    end_reason TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_member ON sessions (member, expire_time);
CREATE INDEX sessions_key ON sessions (key_id);
CREATE INDEX sessions_end ON sessions (end_time, token_expire_time);
CREATE INDEX sessions_expire ON sessions (expire_time);

CREATE TABLE refresh_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    mac BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL,
    use_time INTEGER
) STRICT;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session);

-- The subject is a keyed token of what was typed as a name: people type passwords there.
CREATE TABLE login_throttle (
    subject INTEGER NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    count_time INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL
) STRICT;
CREATE INDEX login_throttle_time ON login_throttle (count_time);

CREATE TABLE identity_state (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
