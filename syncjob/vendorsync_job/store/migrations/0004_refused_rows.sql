-- Rows that the application's tables refused are remembered, so that they are not offered each time.

ALTER TABLE vendorsync.quarantine ADD COLUMN row_hash bytea;
COMMENT ON COLUMN vendorsync.quarantine.row_hash IS
    'Digest of the row that the database refused; it is offered again when it changes, and with the full compare.';
