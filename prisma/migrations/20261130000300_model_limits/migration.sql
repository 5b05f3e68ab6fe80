-- CreateTable
CREATE TABLE "model_limit" (
    "namespace" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" BIGINT NOT NULL,
    "state" BYTEA NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "model_limit_pkey" PRIMARY KEY ("namespace","model")
);

-- One row per Model with limits, written for every call of it: room on its page keeps the writes there.
ALTER TABLE "model_limit" SET (fillfactor = 20);
