-- DropIndex
DROP INDEX "agent_conversation_by_agent";

-- DropIndex
DROP INDEX "agent_run_by_run";

-- CreateIndex
CREATE INDEX "agent_run_by_run" ON "agent_run"("run_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_agent_phase" ON "agent_run"("namespace", "agent", "phase", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_run_by_agent_end" ON "agent_run"("namespace", "agent", "finished_at");

-- CreateIndex
CREATE INDEX "agent_approval_by_time" ON "agent_approval"("namespace", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "agent_conversation_by_principal" ON "agent_conversation"("namespace", "agent", "principal", "updated_at" DESC, "id" DESC);

-- What Prisma cannot say: partial indexes. None holds "updated_at" any more: it changes with every event, and an index that holds it makes every event a new entry in all of them.
DROP INDEX "agent_run_wakeable";
CREATE INDEX "agent_run_wakeable" ON "agent_run" ("id") WHERE "parked" AND "awaited" = 0 AND "finished_at" IS NULL;
DROP INDEX "agent_run_ended_parked";
CREATE INDEX "agent_run_ended_parked" ON "agent_run" ("finished_at") WHERE "parked" AND "finished_at" IS NOT NULL;
CREATE INDEX "agent_run_due" ON "agent_run" ("deadline") WHERE "finished_at" IS NULL;

-- Room for the next version of a row on its own page: with it, and with no index on what changes, an event writes no index entry (HOT).
ALTER TABLE "agent_run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "agent_call" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE "budget_account" SET (fillfactor = 50, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.01);
