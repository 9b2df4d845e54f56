-- What people have asked to be restored, and what has become of it. A row goes when its media does.
CREATE TABLE restorations (
    id BLOB NOT NULL PRIMARY KEY,
    media_id BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    version_id BLOB NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    -- the job that carries it out; no reference, for jobs are forgotten earlier
    job_id BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    progress REAL NOT NULL DEFAULT 0,
    -- the step that is running
    step TEXT,
    engine TEXT NOT NULL,
    preset TEXT,
    -- the steps to run with their strengths, as JSON
    steps TEXT NOT NULL,
    -- the blob of the damage mask, which the library keeps as long as the media
    mask BLOB CHECK (length(mask) = 32),
    outcome TEXT CHECK (outcome IN ('restored', 'unchanged')),
    rendition_id BLOB REFERENCES renditions (id) ON DELETE SET NULL,
    -- what each step has measured and decided, as JSON
    report TEXT NOT NULL DEFAULT '[]',
    -- why the last attempt failed: a word for programs and a sentence for people
    error_code TEXT,
    error_detail TEXT,
    requested_by BLOB REFERENCES users (id),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX restorations_media ON restorations (media_id, id);
CREATE INDEX restorations_state ON restorations (state, id);
CREATE INDEX restorations_version ON restorations (version_id);
CREATE INDEX restorations_rendition ON restorations (rendition_id) WHERE rendition_id IS NOT NULL;
