"""Which vendors row a vendor of a resource writes to: decided once, kept, never guessed by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from vendorsync_job.errors import BindingConflictError

if TYPE_CHECKING:
    from vendorsync_api.run import RunSpec
    from vendorsync_job.store.connection import Cursor


def bind(cursor: Cursor, spec: RunSpec) -> int:
    """Return vendors.id for the run, binding it on the first run.

    Raises BindingConflictError when the database binds the organization to another resource, or
    the vendor to another adapter, id or schema, and when the row is not there.
    """
    cursor.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
        [f"vendorsync.bindings/{spec.organization.id}"],
    )
    found = find(cursor, spec)
    if found is None:
        return _create(cursor, spec)
    cursor.execute(
        "UPDATE vendorsync.bindings SET owner_uid = %(uid)s"
        " WHERE organization_id = %(organization)s AND vendor_name = %(vendor)s"
        " AND owner_uid <> %(uid)s AND %(uid)s <> ''",
        _names(spec),
    )
    return found


def find(cursor: Cursor, spec: RunSpec) -> int | None:
    """Return the bound vendors.id, None before the first run; raises as `bind` does."""
    _refuse_another_owner(cursor, spec)
    cursor.execute(
        "SELECT vendor_id, adapter, application_schema FROM vendorsync.bindings"
        " WHERE organization_id = %(organization)s AND vendor_name = %(vendor)s",
        _names(spec),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    vendor_id, adapter, schema = row
    wanted = (
        spec.vendor.id or vendor_id,
        spec.vendor.adapter,
        spec.application_schema,
    )
    if (vendor_id, adapter, schema) != wanted:
        raise BindingConflictError(
            f"{_row(spec)} binds it to vendors.id {vendor_id}, adapter {adapter}, schema {schema};"
            f" the run asks for vendors.id {wanted[0]}, adapter {wanted[1]}, schema {wanted[2]}"
        )
    _require_row(cursor, spec, vendor_id)
    return int(vendor_id)


def _refuse_another_owner(cursor: Cursor, spec: RunSpec) -> None:
    """A resource that was made anew keeps its namespace and name, and takes its rows over."""
    cursor.execute(
        "SELECT vendor_name, owner_namespace, owner_name FROM vendorsync.bindings"
        " WHERE organization_id = %(organization)s"
        " AND (owner_namespace, owner_name) <> (%(namespace)s, %(name)s)"
        " ORDER BY vendor_name LIMIT 1",
        _names(spec),
    )
    row = cursor.fetchone()
    if row is not None:
        vendor_name, namespace, name = row
        raise BindingConflictError(
            f"organization {spec.organization.id} is bound to resource {namespace}/{name} by the"
            f" row of vendorsync.bindings for its vendor {vendor_name!r}"
        )


def _create(cursor: Cursor, spec: RunSpec) -> int:
    vendor_id = spec.vendor.id
    if vendor_id is None:
        _ensure_organization(cursor, spec)
        vendor_id = _insert_vendor(cursor, spec)
    else:
        _require_row(cursor, spec, vendor_id)
    cursor.execute(
        "SELECT organization_id, vendor_name FROM vendorsync.bindings WHERE vendor_id = %s",
        [vendor_id],
    )
    row = cursor.fetchone()
    if row is not None:
        raise BindingConflictError(
            f"vendors.id {vendor_id} is bound to vendor {row[1]!r} of organization {row[0]}"
            " by its row of vendorsync.bindings"
        )
    cursor.execute(
        "INSERT INTO vendorsync.bindings (organization_id, vendor_name, vendor_id, adapter,"
        " application_schema, owner_namespace, owner_name, owner_uid) VALUES (%(organization)s,"
        " %(vendor)s, %(vendor_id)s, %(adapter)s, %(schema)s, %(namespace)s, %(name)s, %(uid)s)",
        _names(spec) | {"vendor_id": vendor_id},
    )
    return int(vendor_id)


def _require_row(cursor: Cursor, spec: RunSpec, vendor_id: int) -> None:
    cursor.execute(
        sql.SQL("SELECT org_id FROM {} WHERE id = %s").format(_table(spec, "vendors")), [vendor_id]
    )
    row = cursor.fetchone()
    if row is None or row[0] != spec.organization.id:
        # Under row-level security another organization's row cannot be told from an absent one.
        raise BindingConflictError(
            f"vendors.id {vendor_id} is no row of organization {spec.organization.id} in schema"
            f" {spec.application_schema}"
        )


def _ensure_organization(cursor: Cursor, spec: RunSpec) -> None:
    organizations = _table(spec, "organizations")
    identity = [spec.organization.id]
    cursor.execute(sql.SQL("SELECT FROM {} WHERE id = %s").format(organizations), identity)
    if cursor.rowcount:
        return
    cursor.execute(
        "SELECT FROM vendorsync.applications WHERE schema_name = %s", [spec.application_schema]
    )
    if not cursor.rowcount:
        raise BindingConflictError(
            f"organizations.id {spec.organization.id} does not exist in schema"
            f" {spec.application_schema}; correct spec.organization.id or insert the row"
        )
    cursor.execute(
        sql.SQL("INSERT INTO {} (id, name) VALUES (%s, %s)").format(organizations),
        [spec.organization.id, spec.organization.name],
    )


def _insert_vendor(cursor: Cursor, spec: RunSpec) -> int:
    """Insert a vendors row with those of the usual columns that the table has."""
    values: dict[str, Any] = {"name": spec.vendor.title, "vendor_type": spec.vendor.adapter}
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attname = ANY (%s)"
        " AND NOT attisdropped",
        [_table(spec, "vendors").as_string(cursor), list(values)],
    )
    present = {name for (name,) in cursor.fetchall()}
    row = {"org_id": spec.organization.id} | {k: v for k, v in values.items() if k in present}
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
        _table(spec, "vendors"),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    try:
        cursor.execute(statement, list(row.values()))
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise BindingConflictError(
            f"no vendors row can be inserted ({type(error).__name__} on"
            f" {error.diag.column_name or error.diag.constraint_name}); insert it by hand and set"
            " vendors[].id"
        ) from None
    (vendor_id,) = cursor.fetchone() or (0,)
    return int(vendor_id)


def _table(spec: RunSpec, name: str) -> sql.Identifier:
    return sql.Identifier(spec.application_schema, name)


def _row(spec: RunSpec) -> str:
    return (
        f"the row of vendorsync.bindings for vendor {spec.vendor.name!r} of organization"
        f" {spec.organization.id}"
    )


def _names(spec: RunSpec) -> dict[str, Any]:
    return {
        "organization": spec.organization.id,
        "vendor": spec.vendor.name,
        "adapter": spec.vendor.adapter,
        "schema": spec.application_schema,
        "namespace": spec.resource.namespace,
        "name": spec.resource.name,
        "uid": spec.resource.uid,
    }
