-- AlterTable
ALTER TABLE "run" ADD COLUMN "review" TEXT;

-- CreateTable
CREATE TABLE "restoration" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "taken_at" TIMESTAMPTZ(6),
    "source" TEXT NOT NULL,
    "runs" INTEGER NOT NULL,

    CONSTRAINT "restoration_pkey" PRIMARY KEY ("id")
);
