-- Who may use a bucket: everybody with an account, as far as the account's role goes, or only those who were added to it.
-- Owners and admins always may.
ALTER TABLE buckets ADD COLUMN access TEXT NOT NULL DEFAULT 'everyone' CHECK (access IN ('everyone', 'members'));

-- Sites whose pages may read what the storage door sends from it: origins with spaces between them, or '*' for all.
ALTER TABLE buckets ADD COLUMN cors_origins TEXT NOT NULL DEFAULT '';

-- People who were given more in a bucket than their account's role gives them.
CREATE TABLE bucket_members (
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('reader', 'writer', 'manager')),
    added_at INTEGER NOT NULL,
    PRIMARY KEY (bucket_seq, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_members_user ON bucket_members (user_id);

-- News of the library are for those who see the bucket from now on ('bucket:<id>'); older ones name no bucket's audience.
DELETE FROM events WHERE audience = 'permission:library.read';
