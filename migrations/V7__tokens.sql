-- Tokens by which programs act for a person.
CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    -- SHA-256; the token itself is shown once and stored nowhere
    token_hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    -- how the token begins, so that its owner can tell it from others
    prefix TEXT NOT NULL,
    -- the names of permissions with spaces between them; what the owner's role lacks they don't give
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- NULL: never
    expires_at INTEGER,
    -- moves at most once a minute
    last_used_at INTEGER
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id, id);
CREATE INDEX tokens_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
