-- The name of a call by all that its answer depends on; NULL where the answer is not to be found by it: the call
-- failed, was answered by another record, or is from before there were such names.
ALTER TABLE model_calls ADD COLUMN response_key BLOB CHECK (length(response_key) = 40);
-- Whether the answer is that of an earlier call.
ALTER TABLE model_calls ADD COLUMN is_cached INTEGER NOT NULL DEFAULT 0 CHECK (is_cached IN (0, 1));

-- Keys begin with a digest of the model, so this finds one answer, or whether a model has any.
CREATE INDEX model_calls_by_response ON model_calls (response_key) WHERE response_key IS NOT NULL;

-- Samples of which a call was answered by an earlier record, and such calls.
ALTER TABLE benchmarks ADD COLUMN cached_samples INTEGER NOT NULL DEFAULT 0;
ALTER TABLE benchmarks ADD COLUMN cached_calls INTEGER NOT NULL DEFAULT 0;
