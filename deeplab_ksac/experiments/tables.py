"""All of the thesis's tables of results, in its order; each is a module beside this one."""

import importlib

NUMBERS = (
    *("2.1", "2.2", "2.3", "2.4"),
    *("3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11"),
    *("4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8"),
)
TABLES = {
    number: importlib.import_module(f"deeplab_ksac.experiments.table_{number.replace('.', '_')}").TABLE
    for number in NUMBERS
}
TABLE_ROWS = {f"{table.name}:{label}": row for table in TABLES.values() for label, row in table.rows.items()}
