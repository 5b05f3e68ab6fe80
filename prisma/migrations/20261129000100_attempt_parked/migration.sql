-- An attempt of an agent that waits for people ends as Parked.
ALTER TABLE "attempt" DROP CONSTRAINT "attempt_status_known";
ALTER TABLE "attempt" ADD CONSTRAINT "attempt_status_known" CHECK ("status" IN ('Succeeded', 'Failed', 'Cancelled', 'Parked')) NOT VALID;
