-- CreateTable
CREATE TABLE "replica" (
    "name" TEXT NOT NULL,
    "lease_until" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "replica_pkey" PRIMARY KEY ("name")
);


-- By hand from here on: what schema.prisma cannot say.

-- A handful of rows renewed every second.
ALTER TABLE "replica" SET (fillfactor = 25, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);
