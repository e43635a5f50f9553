-- Allowances that are declared, and calls that count per app of a vendor.

-- Calls count for an account or for an app, and an app is no account.
ALTER TABLE vendorsync.calls DROP CONSTRAINT calls_account_key_fkey;
COMMENT ON TABLE vendorsync.calls IS
    'Calls taken of each allowance of an account or app; slice counts parts of its seconds since the epoch.';
COMMENT ON COLUMN vendorsync.calls.account_key IS
    'Key of the account, or of the app whose accounts are counted together.';

CREATE TABLE vendorsync.allowances (
    key bytea NOT NULL,
    seconds integer NOT NULL,
    organization_id bigint NOT NULL,
    vendor_name text NOT NULL,
    calls integer NOT NULL,
    declared_at timestamptz NOT NULL,
    PRIMARY KEY (key, seconds, organization_id, vendor_name)
) WITH (fillfactor = 70);
COMMENT ON TABLE vendorsync.allowances IS
    'What vendors of resources declare of an account or app; of those of the last week the smallest holds. Delete a row to have it forgotten.';
