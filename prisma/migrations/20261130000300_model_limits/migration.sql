-- CreateTable
CREATE UNLOGGED TABLE "model_limit" (
    "namespace" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" BIGINT NOT NULL,
    "state" BYTEA NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "model_limit_pkey" PRIMARY KEY ("namespace","model")
);

-- Unlogged: it is written before every call of a Model with limits, and a commit that waits for the disk would cost several times the call's share of it. A crash of
-- Postgres empties it; gateways say within two seconds what they have under way, and what began in the last minute is forgotten.
-- One row per Model: room on its page keeps the writes there.
ALTER TABLE "model_limit" SET (fillfactor = 20);
