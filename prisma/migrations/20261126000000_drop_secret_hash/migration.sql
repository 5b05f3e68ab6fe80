-- AlterTable
ALTER TABLE "node_run" DROP COLUMN "secret_hash";
