-- What has lain in the bin long enough is swept.
CREATE INDEX CONCURRENTLY "file_in_bin" ON "file" ("deleted_at") WHERE "deleted_at" IS NOT NULL;
