-- The scan that a picture was cut out of; NULL for what came here by itself, and when the scan is gone.
ALTER TABLE media ADD COLUMN scan_id BLOB REFERENCES media (id) ON DELETE SET NULL;
CREATE INDEX media_by_scan ON media (scan_id) WHERE scan_id IS NOT NULL;
