ALTER TABLE "attempt" VALIDATE CONSTRAINT "attempt_status_known";
