-- What an admin has set in the web UI. It is stronger than the defaults, and weaker than the file, the environment and flags.
CREATE TABLE settings (
    -- as in the configuration file: limits.max_pixels
    key TEXT NOT NULL PRIMARY KEY,
    -- as JSON; NULL for a secret
    value TEXT,
    -- a secret, encrypted under the instance key and the setting's name
    sealed BLOB,
    changed_at INTEGER NOT NULL,
    CHECK ((value IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;
