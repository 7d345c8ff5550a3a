"""What a setting must be, in our words, where pydantic refuses its value: it knows no person who edits a file.

Knows no file and no setting.
"""

from typing import Any, Final

_KINDS: Final = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_": "text",
    "tuple_": "a list, as in [60, 300] or ['a', 'b']",
}


def demand(fault: Any, key: str) -> str:
    """What comes behind the setting's name: a fault is one of ValidationError.errors(), `key` names a table."""
    bounds = fault.get("ctx", {})
    match fault["type"]:
        case "value_error":
            return str(bounds["error"])
        case "missing":
            return "is missing"
        case "greater_than":
            return f"must be more than {bounds['gt']:g}"
        case "greater_than_equal":
            return f"must be at least {bounds['ge']:g}"
        case "less_than_equal":
            return f"must be at most {bounds['le']:g}"
        case "string_too_short":
            return f"must have at least {bounds['min_length']} characters"
        case "literal_error" | "enum":
            return f"must be {bounds['expected']}"
        case "model_type" | "model_attributes_type":
            return f"must be a table: [{key}]"
        case "dict_type":
            return "must be a table, as in {partner = '10.9.0.0/16'}"
    kind = next((words for part, words in _KINDS.items() if fault["type"].startswith(part)), None)
    return f"must be {kind or 'another value'}"
