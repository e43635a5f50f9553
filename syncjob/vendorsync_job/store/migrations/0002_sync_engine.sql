-- Vanished records, full compares, calls of vendor accounts, and places for runs.

ALTER TABLE vendorsync.hashes
    ADD COLUMN absences smallint NOT NULL DEFAULT 0,
    ADD COLUMN vanished_at timestamptz;
COMMENT ON COLUMN vendorsync.hashes.absences IS
    'Complete listings in a row that lacked the record.';

CREATE TABLE vendorsync.streams (
    vendor_id bigint NOT NULL,
    stream text NOT NULL,
    mapping_version integer,
    compared_at timestamptz,
    cursor text,
    PRIMARY KEY (vendor_id, stream)
) WITH (fillfactor = 70);
COMMENT ON TABLE vendorsync.streams IS
    'When rows were last compared in full, and where the next run of a long round goes on.';

CREATE TABLE vendorsync.calls (
    account_key bytea NOT NULL REFERENCES vendorsync.accounts (key) ON DELETE CASCADE,
    seconds integer NOT NULL,
    slice bigint NOT NULL,
    calls integer NOT NULL,
    PRIMARY KEY (account_key, seconds, slice)
) WITH (fillfactor = 50);
COMMENT ON TABLE vendorsync.calls IS
    'Calls taken of each allowance of an account; slice counts parts of its seconds since the epoch.';

CREATE TABLE vendorsync.slots (
    scope text NOT NULL,
    number integer NOT NULL,
    owner text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (scope, number)
) WITH (fillfactor = 50);
COMMENT ON TABLE vendorsync.slots IS
    'Places for runs at an account or an adapter; each expires by itself.';

ALTER TABLE vendorsync.accounts
    ADD COLUMN stolen_at timestamptz[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN vendorsync.accounts.stolen_at IS
    'When a token that should have lived was found dead: another program uses the account.';

ALTER TABLE vendorsync.runs ADD COLUMN repaired integer NOT NULL DEFAULT 0;
