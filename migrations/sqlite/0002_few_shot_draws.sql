-- Rows of the few-shot split that were drawn at random for each evaluated row of a benchmark.
CREATE TABLE few_shot_draws (
    benchmark_id BLOB    NOT NULL PRIMARY KEY REFERENCES benchmarks (id) ON DELETE CASCADE,
    count        INTEGER NOT NULL, -- rows of one draw
    rows         BLOB    NOT NULL  -- row numbers as LEB128, draw behind draw
) STRICT;
