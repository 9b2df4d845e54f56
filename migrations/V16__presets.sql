-- Named lists of restoration steps that people have saved. The names of those that come with the program never stand
-- here.
CREATE TABLE restoration_presets (
    name TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    -- steps, and names of presets whose steps stand in their place, as JSON
    steps TEXT NOT NULL,
    created_by BLOB REFERENCES users (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The picture made from the current version that addresses below /storage stand for; NULL for the original itself.
ALTER TABLE media ADD COLUMN shared_rendition_id BLOB REFERENCES renditions (id) ON DELETE SET NULL;
CREATE INDEX media_shared_rendition ON media (shared_rendition_id) WHERE shared_rendition_id IS NOT NULL;
