-- Work that may outlive a request. Written in the transaction that makes it due.
CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    -- the job itself, as JSON
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- higher runs first
    priority INTEGER NOT NULL,
    -- at most one waiting job of a kind has the same key
    unique_key TEXT,
    run_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    -- the process that runs it, and until when that is believed without a sign of life
    lease_owner TEXT,
    lease_until INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    progress REAL NOT NULL DEFAULT 0,
    -- what went wrong the last time
    error TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX jobs_next ON jobs (kind, run_at) WHERE state = 'queued';
CREATE INDEX jobs_urgent ON jobs (kind, priority DESC, run_at) WHERE state = 'queued';
CREATE INDEX jobs_ended ON jobs (state, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_state ON jobs (state, id);
CREATE UNIQUE INDEX jobs_unique ON jobs (kind, unique_key) WHERE state = 'queued' AND unique_key IS NOT NULL;

-- When each recurring job is due next.
CREATE TABLE schedules (
    kind TEXT NOT NULL PRIMARY KEY,
    next_run_at INTEGER NOT NULL
) STRICT;
