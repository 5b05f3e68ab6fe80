-- One name per folder among what is not deleted; at the top there is no parent.
CREATE UNIQUE INDEX CONCURRENTLY "file_one_name" ON "file" ("project_id", "area", (COALESCE("parent_id", '00000000-0000-0000-0000-000000000000'::uuid)), "name") WHERE "deleted_at" IS NULL;
