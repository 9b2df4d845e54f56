-- Whether the picture after each step is kept.
ALTER TABLE restorations ADD COLUMN keep_steps INTEGER NOT NULL DEFAULT 0 CHECK (keep_steps IN (0, 1));
-- Where it begins, if not with the version: the restoration and place, the blob of the picture, and what was done to that
-- before, as JSON.
ALTER TABLE restorations ADD COLUMN beginning TEXT;

-- Pictures after the steps of restorations, for some weeks. The library keeps their blobs for the media; whoever removes a
-- row has it let go of a blob that nothing else here needs.
CREATE TABLE restoration_steps (
    -- no reference: when a restoration goes with its version, somebody has to see to the blobs first
    restoration_id BLOB NOT NULL,
    -- the place of the step among the restoration's steps, from 0
    place INTEGER NOT NULL,
    media_id BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    picture BLOB NOT NULL CHECK (length(picture) = 32),
    content_type TEXT NOT NULL,
    -- as displayed
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    -- whether a model has drawn in it what the camera did not see
    recreated INTEGER NOT NULL CHECK (recreated IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (restoration_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX restoration_steps_media ON restoration_steps (media_id);
CREATE INDEX restoration_steps_age ON restoration_steps (created_at);
