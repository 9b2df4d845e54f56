-- People. Rows are never removed, so that the deeds of the past keep their names; who has gone is disabled.
CREATE TABLE users (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    -- lower case, NFC: two spellings of one address are one account
    email TEXT NOT NULL UNIQUE,
    -- PHC string, argon2id
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
    disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

-- Browsers that are logged in.
CREATE TABLE sessions (
    -- what the list of sessions shows
    id BLOB PRIMARY KEY,
    -- SHA-256 of the token in the cookie; the token itself is stored nowhere
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (id),
    remembered INTEGER NOT NULL CHECK (remembered IN (0, 1)),
    created_at INTEGER NOT NULL,
    -- moves at most once a minute, and expires_at with it
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT,
    user_agent TEXT
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Wrong passwords, and until when the next attempt has to wait. Forgotten a day after the last one.
CREATE TABLE login_attempts (
    -- SHA-256 of the account's email or of the network address: what people mistype into the field for their email
    -- may be their password
    subject BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_attempts_age ON login_attempts (last_at);

-- The one token that may make the first owner.
CREATE TABLE setup_token (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- SHA-256
    token_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
