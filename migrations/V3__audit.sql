-- Who did what, when and from where: written in the transaction of the deed, never changed.
CREATE TABLE audit (
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    -- who; NULL where nobody was logged in, or the system did it. No reference: the trail outlives everything
    actor_id BLOB,
    -- the name at that time
    actor_name TEXT,
    door TEXT NOT NULL CHECK (door IN ('web', 'cli', 'system')),
    -- 'media.upload': the room's noun and the verb
    action TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    target_name TEXT,
    address TEXT,
    -- JSON object
    details TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor_id, at, id);
