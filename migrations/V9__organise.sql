-- What people say about their media: descriptions, tags, favourites; how media are found by it; what is alike; limits.

ALTER TABLE media ADD COLUMN description TEXT NOT NULL DEFAULT '';
-- The names of its tags as shown, in the order of their folded names, one a line: what a list shows and a search reads
-- without another look-up. The truth is in media_tags.
ALTER TABLE media ADD COLUMN tags TEXT NOT NULL DEFAULT '';
-- from the current version, repeated because it is searched
ALTER TABLE media ADD COLUMN camera TEXT;
UPDATE media SET camera = (SELECT camera FROM versions WHERE versions.id = media.version_id)
    WHERE version_id IN (SELECT id FROM versions WHERE camera IS NOT NULL);

CREATE TABLE tags (
    seq INTEGER PRIMARY KEY,
    -- as it was typed first, or last renamed
    name TEXT NOT NULL,
    -- in lower case: two spellings of one word are one tag
    name_folded TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE media_tags (
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    tag_seq INTEGER NOT NULL REFERENCES tags (seq),
    PRIMARY KEY (media_seq, tag_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX media_tags_tag ON media_tags (tag_seq, media_seq);

-- Media of a bucket that have a tag and are not in the trash; kept by the triggers below.
CREATE TABLE tag_counts (
    tag_seq INTEGER NOT NULL REFERENCES tags (seq) ON DELETE CASCADE,
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq) ON DELETE CASCADE,
    media_count INTEGER NOT NULL,
    PRIMARY KEY (tag_seq, bucket_seq)
) STRICT, WITHOUT ROWID;
-- Buckets are removed with their folders and counts.
CREATE INDEX tag_counts_bucket ON tag_counts (bucket_seq);

-- What each person likes best.
CREATE TABLE favourites (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    media_seq INTEGER NOT NULL REFERENCES media (seq) ON DELETE CASCADE,
    PRIMARY KEY (user_id, media_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX favourites_media ON favourites (media_seq);

-- Media by the month in which they were taken, those in the trash left out; kept by the triggers below.
CREATE TABLE media_months (
    bucket_seq INTEGER NOT NULL REFERENCES buckets (seq) ON DELETE CASCADE,
    -- year * 100 + month, in UTC as EXIF has it
    month INTEGER NOT NULL,
    media_count INTEGER NOT NULL,
    PRIMARY KEY (bucket_seq, month)
) STRICT, WITHOUT ROWID;
INSERT INTO media_months (bucket_seq, month, media_count)
    SELECT bucket_seq, coalesce(CAST(strftime('%Y%m', taken_or_created_at / 1000, 'unixepoch') AS INTEGER), 0) AS month, count(*)
    FROM media WHERE trashed_at IS NULL GROUP BY bucket_seq, month;

-- Which media hold a word, in any of the columns that a search reads, and in what place and of what kind they are. It
-- only proposes: what it finds is compared with the search itself. So it needs no positions and no columns, and one
-- conjunction of words serves every combination of filters. `place` holds words that nobody types:
--     zzb7      in bucket 7 and not in the trash        zzt7      in bucket 7, in the trash
--     zzkimage  a picture (zzkvideo, zzkother)          zzm...    the media type, in hexadecimal
--     zzy2019   taken in 2019                           zzn201907 taken in July
--     zzd       has a description                       zzu       has no tags
CREATE VIRTUAL TABLE media_words USING fts5 (
    place, name, folder, tags, description, camera,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3', detail = none
);

CREATE VIEW media_words_source AS SELECT
    seq,
    iif(trashed_at IS NULL, 'zzb', 'zzt') || bucket_seq
        || CASE WHEN content_type GLOB 'image/*' THEN ' zzkimage' WHEN content_type GLOB 'video/*' THEN ' zzkvideo'
                ELSE ' zzkother' END
        || ' zzm' || hex(content_type)
        || coalesce(strftime(' zzy%Y zzn%Y%m', taken_or_created_at / 1000, 'unixepoch'), '')
        || iif(description <> '', ' zzd', '') || iif(tags = '', ' zzu', '') AS place,
    name, folder, tags, description, camera
    FROM media;
INSERT INTO media_words (rowid, place, name, folder, tags, description, camera)
    SELECT seq, place, name, folder, tags, description, camera FROM media_words_source ORDER BY seq;

-- The kind of a media is looked up among the words now.
DROP INDEX media_by_type;

CREATE TRIGGER media_words_added AFTER INSERT ON media BEGIN
    INSERT INTO media_words (rowid, place, name, folder, tags, description, camera)
        SELECT seq, place, name, folder, tags, description, camera FROM media_words_source WHERE seq = new.seq;
END;
CREATE TRIGGER media_words_removed AFTER DELETE ON media BEGIN
    DELETE FROM media_words WHERE rowid = old.seq;
END;
CREATE TRIGGER media_words_changed AFTER UPDATE OF bucket_seq, name, folder, tags, description, camera, content_type,
    taken_or_created_at, trashed_at ON media
    WHEN old.bucket_seq <> new.bucket_seq OR old.name <> new.name OR old.folder <> new.folder OR old.tags <> new.tags
        OR old.description <> new.description OR old.camera IS NOT new.camera OR old.content_type <> new.content_type
        OR old.taken_or_created_at <> new.taken_or_created_at
        OR (old.trashed_at IS NULL) <> (new.trashed_at IS NULL)
BEGIN
    DELETE FROM media_words WHERE rowid = old.seq;
    INSERT INTO media_words (rowid, place, name, folder, tags, description, camera)
        SELECT seq, place, name, folder, tags, description, camera FROM media_words_source WHERE seq = new.seq;
END;

-- The counts of buckets and folders, which now follow a media into another bucket.
DROP TRIGGER media_counted;
CREATE TRIGGER media_counted AFTER UPDATE OF trashed_at, size_bytes, folder, bucket_seq ON media BEGIN
    UPDATE buckets SET media_count = media_count - 1, size_bytes = size_bytes - old.size_bytes
        WHERE old.trashed_at IS NULL AND seq = old.bucket_seq;
    UPDATE buckets SET media_count = media_count + 1, size_bytes = size_bytes + new.size_bytes
        WHERE new.trashed_at IS NULL AND seq = new.bucket_seq;
    UPDATE folders SET media_count = media_count - 1
        WHERE old.trashed_at IS NULL AND bucket_seq = old.bucket_seq AND path = old.folder;
    UPDATE folders SET media_count = media_count + 1
        WHERE new.trashed_at IS NULL AND bucket_seq = new.bucket_seq AND path = new.folder;
END;

CREATE TRIGGER media_month_added AFTER INSERT ON media WHEN new.trashed_at IS NULL BEGIN
    INSERT INTO media_months (bucket_seq, month, media_count)
        VALUES (new.bucket_seq, coalesce(CAST(strftime('%Y%m', new.taken_or_created_at / 1000, 'unixepoch') AS INTEGER), 0), 1)
        ON CONFLICT DO UPDATE SET media_count = media_count + 1;
END;
CREATE TRIGGER media_month_removed AFTER DELETE ON media WHEN old.trashed_at IS NULL BEGIN
    UPDATE media_months SET media_count = media_count - 1 WHERE bucket_seq = old.bucket_seq
        AND month = coalesce(CAST(strftime('%Y%m', old.taken_or_created_at / 1000, 'unixepoch') AS INTEGER), 0);
END;
CREATE TRIGGER media_month_changed AFTER UPDATE OF trashed_at, taken_or_created_at, bucket_seq ON media BEGIN
    UPDATE media_months SET media_count = media_count - 1 WHERE old.trashed_at IS NULL AND bucket_seq = old.bucket_seq
        AND month = coalesce(CAST(strftime('%Y%m', old.taken_or_created_at / 1000, 'unixepoch') AS INTEGER), 0);
    INSERT INTO media_months (bucket_seq, month, media_count)
        SELECT new.bucket_seq, coalesce(CAST(strftime('%Y%m', new.taken_or_created_at / 1000, 'unixepoch') AS INTEGER), 0), 1
        WHERE new.trashed_at IS NULL
        ON CONFLICT DO UPDATE SET media_count = media_count + 1;
END;

CREATE TRIGGER tag_given AFTER INSERT ON media_tags BEGIN
    INSERT INTO tag_counts (tag_seq, bucket_seq, media_count)
        SELECT new.tag_seq, bucket_seq, 1 FROM media WHERE seq = new.media_seq AND trashed_at IS NULL
        ON CONFLICT DO UPDATE SET media_count = media_count + 1;
END;
CREATE TRIGGER tag_taken AFTER DELETE ON media_tags BEGIN
    UPDATE tag_counts SET media_count = media_count - 1 WHERE tag_seq = old.tag_seq
        AND bucket_seq = (SELECT bucket_seq FROM media WHERE seq = old.media_seq AND trashed_at IS NULL);
END;
-- While the media is still there, so that the trigger above finds its bucket.
CREATE TRIGGER media_untagged BEFORE DELETE ON media BEGIN
    DELETE FROM media_tags WHERE media_seq = old.seq;
END;
CREATE TRIGGER media_tags_moved AFTER UPDATE OF trashed_at, bucket_seq ON media WHEN new.tags <> '' BEGIN
    UPDATE tag_counts SET media_count = media_count - 1
        WHERE old.trashed_at IS NULL AND bucket_seq = old.bucket_seq
            AND tag_seq IN (SELECT tag_seq FROM media_tags WHERE media_seq = new.seq);
    INSERT INTO tag_counts (tag_seq, bucket_seq, media_count)
        SELECT tag_seq, new.bucket_seq, 1 FROM media_tags WHERE media_seq = new.seq AND new.trashed_at IS NULL
        ON CONFLICT DO UPDATE SET media_count = media_count + 1;
END;

-- How far a bulk action has come; written in the transaction of each chunk, so that a chunk is done once.
CREATE TABLE bulk_runs (
    -- the job that carries it out; no reference, for jobs are forgotten on their own schedule
    job_id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB REFERENCES users (id),
    -- media that it was asked for when it began
    total INTEGER NOT NULL,
    -- those that are done, and those that could not be
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    -- the first of those that failed, each with its problem, as JSON
    failures TEXT NOT NULL DEFAULT '[]',
    -- where it goes on, as JSON; NULL at the beginning
    position TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX bulk_runs_age ON bulk_runs (created_at);
