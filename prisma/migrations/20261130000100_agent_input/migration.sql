-- AlterTable
ALTER TABLE "agent_approval" ADD COLUMN     "four_eyes" BOOLEAN NOT NULL DEFAULT false;

-- CreateTable
CREATE TABLE "agent_input" (
    "id" UUID NOT NULL,
    "agent_run" UUID NOT NULL,
    "call_id" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "tool" TEXT NOT NULL,
    "round" INTEGER NOT NULL,
    "hash" TEXT NOT NULL,
    "questions" BYTEA NOT NULL,
    "answerers" TEXT[],
    "state" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "decided_by" TEXT,
    "decided_at" TIMESTAMPTZ(6),
    "answers" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_input_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "agent_input_by_namespace" ON "agent_input"("namespace", "state", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "agent_input_by_call" ON "agent_input"("agent_run", "call_id", "round");



-- What Prisma cannot say: partial indexes. They hold what waits, so they stay small.
-- Questions that nobody answers in time, and at most one open round per call.
CREATE INDEX "agent_input_expiring" ON "agent_input" ("expires_at") WHERE "state" = 'Pending';
CREATE UNIQUE INDEX "agent_input_one_open" ON "agent_input" ("agent_run", "call_id") WHERE "state" = 'Pending';
