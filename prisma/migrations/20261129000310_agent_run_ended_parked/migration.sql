-- Agent runs that ended while their node waits: the sweep of the model gateway wakes the node until somebody has heard of it. Small: who opens
-- such a run takes it out.
CREATE INDEX CONCURRENTLY "agent_run_ended_parked" ON "agent_run" ("updated_at") WHERE "parked" AND "finished_at" IS NOT NULL;
