-- Files that arrive in several goes. A row goes some days after something last came for it; the bytes that have arrived
-- are staged in storage under its id.
CREATE TABLE uploads (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- who began it, from where, as JSON: for the audit, when it is finished without anybody asking
    actor TEXT NOT NULL,
    -- 'partial' is a piece of something, 'final' is put together from pieces
    kind TEXT NOT NULL CHECK (kind IN ('whole', 'partial', 'final')),
    -- NULL while nobody has said how long it will be
    length_bytes INTEGER,
    -- bytes that have arrived and are known to be on disk
    offset_bytes INTEGER NOT NULL DEFAULT 0,
    -- where it goes: the bucket's slug (the oldest one where it is NULL), folder and name
    bucket TEXT,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    on_conflict TEXT NOT NULL CHECK (on_conflict IN ('rename', 'replace', 'refuse')),
    -- when the file was last changed, as its sender said
    modified_at INTEGER,
    -- what the sender said about it, as the header came; it is told as it was
    metadata TEXT NOT NULL,
    -- ids of the pieces that it is put together from, as JSON
    parts TEXT,
    ended TEXT CHECK (ended IN ('done', 'failed')),
    -- what it has become; no reference, for that may be removed earlier
    media_id BLOB,
    -- why it failed, as a problem document
    problem TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK (length_bytes IS NULL OR offset_bytes <= length_bytes)
) STRICT;
CREATE INDEX uploads_user ON uploads (user_id, id);
CREATE INDEX uploads_expiry ON uploads (expires_at);

-- When the file was last changed before it came here, as its sender said.
ALTER TABLE versions ADD COLUMN modified_at INTEGER;
