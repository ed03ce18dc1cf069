-- Calls of the host's functions that a sample's guests made; of samples from before they were kept: none.
ALTER TABLE samples ADD COLUMN host_calls INTEGER NOT NULL DEFAULT 0;
