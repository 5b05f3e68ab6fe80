-- An import that was killed goes on from its export, which is dropped once all of it is in its items.
ALTER TABLE "import" ADD COLUMN "source" BYTEA;
-- SHA-256 of the record as it was taken last: a second import changes only what has changed in the prototype.
ALTER TABLE "imported_id" ADD COLUMN "digest" BYTEA;
