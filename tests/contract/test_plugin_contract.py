"""Every plugin keeps the contract: the built-in ones and the fake."""

from __future__ import annotations

from optimind.plugins.attendance import AttendancePlugin
from optimind.testing.plugins import FakePlugin, PluginContract


class TestAttendancePlugin(PluginContract):
    plugin_type = AttendancePlugin


class TestFakePlugin(PluginContract):
    plugin_type = FakePlugin
