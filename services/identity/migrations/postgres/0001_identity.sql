-- Users, service accounts, org units, what they may do, and how they prove who they are.
CREATE TABLE org_units (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C" NOT NULL,
    parent TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX org_units_parent ON org_units (parent);

-- The display name is sealed with a data key of the user's own.
CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid TEXT COLLATE "C" NOT NULL UNIQUE,
    data_key BYTEA NOT NULL,
    display_name BYTEA NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    disabled BIGINT NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    password_change BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

CREATE TABLE service_accounts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    disabled BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

CREATE TABLE service_account_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    service_account TEXT COLLATE "C" NOT NULL REFERENCES service_accounts (id),
    display_name TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT
);
CREATE INDEX service_account_keys_account ON service_account_keys (service_account, id);

CREATE TABLE role_bindings (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    member TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    UNIQUE (member, role, org_unit)
);

CREATE TABLE policies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    cedar TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- The private key is sealed with a data key of its own.
CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_key BYTEA NOT NULL,
    data_key BYTEA NOT NULL,
    private_key BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    active_time BIGINT NOT NULL,
    expire_time BIGINT
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    member TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    audiences TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    token_expire_time BIGINT NOT NULL,
    refreshes BIGINT NOT NULL,
    end_time BIGINT,
    end_reason TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_member ON sessions (member, expire_time);
CREATE INDEX sessions_key ON sessions (key_id);
CREATE INDEX sessions_end ON sessions (end_time, token_expire_time);
CREATE INDEX sessions_expire ON sessions (expire_time);

CREATE TABLE refresh_tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    mac BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL,
    use_time BIGINT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session);

-- The subject is a keyed token of what was typed as a name: people type passwords there.
CREATE TABLE login_throttle (
    subject BIGINT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    count_time BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX login_throttle_time ON login_throttle (count_time);

CREATE TABLE identity_state (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
