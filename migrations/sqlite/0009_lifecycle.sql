-- What an administrator decided about a version of a plugin.
ALTER TABLE plugins ADD COLUMN status TEXT NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled', 'removed'));
ALTER TABLE plugins ADD COLUMN reason TEXT; -- why it is disabled
ALTER TABLE plugins ADD COLUMN grants TEXT NOT NULL DEFAULT '{}'; -- JSON
-- Whether somebody chose it as the default, so that a newer one that ships with the program does not take its place.
ALTER TABLE plugins ADD COLUMN is_chosen INTEGER NOT NULL DEFAULT 0 CHECK (is_chosen IN (0, 1));
-- Milliseconds; NULL: not known.
ALTER TABLE plugins ADD COLUMN compile_ms INTEGER;
-- The version of the contract that it was made for.
ALTER TABLE plugins ADD COLUMN contract TEXT NOT NULL DEFAULT '0.1.0';

-- Contents that are refused, whether or not they are here.
CREATE TABLE plugin_blocks (
    digest     TEXT    NOT NULL PRIMARY KEY,
    reason     TEXT    NOT NULL,
    blocked_at INTEGER NOT NULL
) STRICT;

-- The component that a benchmark pins.
ALTER TABLE benchmarks ADD COLUMN task_digest TEXT GENERATED ALWAYS AS (json_extract(plan, '$.task.digest')) VIRTUAL;
CREATE INDEX benchmarks_by_task ON benchmarks (task_digest, id);

-- Contents that may not be used now, and why. One that is blocked is said to be blocked, whatever else it is. Of two
-- names of one content, which only the program's own upgrades make, either is enough.
CREATE VIEW unusable_plugins AS
    SELECT digest, 'blocked' AS word, reason FROM plugin_blocks
    UNION ALL
    SELECT digest, min(status), min(reason) FROM plugins
        WHERE status <> 'enabled' AND digest NOT IN (SELECT digest FROM plugin_blocks)
        GROUP BY digest;
