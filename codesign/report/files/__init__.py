"""`report.json`, `report.md` and `report.html`: written, extended later on, and compared."""
