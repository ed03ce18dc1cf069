-- Who may use the API. The text of a token is known to its bearer alone; revoked ones stay, so that the audit can be
-- read and the API does not open again.
CREATE TABLE tokens (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32), -- SHA-256 of the text
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

-- A name means one token; that of a revoked one is free again.
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;

-- What was changed, and by whom. Ids sort by time.
CREATE TABLE audit (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    recorded_at INTEGER NOT NULL,
    actor       TEXT    NOT NULL, -- JSON
    action      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    detail      TEXT    NOT NULL  -- JSON
) STRICT;

CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit are never changed'); END;

CREATE TRIGGER audit_undeleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit are never deleted'); END;
