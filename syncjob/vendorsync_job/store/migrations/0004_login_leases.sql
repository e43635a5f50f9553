-- Who logs in to an account just now: no transaction is open while a vendor answers.

ALTER TABLE vendorsync.accounts
    ADD COLUMN login_owner text,
    ADD COLUMN login_until timestamptz;
COMMENT ON COLUMN vendorsync.accounts.login_owner IS
    'The process that logs in, or did so last; nobody else does before login_until, if that is set.';
