-- Each replica of the API looks for imports that nobody works on.
CREATE INDEX CONCURRENTLY "import_running" ON "import" ("created_at") WHERE "status" = 'RUNNING';
