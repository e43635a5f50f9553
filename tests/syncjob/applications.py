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
