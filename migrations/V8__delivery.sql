-- Renderings that an admin has given a name. The names of those that are built in never stand here.
CREATE TABLE delivery_presets (
    name TEXT PRIMARY KEY,
    -- as a query in its one spelling: `fit=cover&h=200&w=320`
    transform TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether pictures that leave by a public or signed address may say where they were taken.
ALTER TABLE buckets ADD COLUMN keep_location INTEGER NOT NULL DEFAULT 0 CHECK (keep_location IN (0, 1));
