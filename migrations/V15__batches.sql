-- Many pictures that are restored in the same way, one after the other. What is derived is not stored: a batch has
-- finished when nothing of it waits or runs.
CREATE TABLE batches (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'cancelled')),
    engine TEXT NOT NULL,
    preset TEXT,
    -- the steps to run with their strengths, as JSON
    steps TEXT NOT NULL,
    -- files that a search had found and that are no pictures
    skipped INTEGER NOT NULL,
    created_by BLOB REFERENCES users (id),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX batches_user ON batches (created_by, id);

-- Its pictures in their order. One waits until it has a restoration, whose state is then its own, or an error that kept
-- it from being asked for.
CREATE TABLE batch_items (
    batch_id BLOB NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    media_id BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    restoration_id BLOB REFERENCES restorations (id) ON DELETE CASCADE,
    error_code TEXT,
    error_detail TEXT,
    PRIMARY KEY (batch_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_items_media ON batch_items (media_id);
CREATE UNIQUE INDEX batch_items_restoration ON batch_items (restoration_id) WHERE restoration_id IS NOT NULL;
CREATE INDEX batch_items_waiting ON batch_items (batch_id, position)
    WHERE restoration_id IS NULL AND error_code IS NULL;
