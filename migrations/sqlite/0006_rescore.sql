-- Whether a call was made to solve its sample or to judge it.
ALTER TABLE model_calls ADD COLUMN phase TEXT NOT NULL DEFAULT 'solve' CHECK (phase IN ('solve', 'score'));

-- Whether a sample differs from that of the benchmark whose record it was judged by; NULL: there is none to compare.
ALTER TABLE samples ADD COLUMN differs INTEGER CHECK (differs IN (0, 1));
CREATE INDEX samples_compared ON samples (benchmark_id, differs, sample_index) WHERE differs IS NOT NULL;

-- What came of scoring the stored solutions of a benchmark again, the last time.
CREATE TABLE verifications (
    benchmark_id BLOB    NOT NULL PRIMARY KEY REFERENCES benchmarks (id) ON DELETE CASCADE,
    verified_at  INTEGER NOT NULL,
    verification TEXT    NOT NULL -- JSON
) STRICT;
