"""Old-fashioned words that no text for people may have."""

ANTIQUE = {
    r"\bstand(?:s|ing)? (?:in|beside|for|there|still)\b|\bstood\b": "is set in, is beside, means",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bbears?\b|\bborne\b": "tolerate",
    r"\bin place of\b": "instead of",
    r"\bhangs? (?:on|of)\b": "depends on",
    r"\bfor ever\b": "forever",
    r"\bseldom\b": "rarely",
    r"\banew\b": "again",
    r"\bshall\b": "must, will",
    r"\bbe it\b|\blest\b|\bhence\b|\bthence\b|\bwhence\b|\bthereof\b|\bwhilst\b": "plainer words",
}
"""Words that users of Kubernetes and PostgreSQL do not use, and what to write instead."""
