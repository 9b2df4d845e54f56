-- What people call a library: a name for a set of media, with its own visibility.
CREATE TABLE buckets (
    -- what other tables refer to: eight indexes of media begin with it
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('private', 'public')),
    created_at INTEGER NOT NULL,
    -- media that are not in the trash, and the bytes of their current versions; kept by the triggers below, because
    -- counting a million rows takes longer than anybody waits for a page
    media_count INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Folders that were made, or that media were put into; each has rows for its parents.
CREATE TABLE folders (
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq) ON DELETE CASCADE,
    -- segments with '/' between them, none at the ends
    path TEXT NOT NULL,
    -- the path of the folder that it lies in; '' for those at the top
    parent TEXT NOT NULL,
    -- the last segment, and the same as it is sorted: lower case
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- media that lie directly in it and are not in the trash; kept by the triggers below
    media_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket_seq, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX folders_listing ON folders (bucket_seq, parent, name_folded, path);

-- Every content that is stored, under its SHA-256. How many refer to it is counted when it matters.
CREATE TABLE blobs (
    sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    -- NULL only for a file that was found on disk and that nothing refers to
    md5 BLOB CHECK (length(md5) = 16),
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- since when nothing refers to it; the sweeper removes it a day later, an upload of the same bytes pardons it
    condemned_at INTEGER,
    CHECK (md5 IS NOT NULL OR condemned_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_condemned ON blobs (condemned_at) WHERE condemned_at IS NOT NULL;

-- Photographs and files, each with the content that it has now.
CREATE TABLE media (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq),
    -- what S3 calls it; unique in a bucket among what is not in the trash
    key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) <= 1024),
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    -- the name in lower case: how it is sorted and searched
    name_folded TEXT NOT NULL,
    -- the current version; no reference, because the two rows need each other and a check at the end of the
    -- transaction would take down the others that share it
    version_id BLOB NOT NULL,
    -- from the current version, repeated because lists are sorted and filtered by them
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    -- when the picture was taken, or else when it came here: what sorting by time of taking goes by
    taken_or_created_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    trashed_at INTEGER,
    trashed INTEGER NOT NULL GENERATED ALWAYS AS (trashed_at IS NOT NULL) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX media_key ON media (bucket_seq, key) WHERE trashed_at IS NULL;
CREATE INDEX media_trashed ON media (trashed_at) WHERE trashed_at IS NOT NULL;
-- One index for each order of a list, with the tie-breaker, for a bucket and for a folder in it.
CREATE INDEX media_by_created ON media (bucket_seq, trashed, created_at, seq);
CREATE INDEX media_by_name ON media (bucket_seq, trashed, name_folded, seq);
CREATE INDEX media_by_taken ON media (bucket_seq, trashed, taken_or_created_at, seq);
CREATE INDEX media_by_size ON media (bucket_seq, trashed, size_bytes, seq);
CREATE INDEX media_in_folder_by_created ON media (bucket_seq, trashed, folder, created_at, seq);
CREATE INDEX media_in_folder_by_name ON media (bucket_seq, trashed, folder, name_folded, seq);
CREATE INDEX media_in_folder_by_taken ON media (bucket_seq, trashed, folder, taken_or_created_at, seq);
CREATE INDEX media_in_folder_by_size ON media (bucket_seq, trashed, folder, size_bytes, seq);
CREATE INDEX media_by_type ON media (bucket_seq, trashed, content_type, seq);

-- The contents that a media has had, the first being number 1.
CREATE TABLE versions (
    id BLOB NOT NULL PRIMARY KEY,
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    content_type TEXT NOT NULL,
    -- as displayed; NULL for what is no picture that can be read
    width INTEGER,
    height INTEGER,
    -- EXIF: how the stored pixels have to be turned
    orientation INTEGER NOT NULL DEFAULT 1 CHECK (orientation BETWEEN 1 AND 8),
    -- pictures in the file: more than 1 for animations and TIFF pages
    frames INTEGER NOT NULL DEFAULT 1,
    taken_at INTEGER,
    camera TEXT,
    -- a place-holder picture of some thirty bytes; NULL until the job has made it, and for what is no picture
    thumbhash BLOB,
    created_at INTEGER NOT NULL,
    created_by BLOB REFERENCES users (id),
    UNIQUE (media_seq, number)
) STRICT;
CREATE INDEX versions_blob ON versions (sha256);

-- Pictures made from a version.
CREATE TABLE renditions (
    id BLOB NOT NULL PRIMARY KEY,
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    version_id BLOB NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    -- the restoration that made it, where one did; no reference, for restorations are forgotten earlier
    restoration_id BLOB,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    -- whether an engine drew what the camera did not see
    ai_generated INTEGER NOT NULL CHECK (ai_generated IN (0, 1)),
    -- engine, preset and steps with their evidence, as JSON
    provenance TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB REFERENCES users (id)
) STRICT;
CREATE INDEX renditions_media ON renditions (media_seq, id);
CREATE INDEX renditions_version ON renditions (version_id);
CREATE INDEX renditions_blob ON renditions (sha256);

-- Blobs that other features need for a media, such as the mask of a restoration; they stay as long as it does.
CREATE TABLE attachments (
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    sha256 BLOB NOT NULL REFERENCES blobs (sha256),
    PRIMARY KEY (media_seq, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_blob ON attachments (sha256);

-- Which names contain three characters in a row; the rest of a search is compared with the names themselves.
CREATE VIRTUAL TABLE media_names USING fts5 (
    name_folded, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1', detail = none
);

CREATE TRIGGER media_added AFTER INSERT ON media BEGIN
    INSERT INTO media_names (rowid, name_folded) VALUES (new.seq, new.name_folded);
    UPDATE buckets SET media_count = media_count + 1, size_bytes = size_bytes + new.size_bytes
        WHERE new.trashed_at IS NULL AND seq = new.bucket_seq;
    UPDATE folders SET media_count = media_count + 1
        WHERE new.trashed_at IS NULL AND bucket_seq = new.bucket_seq AND path = new.folder;
END;
CREATE TRIGGER media_removed AFTER DELETE ON media BEGIN
    DELETE FROM media_names WHERE rowid = old.seq;
    UPDATE buckets SET media_count = media_count - 1, size_bytes = size_bytes - old.size_bytes
        WHERE old.trashed_at IS NULL AND seq = old.bucket_seq;
    UPDATE folders SET media_count = media_count - 1
        WHERE old.trashed_at IS NULL AND bucket_seq = old.bucket_seq AND path = old.folder;
END;
CREATE TRIGGER media_renamed AFTER UPDATE OF name_folded ON media WHEN old.name_folded <> new.name_folded BEGIN
    DELETE FROM media_names WHERE rowid = old.seq;
    INSERT INTO media_names (rowid, name_folded) VALUES (new.seq, new.name_folded);
END;
CREATE TRIGGER media_counted AFTER UPDATE OF trashed_at, size_bytes, folder ON media BEGIN
    UPDATE buckets SET
        media_count = media_count - (old.trashed_at IS NULL) + (new.trashed_at IS NULL),
        size_bytes = size_bytes - iif(old.trashed_at IS NULL, old.size_bytes, 0)
                                + iif(new.trashed_at IS NULL, new.size_bytes, 0)
        WHERE seq = new.bucket_seq;
    UPDATE folders SET media_count = media_count - 1
        WHERE old.trashed_at IS NULL AND bucket_seq = old.bucket_seq AND path = old.folder;
    UPDATE folders SET media_count = media_count + 1
        WHERE new.trashed_at IS NULL AND bucket_seq = new.bucket_seq AND path = new.folder;
END;
