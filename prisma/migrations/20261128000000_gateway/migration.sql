-- CreateTable
CREATE TABLE "app_user" (
    "id" UUID NOT NULL,
    "email" TEXT,
    "email_verified" BOOLEAN NOT NULL DEFAULT false,
    "firebase_uid" TEXT,
    "password_hash" TEXT,
    "role" TEXT NOT NULL,
    "tokens_valid_after" TIMESTAMPTZ(6),
    "disabled_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "app_user_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "profile" (
    "user_id" UUID NOT NULL,
    "display_name" TEXT NOT NULL,
    "avatar_url" TEXT,
    "preferences" JSON NOT NULL DEFAULT '{}',
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "profile_pkey" PRIMARY KEY ("user_id")
);

-- CreateTable
CREATE TABLE "access_token" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "scopes" TEXT[],
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "last_used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "access_token_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit" (
    "seq" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "principal" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "resource" TEXT,
    "resource_id" TEXT,
    "project_id" UUID,
    "request_id" TEXT NOT NULL,
    "details" JSON,
    "prev_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "api_idempotency" (
    "principal" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "body_hash" TEXT NOT NULL,
    "answer" JSON NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "api_idempotency_pkey" PRIMARY KEY ("principal","key")
);

-- CreateTable
CREATE TABLE "project" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL,
    "owner_id" UUID NOT NULL,
    "namespace" TEXT,
    "thumbnail_url" TEXT,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "seq" INTEGER NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "project_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_member" (
    "project_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "role" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "project_member_pkey" PRIMARY KEY ("project_id","user_id")
);

-- CreateTable
CREATE TABLE "project_invitation" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "invited_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "accepted_at" TIMESTAMPTZ(6),

    CONSTRAINT "project_invitation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "task" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL,
    "assigned_to" TEXT,
    "agent_id" UUID,
    "workflow_id" UUID,
    "sprint_id" UUID,
    "parent_id" UUID,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "task_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "task_run" (
    "task_id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "task_run_pkey" PRIMARY KEY ("task_id","run_id")
);

-- CreateTable
CREATE TABLE "sprint" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "goal" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL,
    "start_date" DATE,
    "end_date" DATE,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "sprint_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ticket" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL,
    "priority" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "assignee" TEXT,
    "sprint_id" UUID,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "ticket_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "requirement" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL,
    "priority" TEXT NOT NULL,
    "revision" TEXT NOT NULL,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "requirement_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_event" (
    "project_id" UUID NOT NULL,
    "seq" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL,
    "kind" TEXT NOT NULL,
    "entity" TEXT NOT NULL,
    "entity_id" UUID NOT NULL,
    "principal" TEXT NOT NULL,

    CONSTRAINT "project_event_pkey" PRIMARY KEY ("project_id","seq")
);

-- CreateTable
CREATE TABLE "project_workflow" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "owner_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "definition" JSON NOT NULL,
    "status" TEXT NOT NULL,
    "problems" JSON,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "object_name" TEXT,
    "published_at" TIMESTAMPTZ(6),
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "project_workflow_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_workflow_node" (
    "id" UUID NOT NULL,
    "workflow_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "configuration" JSON NOT NULL,

    CONSTRAINT "project_workflow_node_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "project_agent" (
    "id" UUID NOT NULL,
    "project_id" UUID,
    "owner_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "capabilities" JSON NOT NULL DEFAULT '[]',
    "configuration" JSON NOT NULL DEFAULT '{}',
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "project_agent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "file" (
    "id" UUID NOT NULL,
    "project_id" UUID NOT NULL,
    "parent_id" UUID,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "area" TEXT NOT NULL,
    "content_type" TEXT,
    "size" BIGINT,
    "checksum" BYTEA,
    "object_key" TEXT,
    "status" TEXT NOT NULL,
    "metadata" JSON NOT NULL DEFAULT '{}',
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "file_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "import" (
    "id" UUID NOT NULL,
    "owner_id" UUID NOT NULL,
    "status" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "total" INTEGER NOT NULL DEFAULT 0,
    "done" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "finished_at" TIMESTAMPTZ(6),
    "source" BYTEA,

    CONSTRAINT "import_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "import_item" (
    "import_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "old_id" TEXT,
    "status" TEXT NOT NULL,
    "entity_id" UUID,
    "message" TEXT,
    "raw" BYTEA NOT NULL,

    CONSTRAINT "import_item_pkey" PRIMARY KEY ("import_id","position")
);

