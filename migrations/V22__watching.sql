-- What is stored altogether, for those who watch: counting a million rows at each look takes too long. Kept by the triggers
-- below; the size of a blob never changes.
CREATE TABLE blob_totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    blob_count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO blob_totals (id, blob_count, size_bytes) SELECT 1, count(*), coalesce(sum(size_bytes), 0) FROM blobs;
CREATE TRIGGER blob_counted AFTER INSERT ON blobs BEGIN
    UPDATE blob_totals SET blob_count = blob_count + 1, size_bytes = size_bytes + new.size_bytes;
END;
CREATE TRIGGER blob_uncounted AFTER DELETE ON blobs BEGIN
    UPDATE blob_totals SET blob_count = blob_count - 1, size_bytes = size_bytes - old.size_bytes;
END;
