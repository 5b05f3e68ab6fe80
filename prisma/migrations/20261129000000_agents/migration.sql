-- CreateTable
CREATE TABLE "agent" (
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "resource_version" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "labels" BYTEA,
    "phase" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "desired_revision" TEXT,
    "stable_revision" TEXT,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_pkey" PRIMARY KEY ("namespace","name")
);

-- CreateTable
CREATE TABLE "language_model" (
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "resource_version" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "labels" BYTEA,
    "phase" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "probed_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "language_model_pkey" PRIMARY KEY ("namespace","name")
);

-- CreateTable
CREATE TABLE "tool_server" (
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "resource_version" TEXT NOT NULL,
    "spec" BYTEA NOT NULL,
    "labels" BYTEA,
    "phase" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "tools" BYTEA,
    "discovery_hash" TEXT,
    "accepted_hash" TEXT,
    "discovered_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "tool_server_pkey" PRIMARY KEY ("namespace","name")
);

-- CreateTable
CREATE TABLE "agent_revision" (
    "hash" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "agent" TEXT,
    "spec" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_revision_pkey" PRIMARY KEY ("hash")
);

-- CreateTable
CREATE TABLE "agent_key" (
    "kid" TEXT NOT NULL,
    "jwk" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_key_pkey" PRIMARY KEY ("kid")
);

