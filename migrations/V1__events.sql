-- What happened, for those who watch: written in the transaction of the deed, read by the live stream of the web UI.
-- Pruned after a day.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- who may see it: 'user:<id>', or 'permission:<name>'
    audience TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_at ON events (at);
