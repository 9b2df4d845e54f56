-- Models on other machines that an admin has added to those that Safelight knows by itself.
CREATE TABLE models (
    id TEXT NOT NULL PRIMARY KEY,
    -- everything about it, its id included, as JSON
    model TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- What has become of a model, the admin's own or not: without a row it is enabled and offered.
CREATE TABLE model_states (
    id TEXT NOT NULL PRIMARY KEY,
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- when its provider said that it is no longer offered
    retired_at INTEGER
) STRICT;

-- Calls of models on other machines, which are paid for and therefore never made twice without a person.
CREATE TABLE restoration_calls (
    restoration_id BLOB NOT NULL REFERENCES restorations (id) ON DELETE CASCADE,
    -- the place of its step among the restoration's steps, from 0
    place INTEGER NOT NULL,
    -- intended: about to be made, so that nobody knows whether it was if that is all there is; accepted: the provider
    -- has given it an id; done: its result is kept
    state TEXT NOT NULL CHECK (state IN ('intended', 'accepted', 'done')),
    -- the provider's id, and what is asked for it
    remote_id TEXT,
    address TEXT,
    -- the blob of the picture that came, which the library keeps as long as the media
    result BLOB CHECK (length(result) = 32),
    -- seconds that the provider has computed, and what it costs in US dollars, as far as is known
    compute_s REAL,
    cost_usd REAL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (restoration_id, place),
    CHECK (state <> 'accepted' OR remote_id IS NOT NULL),
    CHECK (state <> 'done' OR result IS NOT NULL)
) STRICT, WITHOUT ROWID;