-- CreateTable
CREATE TABLE "agent_run" (
    "id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "node" TEXT NOT NULL,
    "item" INTEGER NOT NULL,
    "namespace" TEXT NOT NULL,
    "agent" TEXT,
    "revision" TEXT NOT NULL,
    "root_run" UUID NOT NULL,
    "parent" UUID,
    "depth" SMALLINT NOT NULL,
    "conversation_id" UUID,
    "turn" INTEGER NOT NULL DEFAULT 0,
    "principal" TEXT NOT NULL,
    "phase" TEXT NOT NULL,
    "reason" TEXT,
    "message" TEXT,
    "step" INTEGER NOT NULL DEFAULT 0,
    "seq" INTEGER NOT NULL DEFAULT 0,
    "epoch" INTEGER NOT NULL,
    "runner" TEXT,
    "parked" BOOLEAN NOT NULL DEFAULT false,
    "awaited" INTEGER NOT NULL DEFAULT 0,
    "accounts" TEXT[],
    "repairs" INTEGER NOT NULL DEFAULT 0,
    "input_tokens" BIGINT NOT NULL DEFAULT 0,
    "cached_tokens" BIGINT NOT NULL DEFAULT 0,
    "output_tokens" BIGINT NOT NULL DEFAULT 0,
    "reasoning_tokens" BIGINT NOT NULL DEFAULT 0,
    "model_calls" INTEGER NOT NULL DEFAULT 0,
    "tool_calls" INTEGER NOT NULL DEFAULT 0,
    "cost_nano" BIGINT NOT NULL DEFAULT 0,
    "usage_unknown" BOOLEAN NOT NULL DEFAULT false,
    "pending_approvals" INTEGER NOT NULL DEFAULT 0,
    "output" BYTEA,
    "deadline" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "finished_at" TIMESTAMPTZ(6),

    CONSTRAINT "agent_run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_event" (
    "agent_run" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "kind" TEXT NOT NULL,
    "step" INTEGER,
    "call_id" TEXT,
    "payload" BYTEA NOT NULL,

    CONSTRAINT "agent_event_pkey" PRIMARY KEY ("agent_run","seq")
);

-- CreateTable
CREATE TABLE "agent_reservation" (
    "id" UUID NOT NULL,
    "agent_run" UUID NOT NULL,
    "step" INTEGER NOT NULL,
    "purpose" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "tokens" BIGINT NOT NULL,
    "nano" BIGINT NOT NULL,
    "accounts" TEXT[],
    "holder" TEXT NOT NULL,
    "holder_until" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_reservation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_call" (
    "agent_run" UUID NOT NULL,
    "call_id" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "tool" TEXT NOT NULL,
    "effect" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "args_hash" TEXT NOT NULL,
    "arguments" BYTEA NOT NULL,
    "state" TEXT NOT NULL,
    "holder" TEXT,
    "holder_until" TIMESTAMPTZ(6),
    "tries" INTEGER NOT NULL DEFAULT 0,
    "child_run" UUID,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_call_pkey" PRIMARY KEY ("agent_run","call_id")
);

-- CreateTable
CREATE TABLE "agent_approval" (
    "id" UUID NOT NULL,
    "agent_run" UUID NOT NULL,
    "call_id" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "tool" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "preview" BYTEA NOT NULL,
    "approvers" TEXT[],
    "state" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "decided_by" TEXT,
    "decided_at" TIMESTAMPTZ(6),
    "reason" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_approval_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_conversation" (
    "id" UUID NOT NULL,
    "namespace" TEXT NOT NULL,
    "agent" TEXT NOT NULL,
    "principal" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "turns" INTEGER NOT NULL DEFAULT 0,
    "revision" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_conversation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "budget_account" (
    "key" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "level" TEXT NOT NULL,
    "limit_tokens" BIGINT,
    "limit_nano" BIGINT,
    "reserved_tokens" BIGINT NOT NULL DEFAULT 0,
    "reserved_nano" BIGINT NOT NULL DEFAULT 0,
    "spent_tokens" BIGINT NOT NULL DEFAULT 0,
    "spent_nano" BIGINT NOT NULL DEFAULT 0,
    "warned" BOOLEAN NOT NULL DEFAULT false,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "budget_account_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "budget_limit" (
    "namespace" TEXT NOT NULL,
    "level" TEXT NOT NULL,
    "name" TEXT NOT NULL DEFAULT '',
    "tokens" BIGINT,
    "nano" BIGINT,
    "updated_by" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "budget_limit_pkey" PRIMARY KEY ("namespace","level","name")
);

-- CreateTable
CREATE TABLE "agent_memory" (
    "id" UUID NOT NULL,
    "namespace" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "text" TEXT NOT NULL,
    "embedding" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6),

    CONSTRAINT "agent_memory_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "agent_revision_by_agent" ON "agent_revision"("namespace", "agent", "created_at" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_run" ON "agent_run"("run_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_parent" ON "agent_run"("parent");

-- CreateIndex
CREATE INDEX "agent_run_by_namespace" ON "agent_run"("namespace", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_agent" ON "agent_run"("namespace", "agent", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_agent_phase" ON "agent_run"("namespace", "agent", "phase", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_agent_end" ON "agent_run"("namespace", "agent", "finished_at");

-- CreateIndex
CREATE INDEX "agent_run_by_phase" ON "agent_run"("namespace", "phase", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_conversation" ON "agent_run"("conversation_id", "turn");

-- CreateIndex
CREATE INDEX "agent_reservation_by_lease" ON "agent_reservation"("holder_until");

-- CreateIndex
CREATE UNIQUE INDEX "agent_reservation_agent_run_step_purpose_key" ON "agent_reservation"("agent_run", "step", "purpose");

-- CreateIndex
CREATE INDEX "agent_call_by_child" ON "agent_call"("child_run");

-- CreateIndex
CREATE INDEX "agent_approval_by_call" ON "agent_approval"("agent_run", "call_id");

-- CreateIndex
CREATE INDEX "agent_approval_by_namespace" ON "agent_approval"("namespace", "state", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_approval_by_time" ON "agent_approval"("namespace", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_conversation_by_principal" ON "agent_conversation"("namespace", "agent", "principal", "updated_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "budget_account_by_namespace" ON "budget_account"("namespace", "level", "key");

-- CreateIndex
CREATE INDEX "agent_memory_by_scope" ON "agent_memory"("namespace", "scope", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_memory_by_expiry" ON "agent_memory"("expires_at");



-- What Prisma cannot say: partial indexes. They hold what is under way, so they stay small. None holds "updated_at": it changes with every event, and an index that holds it makes every event a new entry in all of them.
-- Agent runs that have not ended: whoever sweeps looks for those whose workflow run has, and for those that may go on.
CREATE INDEX "agent_run_open" ON "agent_run" ("id") WHERE "finished_at" IS NULL;
CREATE INDEX "agent_run_wakeable" ON "agent_run" ("id") WHERE "parked" AND "awaited" = 0 AND "finished_at" IS NULL;
CREATE INDEX "agent_run_due" ON "agent_run" ("deadline") WHERE "finished_at" IS NULL;
-- Children whose end has to be told to their parents.
CREATE INDEX "agent_call_open_child" ON "agent_call" ("child_run") WHERE "state" = 'Child';
CREATE INDEX "agent_call_in_doubt" ON "agent_call" ("namespace", "created_at", "agent_run", "call_id") WHERE "state" = 'InDoubt';
-- Approvals that expire, and at most one open per call.
CREATE INDEX "agent_approval_expiring" ON "agent_approval" ("expires_at") WHERE "state" = 'Pending';
CREATE UNIQUE INDEX "agent_approval_one_open" ON "agent_approval" ("agent_run", "call_id") WHERE "state" = 'Pending';
-- One live turn per conversation.
CREATE UNIQUE INDEX "agent_run_one_turn" ON "agent_run" ("conversation_id") WHERE "conversation_id" IS NOT NULL AND "finished_at" IS NULL;
-- Agent runs that ended while their node waits: the sweep of the model gateway wakes the node until somebody has heard of it. Small: who opens such a run takes it out.
CREATE INDEX "agent_run_ended_parked" ON "agent_run" ("finished_at") WHERE "parked" AND "finished_at" IS NOT NULL;

-- Room for the next version of a row on its own page: with it, and with no index on what changes, an event writes no index entry (HOT).
ALTER TABLE "agent_run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "agent_call" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "budget_account" SET (fillfactor = 50, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.01);
