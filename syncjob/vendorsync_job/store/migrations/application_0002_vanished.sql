-- Plants that left their vendor's list stay, with the time when that was noticed.

ALTER TABLE plants ADD COLUMN IF NOT EXISTS vanished_at timestamptz;
CREATE INDEX alerts_active ON alerts (vendor_id, vendor_alert_id) WHERE status = 'active';
