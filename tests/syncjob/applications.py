"""Application tables as the old system's owner made them: other types, columns of their own."""

OLD_APPLICATION = (
    "CREATE TABLE organizations (id serial PRIMARY KEY, name varchar(100) NOT NULL,"
    " auto_sync_enabled boolean DEFAULT false, sync_interval_minutes integer DEFAULT 15)",
    "CREATE TABLE vendors (id serial PRIMARY KEY, org_id integer REFERENCES organizations,"
    " name varchar(100) NOT NULL, vendor_type varchar(20) NOT NULL, is_active boolean"
    " DEFAULT true, credentials jsonb, access_token text, token_expires_at timestamptz,"
    " token_metadata jsonb, last_synced_at timestamp)",
    "CREATE TABLE plants (id serial PRIMARY KEY, org_id integer NOT NULL REFERENCES organizations,"
    " vendor_id integer NOT NULL REFERENCES vendors, vendor_plant_id varchar(64) NOT NULL,"
    " name varchar(200) NOT NULL, capacity_kw double precision, notes text DEFAULT 'none',"
    " created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now(),"
    " UNIQUE (vendor_id, vendor_plant_id))",
    "CREATE TABLE alerts (id serial PRIMARY KEY, org_id integer NOT NULL, vendor_id integer"
    " NOT NULL, plant_id integer NOT NULL REFERENCES plants, vendor_alert_id varchar(64) NOT NULL,"
    " title text NOT NULL, severity varchar(10), status varchar(10) NOT NULL,"
    " started_at timestamptz NOT NULL, UNIQUE (vendor_id, vendor_alert_id))",
    "INSERT INTO organizations (id, name) VALUES (3, 'Organization A')",
    "INSERT INTO vendors (id, org_id, name, vendor_type) VALUES (1, 3, 'Solarman', 'solarman')",
)

WORK_ORDERS = (
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN NEW.updated_at := now(); RETURN NEW; END'",
    "CREATE TYPE vendor_kind AS ENUM ('SOLARMAN', 'SUNGROW', 'OTHER')",
    "CREATE TABLE organizations (id serial PRIMARY KEY, name text NOT NULL,"
    " auto_sync_enabled boolean NOT NULL DEFAULT true, sync_interval_minutes integer NOT NULL"
    " DEFAULT 15 CHECK (sync_interval_minutes BETWEEN 1 AND 1440),"
    " updated_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE vendors (id serial PRIMARY KEY, name text NOT NULL, vendor_type vendor_kind"
    " NOT NULL, credentials jsonb NOT NULL, org_id integer REFERENCES organizations,"
    " access_token text, refresh_token text, token_expires_at timestamptz, token_metadata jsonb,"
    " is_active boolean NOT NULL DEFAULT true, last_synced_at timestamptz,"
    " updated_at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE plants (id serial PRIMARY KEY, org_id integer NOT NULL REFERENCES organizations"
    " ON DELETE CASCADE, vendor_id integer NOT NULL REFERENCES vendors ON DELETE CASCADE,"
    " vendor_plant_id text NOT NULL, name text NOT NULL, capacity_kw numeric(10, 2) NOT NULL,"
    " location jsonb DEFAULT '{}', current_power_kw numeric(10, 3), daily_energy_mwh"
    " numeric(10, 3), last_update_time timestamptz, last_refreshed_at timestamptz,"
    " network_status text, vendor_created_date timestamptz, start_operating_time timestamptz,"
    " created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),"
    " UNIQUE (vendor_id, vendor_plant_id))",
    "CREATE TRIGGER touch BEFORE UPDATE ON plants FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE TABLE alerts (id serial PRIMARY KEY, plant_id integer NOT NULL REFERENCES plants,"
    " vendor_alert_id text, title text NOT NULL)",
    "INSERT INTO organizations (id, name) VALUES (3, 'Organization A')",
    "INSERT INTO vendors (id, org_id, name, vendor_type, credentials)"
    " VALUES (1, 3, 'Solarman', 'SOLARMAN', '{}')",
)
"""Tables of the work-order application as of 20 November, made after the facts about them."""
