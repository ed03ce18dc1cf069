-- Bytes that a benchmark's samples took in this file: what they hold, not what the tables need for it. A text that was
-- there already costs nothing.
ALTER TABLE benchmarks ADD COLUMN recorded_bytes INTEGER NOT NULL DEFAULT 0;
