-- CreateTable
CREATE TABLE "run" (
    "id" UUID NOT NULL,
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT,
    "source" TEXT NOT NULL,
    "shard" SMALLINT NOT NULL,
    "workflow" TEXT,
    "definition_hash" TEXT NOT NULL,
    "spec_hash" TEXT,
    "input" BYTEA NOT NULL,
    "workflow_labels" BYTEA,
    "priority" INTEGER NOT NULL DEFAULT 0,
    "principal" TEXT NOT NULL,
    "traceparent" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "phase" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "cancel" TEXT,
    "suspended" BOOLEAN NOT NULL DEFAULT false,
    "exit_phase" TEXT,
    "outputs" BYTEA,
    "error" BYTEA,
    "version" INTEGER NOT NULL DEFAULT 1,
    "seq" INTEGER NOT NULL DEFAULT 0,
    "total" INTEGER NOT NULL DEFAULT 0,
    "done" INTEGER NOT NULL DEFAULT 0,
    "counts" TEXT,
    "failures" BYTEA,
    "projected_version" INTEGER,
    "projected_final" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "definition" (
    "hash" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "definition_pkey" PRIMARY KEY ("hash")
);

-- CreateTable
CREATE TABLE "node_run" (
    "run_id" UUID NOT NULL,
    "node" TEXT NOT NULL,
    "item" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "retries" INTEGER NOT NULL,
    "infra" INTEGER NOT NULL,
    "output" BYTEA,
    "error" BYTEA,
    "queued_at" TIMESTAMPTZ(6),
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "due_at" TIMESTAMPTZ(6),
    "items" BYTEA,
    "secret_hash" BYTEA,
    "send" INTEGER NOT NULL DEFAULT 0,
    "pool" TEXT,
    "mode" TEXT,
    "pod" TEXT,

    CONSTRAINT "node_run_pkey" PRIMARY KEY ("run_id","node","item")
);

-- CreateTable
CREATE TABLE "attempt" (
    "run_id" UUID NOT NULL,
    "node" TEXT NOT NULL,
    "item" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "error" BYTEA,
    "queued_at" TIMESTAMPTZ(6),
    "started_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6) NOT NULL,
    "pod" TEXT,
    "runner" TEXT,

    CONSTRAINT "attempt_pkey" PRIMARY KEY ("run_id","node","item","attempt")
);

-- CreateTable
CREATE TABLE "run_event" (
    "run_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "kind" TEXT NOT NULL,
    "node" TEXT,
    "item" INTEGER,
    "attempt" INTEGER,
    "reason" TEXT,
    "principal" TEXT,

    CONSTRAINT "run_event_pkey" PRIMARY KEY ("run_id","seq")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "shard" SMALLINT NOT NULL,
    "run_id" UUID NOT NULL,
    "node" TEXT NOT NULL,
    "item" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "send" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "timer" (
    "run_id" UUID NOT NULL,
    "timer" TEXT NOT NULL,
    "shard" SMALLINT NOT NULL,
    "due_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "timer_pkey" PRIMARY KEY ("run_id","timer")
);

-- CreateTable
CREATE TABLE "idempotency" (
    "namespace" TEXT NOT NULL,
    "principal" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "run_id" UUID NOT NULL,
    "body_hash" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "idempotency_pkey" PRIMARY KEY ("namespace","principal","key")
);

-- CreateTable
CREATE TABLE "shard" (
    "id" SMALLINT NOT NULL,
    "owner" TEXT,
    "epoch" BIGINT NOT NULL DEFAULT 0,
    "lease_until" TIMESTAMPTZ(6),

    CONSTRAINT "shard_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "dead_letter" (
    "id" BIGSERIAL NOT NULL,
    "subject" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "payload" BYTEA NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dead_letter_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "workflow" (
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "resource_version" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "hash" TEXT NOT NULL,
    "phase" TEXT NOT NULL,
    "node_count" INTEGER NOT NULL,
    "labels" BYTEA,
    "problems" BYTEA,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "workflow_pkey" PRIMARY KEY ("namespace","name")
);

-- CreateTable
CREATE TABLE "workflow_node" (
    "namespace" TEXT NOT NULL,
    "workflow" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "config" BYTEA NOT NULL,

    CONSTRAINT "workflow_node_pkey" PRIMARY KEY ("namespace","workflow","name")
);

-- CreateTable
CREATE TABLE "runner_pool" (
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "resource_version" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "labels" BYTEA,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "runner_pool_pkey" PRIMARY KEY ("namespace","name")
);

-- CreateIndex
CREATE UNIQUE INDEX "run_uid_key" ON "run"("uid");

-- CreateIndex
CREATE INDEX "run_by_namespace" ON "run"("namespace", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "run_by_workflow" ON "run"("namespace", "workflow", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "run_by_phase" ON "run"("namespace", "phase", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "run_by_name" ON "run"("namespace", "name");

-- CreateIndex
CREATE INDEX "outbox_by_shard" ON "outbox"("shard", "id");

-- CreateIndex
CREATE INDEX "timer_by_due" ON "timer"("shard", "due_at");

-- CreateIndex
CREATE INDEX "idempotency_by_expiry" ON "idempotency"("expires_at");

-- CreateIndex
CREATE INDEX "dead_letter_by_time" ON "dead_letter"("at");

-- AddForeignKey
ALTER TABLE "workflow_node" ADD CONSTRAINT "workflow_node_namespace_workflow_fkey" FOREIGN KEY ("namespace", "workflow") REFERENCES "workflow"("namespace", "name") ON DELETE CASCADE ON UPDATE CASCADE;


-- By hand from here on: what schema.prisma cannot say.

-- Hot rows are updated in place (HOT): room on every page, no updated column in an index but `phase` and `finished_at`.
ALTER TABLE "run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "node_run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
-- 257 rows renewed every second and share-locked by every commit.
ALTER TABLE "shard" SET (fillfactor = 25, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0);
-- Queues: rows live for milliseconds.
ALTER TABLE "outbox" SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.1);
ALTER TABLE "timer" SET (fillfactor = 70, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.1);

-- Live runs in order of their id: what an owner loads.
CREATE INDEX "run_live" ON "run"("id") INCLUDE ("shard") WHERE "finished_at" IS NULL;
-- Runs whose end has not reached their WorkflowRun yet.
CREATE INDEX "run_unprojected" ON "run"("id") INCLUDE ("shard") WHERE "uid" IS NOT NULL AND "finished_at" IS NOT NULL AND NOT "projected_final";

ALTER TABLE "run"
  ADD CONSTRAINT "run_shard_range" CHECK ("shard" BETWEEN 0 AND 255),
  ADD CONSTRAINT "run_source_known" CHECK ("source" IN ('cr', 'api', 'trigger', 'retry')),
  ADD CONSTRAINT "run_phase_known" CHECK ("phase" IN ('Pending', 'Running', 'Suspended', 'Succeeded', 'Failed', 'Cancelled')),
  ADD CONSTRAINT "run_exit_phase_known" CHECK ("exit_phase" IN ('Succeeded', 'Failed', 'Cancelled')),
  ADD CONSTRAINT "run_cancel_known" CHECK ("cancel" IN ('Graceful', 'Now')),
  ADD CONSTRAINT "run_final_has_end" CHECK (("phase" IN ('Succeeded', 'Failed', 'Cancelled')) = ("finished_at" IS NOT NULL)),
  ADD CONSTRAINT "run_counters" CHECK ("version" > 0 AND "seq" >= 0 AND "done" >= 0 AND "done" <= "total"),
  ADD CONSTRAINT "run_sizes" CHECK (octet_length("input") <= 16777216 AND octet_length("outputs") <= 16777216);

ALTER TABLE "node_run"
  ADD CONSTRAINT "node_run_item_range" CHECK ("item" >= -1),
  ADD CONSTRAINT "node_run_status_known" CHECK ("status" IN ('Pending', 'Queued', 'Running', 'Waiting', 'Succeeded', 'Failed', 'Skipped', 'Omitted', 'Cancelled')),
  ADD CONSTRAINT "node_run_mode_known" CHECK ("mode" IN ('inline', 'warm', 'pod')),
  ADD CONSTRAINT "node_run_counters" CHECK ("attempt" >= 0 AND "retries" >= 0 AND "infra" >= 0 AND "send" >= 0),
  ADD CONSTRAINT "node_run_sizes" CHECK (octet_length("output") <= 4194304);

ALTER TABLE "attempt"
  ADD CONSTRAINT "attempt_status_known" CHECK ("status" IN ('Succeeded', 'Failed', 'Cancelled')),
  ADD CONSTRAINT "attempt_number" CHECK ("attempt" >= 1 AND "item" >= -1);

ALTER TABLE "run_event" ADD CONSTRAINT "run_event_seq" CHECK ("seq" >= 1);

ALTER TABLE "dead_letter" ADD CONSTRAINT "dead_letter_size" CHECK (octet_length("payload") <= 65536);

ALTER TABLE "shard" ADD CONSTRAINT "shard_range" CHECK ("id" BETWEEN 0 AND 256);

ALTER TABLE "workflow" ADD CONSTRAINT "workflow_phase_known" CHECK ("phase" IN ('Ready', 'Invalid'));

-- 256 shards of runs (0 to 255) and the one of singletons (256).
INSERT INTO "shard" ("id") SELECT generate_series(0, 256);
