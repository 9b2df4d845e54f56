-- Where people still look for what came here from another program: its addresses, and what they stand for now. They go
-- with what they lead to.

-- Files. Those of `/storage` are here only where a key had to change.
CREATE TABLE old_addresses (
    -- decoded, without the slash at its beginning: 'uploads/…', 'processed/…', 'storage/bucket/…'
    path TEXT NOT NULL PRIMARY KEY,
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    -- the picture made from it that is meant; NULL for the media itself
    rendition_id BLOB REFERENCES renditions (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX old_addresses_media ON old_addresses (media_seq);
CREATE INDEX old_addresses_rendition ON old_addresses (rendition_id) WHERE rendition_id IS NOT NULL;

-- Buckets by the name that they had there, also where it stayed the same: run again, an import finds them by it.
CREATE TABLE old_buckets (
    name TEXT NOT NULL PRIMARY KEY,
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX old_buckets_bucket ON old_buckets (bucket_seq);

-- 1 for a picture that another program made: then nobody knows whether an engine drew in it, whatever ai_generated says.
ALTER TABLE renditions ADD COLUMN made_elsewhere INTEGER NOT NULL DEFAULT 0 CHECK (made_elsewhere IN (0, 1));
