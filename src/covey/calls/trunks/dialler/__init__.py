"""The dialler: a process that owns one SIP stack and up to 100 calls, and lives no longer than its parent."""
