"""What every model of the contract shares: names on the wire, and facts about each field.

A field says what it is for, gives an example, and names its unit if it is a number. The CRD, the
field reference and their tests are made from that, so nothing has to be written twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def rules_of(*rules: dict[str, Any]) -> ConfigDict:
    """Return the model configuration that carries CEL rules on a whole object."""
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": list(rules)})


class Model(BaseModel):
    """A frozen value whose fields are camelCase on the wire and snake_case in Python."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )

    def wire(self) -> dict[str, Any]:
        """Return the JSON object, without fields that are not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rule(expression: str, message: str, *, computed: str | None = None) -> dict[str, Any]:
    """Return one CEL rule of a CRD (KEP-2876).

    `computed` is a CEL expression for a message that shows the value at fault. `message` is used
    instead of it in the reference, and where the expression cannot be evaluated.
    """
    found: dict[str, Any] = {"rule": expression, "message": message}
    if computed is not None:
        found["messageExpression"] = computed
    return found


def about(
    description: str,
    *,
    example: object,
    unit: str | None = None,
    rules: list[dict[str, Any]] | None = None,
    schema: dict[str, Any] | None = None,
    **constraints: Any,
) -> FieldInfo:
    """Return pydantic field metadata for use inside `Annotated`.

    `unit` is the unit of a number. `rules` are CEL rules on this leaf. `schema` has further OpenAPI
    keywords (`x-kubernetes-list-type` and the like). `constraints` go to `pydantic.Field`.
    """
    extra: dict[str, Any] = dict(schema or {})
    if unit is not None:
        extra["unit"] = unit
    if rules:
        extra["x-kubernetes-validations"] = rules
    found: FieldInfo = Field(
        description=description, examples=[example], json_schema_extra=extra, **constraints
    )
    return found
