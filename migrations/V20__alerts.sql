-- What is wrong with the appliance, as far as those in charge are told. A row goes when they know that it is over.
CREATE TABLE alerts (
    -- what it is about: 'disk', 'queue', 'certificate:photos.example.org'
    name TEXT NOT NULL PRIMARY KEY,
    -- how bad it is; when it grows it is told again
    level INTEGER NOT NULL,
    -- the sentences as they were told
    title TEXT NOT NULL,
    what TEXT NOT NULL,
    advice TEXT NOT NULL,
    -- over: it has not been seen for some time, and that is being told
    stage TEXT NOT NULL CHECK (stage IN ('begun', 'over')),
    since INTEGER NOT NULL,
    -- since when it has not been seen; NULL while it lasts
    absent_since INTEGER,
    -- whether this stage has yet to be told in this way
    mail_due INTEGER NOT NULL CHECK (mail_due IN (0, 1)),
    webhook_due INTEGER NOT NULL CHECK (webhook_due IN (0, 1))
) STRICT, WITHOUT ROWID;