-- CreateTable
CREATE TABLE "imported_id" (
    "owner_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "old_id" TEXT NOT NULL,
    "entity_id" UUID NOT NULL,
    "digest" BYTEA,

    CONSTRAINT "imported_id_pkey" PRIMARY KEY ("owner_id","kind","old_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "app_user_email_key" ON "app_user"("email");

-- CreateIndex
CREATE UNIQUE INDEX "app_user_firebase_uid_key" ON "app_user"("firebase_uid");

-- CreateIndex
CREATE INDEX "app_user_by_time" ON "app_user"("created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "app_user_by_role" ON "app_user"("role", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "access_token_hash_key" ON "access_token"("hash");

-- CreateIndex
CREATE INDEX "access_token_by_user" ON "access_token"("user_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "audit_by_principal" ON "audit"("principal", "seq" DESC);

-- CreateIndex
CREATE INDEX "audit_by_operation" ON "audit"("operation", "seq" DESC);

-- CreateIndex
CREATE INDEX "audit_by_project" ON "audit"("project_id", "seq" DESC);

-- CreateIndex
CREATE INDEX "api_idempotency_by_expiry" ON "api_idempotency"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "project_namespace_key" ON "project"("namespace");

-- CreateIndex
CREATE INDEX "project_by_owner" ON "project"("owner_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_by_time" ON "project"("created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_by_status" ON "project"("status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_by_name" ON "project"("name", "id");

-- CreateIndex
CREATE INDEX "project_member_by_user" ON "project_member"("user_id", "project_id");

-- CreateIndex
CREATE INDEX "project_invitation_by_email" ON "project_invitation"("email");

-- CreateIndex
CREATE UNIQUE INDEX "project_invitation_project_id_email_key" ON "project_invitation"("project_id", "email");

-- CreateIndex
CREATE INDEX "task_by_project" ON "task"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_status" ON "task"("project_id", "status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_update" ON "task"("project_id", "updated_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_assignee" ON "task"("project_id", "assigned_to", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_sprint" ON "task"("sprint_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_parent" ON "task"("parent_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "task_by_agent" ON "task"("agent_id");

-- CreateIndex
CREATE INDEX "task_by_workflow" ON "task"("workflow_id");

-- CreateIndex
CREATE INDEX "task_run_by_time" ON "task_run"("task_id", "created_at" DESC, "run_id" DESC);

-- CreateIndex
CREATE INDEX "task_run_by_run" ON "task_run"("run_id");

-- CreateIndex
CREATE INDEX "sprint_by_project" ON "sprint"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "sprint_by_status" ON "sprint"("project_id", "status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "ticket_by_project" ON "ticket"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "ticket_by_status" ON "ticket"("project_id", "status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "ticket_by_priority" ON "ticket"("project_id", "priority", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "ticket_by_sprint" ON "ticket"("sprint_id");

-- CreateIndex
CREATE INDEX "requirement_by_project" ON "requirement"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "requirement_by_status" ON "requirement"("project_id", "status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_workflow_by_project" ON "project_workflow"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_workflow_by_status" ON "project_workflow"("project_id", "status", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_workflow_by_name" ON "project_workflow"("project_id", "name");

-- CreateIndex
CREATE INDEX "project_workflow_by_owner" ON "project_workflow"("owner_id");

-- CreateIndex
CREATE UNIQUE INDEX "project_workflow_project_id_object_name_key" ON "project_workflow"("project_id", "object_name");

-- CreateIndex
CREATE UNIQUE INDEX "project_workflow_node_workflow_id_name_key" ON "project_workflow_node"("workflow_id", "name");

-- CreateIndex
CREATE INDEX "project_agent_by_project" ON "project_agent"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_agent_by_type" ON "project_agent"("project_id", "type", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "project_agent_by_name" ON "project_agent"("project_id", "name");

-- CreateIndex
CREATE INDEX "project_agent_by_owner" ON "project_agent"("owner_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "file_object_key_key" ON "file"("object_key");

-- CreateIndex
CREATE INDEX "file_by_place" ON "file"("project_id", "area", "parent_id", "name");

-- CreateIndex
CREATE INDEX "file_by_project" ON "file"("project_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "file_by_parent" ON "file"("parent_id", "name");

-- CreateIndex
CREATE INDEX "file_by_status" ON "file"("status", "created_at");

-- CreateIndex
CREATE INDEX "import_by_owner" ON "import"("owner_id", "created_at" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "import_item_by_status" ON "import_item"("import_id", "status", "position");

-- CreateIndex
CREATE INDEX "imported_id_by_entity" ON "imported_id"("entity_id");

-- AddForeignKey
ALTER TABLE "profile" ADD CONSTRAINT "profile_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "app_user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "access_token" ADD CONSTRAINT "access_token_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "app_user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project" ADD CONSTRAINT "project_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "app_user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_member" ADD CONSTRAINT "project_member_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_member" ADD CONSTRAINT "project_member_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "app_user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_invitation" ADD CONSTRAINT "project_invitation_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "task" ADD CONSTRAINT "task_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "task" ADD CONSTRAINT "task_sprint_id_fkey" FOREIGN KEY ("sprint_id") REFERENCES "sprint"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "task" ADD CONSTRAINT "task_parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "task"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "task_run" ADD CONSTRAINT "task_run_task_id_fkey" FOREIGN KEY ("task_id") REFERENCES "task"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sprint" ADD CONSTRAINT "sprint_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ticket" ADD CONSTRAINT "ticket_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ticket" ADD CONSTRAINT "ticket_sprint_id_fkey" FOREIGN KEY ("sprint_id") REFERENCES "sprint"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "requirement" ADD CONSTRAINT "requirement_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_event" ADD CONSTRAINT "project_event_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_workflow" ADD CONSTRAINT "project_workflow_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_workflow" ADD CONSTRAINT "project_workflow_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "app_user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_workflow_node" ADD CONSTRAINT "project_workflow_node_workflow_id_fkey" FOREIGN KEY ("workflow_id") REFERENCES "project_workflow"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_agent" ADD CONSTRAINT "project_agent_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "project_agent" ADD CONSTRAINT "project_agent_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "app_user"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "file" ADD CONSTRAINT "file_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "file" ADD CONSTRAINT "file_parent_id_fkey" FOREIGN KEY ("parent_id") REFERENCES "file"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "import" ADD CONSTRAINT "import_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "app_user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "import_item" ADD CONSTRAINT "import_item_import_id_fkey" FOREIGN KEY ("import_id") REFERENCES "import"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "imported_id" ADD CONSTRAINT "imported_id_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "app_user"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What Prisma cannot say: partial indexes.
-- One name per folder among what is not deleted; at the top there is no parent.
CREATE UNIQUE INDEX "file_one_name" ON "file" ("project_id", "area", (COALESCE("parent_id", '00000000-0000-0000-0000-000000000000'::uuid)), "name") WHERE "deleted_at" IS NULL;
-- What has lain in the bin long enough is swept.
CREATE INDEX "file_in_bin" ON "file" ("deleted_at") WHERE "deleted_at" IS NOT NULL;
-- Each replica of the API looks for imports that nobody works on.
CREATE INDEX "import_running" ON "import" ("created_at") WHERE "status" = 'RUNNING';
