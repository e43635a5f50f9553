-- Tables of VendorSync itself. They span organizations, so they carry no row-level security.

CREATE TABLE vendorsync.applications (
    schema_name text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE vendorsync.applications IS
    'Schemas whose application tables were created by VendorSync and not by an application.';

CREATE TABLE vendorsync.bindings (
    organization_id bigint NOT NULL,
    vendor_name text NOT NULL,
    vendor_id bigint NOT NULL UNIQUE,
    adapter text NOT NULL,
    application_schema text NOT NULL,
    owner_namespace text NOT NULL,
    owner_name text NOT NULL,
    owner_uid text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, vendor_name)
);
COMMENT ON TABLE vendorsync.bindings IS
    'Which vendors row belongs to which vendor of which VendorSync resource.';

CREATE TABLE vendorsync.accounts (
    key bytea PRIMARY KEY,
    adapter text NOT NULL,
    host text NOT NULL,
    token text,
    metadata text,
    fingerprint bytea,
    expires_at timestamptz,
    obtained_at timestamptz,
    generation bigint NOT NULL DEFAULT 0,
    resting_until timestamptz,
    resting_reason text,
    resting_message text
) WITH (fillfactor = 70);
COMMENT ON TABLE vendorsync.accounts IS
    'Tokens of vendor accounts, encrypted; fingerprint is a keyed digest of the credentials used.';

CREATE TABLE vendorsync.blocks (
    account_key bytea NOT NULL REFERENCES vendorsync.accounts (key) ON DELETE CASCADE,
    fingerprint bytea NOT NULL,
    message text NOT NULL,
    blocked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_key, fingerprint)
);
COMMENT ON TABLE vendorsync.blocks IS
    'Credentials that a vendor refused; they are never tried again. Delete a row to allow one try.';

CREATE TABLE vendorsync.leases (
    vendor_id bigint NOT NULL,
    stream text NOT NULL,
    owner text NOT NULL,
    until timestamptz NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (vendor_id, stream)
) WITH (fillfactor = 50);
COMMENT ON TABLE vendorsync.leases IS
    'One writer per vendor and stream; epoch grows with each holder and fences the one before.';

CREATE TABLE vendorsync.runs (
    id uuid PRIMARY KEY,
    vendor_id bigint NOT NULL,
    organization_id bigint NOT NULL,
    stream text NOT NULL,
    job text NOT NULL,
    trigger text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    result text,
    reason text,
    message text,
    complete boolean NOT NULL DEFAULT false,
    chunk integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    updated integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    duplicate integer NOT NULL DEFAULT 0,
    vanished integer NOT NULL DEFAULT 0,
    calls integer NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX runs_newest ON vendorsync.runs (vendor_id, stream, started_at DESC);
COMMENT ON TABLE vendorsync.runs IS
    'Runs of the last 30 days; chunk is the last one whose rows are committed.';

CREATE TABLE vendorsync.hashes (
    vendor_id bigint NOT NULL,
    stream text NOT NULL,
    key text NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (vendor_id, stream, key)
) WITH (fillfactor = 90);
COMMENT ON TABLE vendorsync.hashes IS
    'Digest of what was last written for each record, so that unchanged ones are not written again.';

CREATE TABLE vendorsync.quarantine (
    vendor_id bigint NOT NULL,
    stream text NOT NULL,
    digest bytea NOT NULL,
    key text,
    reason text NOT NULL,
    record jsonb NOT NULL,
    run_id uuid NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (vendor_id, stream, digest)
);
COMMENT ON TABLE vendorsync.quarantine IS
    'Records that could not be stored, with the reason and without personal data.';
