-- Marks the file as ours, so that another program's database is never written to ('LLMB').
PRAGMA application_id = 0x4C4C4D42;

-- Ids are the 16 bytes of a UUID (`lower(hex(id))` shows one), times are nanoseconds since 1970, booleans are
-- 0 or 1, enums are their names in JSON. A column of type ANY holds a REAL, or the text 'NaN', which a REAL
-- cannot hold. Columns called JSON below write NaN and infinities as strings.

CREATE TABLE benchmarks (
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    status            TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    plan              TEXT    NOT NULL, -- JSON
    total             INTEGER NOT NULL,
    completed         INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    active_ms         INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    outcome           TEXT,             -- JSON, once the benchmark has ended
    cancel_requested  INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
    -- Who executes it, and until when the others leave it alone.
    worker_id         BLOB,
    lease_until       INTEGER,
    CHECK ((status = 'running') = (worker_id IS NOT NULL)),
    CHECK ((worker_id IS NULL) = (lease_until IS NULL))
) STRICT;

CREATE INDEX benchmarks_by_status ON benchmarks (status, id);
-- What `claim` looks through: a few rows however many benchmarks have ended.
CREATE INDEX benchmarks_to_do ON benchmarks (id) WHERE status IN ('queued', 'running');

CREATE TABLE samples (
    benchmark_id      BLOB    NOT NULL REFERENCES benchmarks (id) ON DELETE CASCADE,
    sample_index      INTEGER NOT NULL,
    repeat            INTEGER NOT NULL,
    failure_kind      TEXT,             -- NULL: the sample is completed
    fuel              INTEGER NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    duration_ms       ANY     NOT NULL,
    failure           TEXT,             -- JSON
    answer            TEXT,
    passages          TEXT,             -- JSON; NULL: there is no solution
    detail            TEXT,             -- JSON
    target            TEXT,             -- JSON: the gold columns
    PRIMARY KEY (benchmark_id, sample_index, repeat),
    CHECK ((failure IS NULL) = (failure_kind IS NULL))
) STRICT;

CREATE INDEX samples_failed ON samples (benchmark_id, failure_kind) WHERE failure_kind IS NOT NULL;

CREATE TABLE measurements (
    benchmark_id BLOB    NOT NULL,
    sample_index INTEGER NOT NULL,
    repeat       INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    metric       TEXT    NOT NULL,
    filter       TEXT,
    value        ANY,                   -- NULL: undefined, for the reason given
    weight       ANY     NOT NULL,
    reason       TEXT,
    PRIMARY KEY (benchmark_id, sample_index, repeat, position),
    FOREIGN KEY (benchmark_id, sample_index, repeat) REFERENCES samples ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE model_calls (
    benchmark_id      BLOB    NOT NULL,
    sample_index      INTEGER NOT NULL,
    repeat            INTEGER NOT NULL,
    position          INTEGER NOT NULL,
    part              TEXT    NOT NULL,
    kind              TEXT    NOT NULL,
    request           TEXT    NOT NULL, -- JSON, its long strings replaced by {"$text": digest}
    outcome           TEXT    NOT NULL, -- JSON
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    queue_ms          ANY     NOT NULL,
    tokenize_ms       ANY     NOT NULL,
    prefill_ms        ANY     NOT NULL,
    decode_ms         ANY     NOT NULL,
    PRIMARY KEY (benchmark_id, sample_index, repeat, position),
    FOREIGN KEY (benchmark_id, sample_index, repeat) REFERENCES samples ON DELETE CASCADE
) STRICT;

-- Long strings of requests, each kept once whatever number of calls bear it.
CREATE TABLE texts (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32), -- SHA-256
    text   TEXT NOT NULL
) STRICT;

CREATE TABLE hardware_readings (
    benchmark_id         BLOB    NOT NULL REFERENCES benchmarks (id) ON DELETE CASCADE,
    taken_at             INTEGER NOT NULL,
    cpu_percent          ANY     NOT NULL,
    process_cpu_percent  ANY     NOT NULL,
    process_memory_bytes INTEGER NOT NULL,
    used_memory_bytes    INTEGER NOT NULL,
    gpus                 TEXT    NOT NULL, -- JSON
    PRIMARY KEY (benchmark_id, taken_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
    name   TEXT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    path   TEXT NOT NULL,
    facts  TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE datasets (
    name        TEXT NOT NULL PRIMARY KEY,
    origin      TEXT NOT NULL,
    description TEXT NOT NULL,
    licence     TEXT,
    gold        TEXT NOT NULL, -- JSON
    splits      TEXT NOT NULL  -- JSON
) STRICT;

CREATE TABLE plugins (
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    origin     TEXT    NOT NULL,
    descriptor TEXT    NOT NULL, -- JSON
    exports    TEXT    NOT NULL, -- JSON
    imports    TEXT    NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    PRIMARY KEY (name, version)
) STRICT;

CREATE INDEX plugins_by_digest ON plugins (digest);
CREATE UNIQUE INDEX plugins_default ON plugins (name) WHERE is_default = 1;
