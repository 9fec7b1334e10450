"""What people take out by hand: records and a class's month, as tables, files for programs, or on paper."""

from optimind.exports.files import replace_file
from optimind.exports.month import MonthRegister, month_register
from optimind.exports.month_tables import MonthFormat, write_month
from optimind.exports.records import COLUMNS, RegisterFormat, write_register

__all__ = [
    "COLUMNS",
    "MonthFormat",
    "MonthRegister",
    "RegisterFormat",
    "month_register",
    "replace_file",
    "write_month",
    "write_register",
]
