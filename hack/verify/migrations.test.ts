import { migrationProblems, migrationsInFolder } from './migrations.ts';
import { splitTop, statementsOf } from './sql.ts';

const NAME = '20270101000000_what';

function problems(sql: string, contract?: string): readonly string[] {
  return migrationProblems([{ name: NAME, sql, ...(contract === undefined ? {} : { contract }) }], '0.3.0');
}

test.each<[string, string]>([
  ['a new table, its indexes, constraints and first rows', `CREATE TABLE "a" ("id" INT); CREATE INDEX "i" ON "a"("id"); ALTER TABLE "a" ADD CONSTRAINT "c" CHECK ("id" > 0); INSERT INTO "a" VALUES (1);`],
  ['a column that may be null', 'ALTER TABLE "run" ADD COLUMN "x" TEXT;'],
  ['a column with a constant', `ALTER TABLE "run" ADD COLUMN "x" TEXT NOT NULL DEFAULT 'a;b', ADD COLUMN "y" INT DEFAULT 0, ADD COLUMN "z" BOOLEAN NOT NULL DEFAULT false;`],
  ['an index built beside the traffic', '-- why\nCREATE INDEX CONCURRENTLY "i" ON "run"("x");'],
  ['a constraint in two migrations, the first', 'ALTER TABLE "run" ADD CONSTRAINT "c" CHECK ("x" IS NOT NULL) NOT VALID;'],
  ['a constraint in two migrations, the second', 'ALTER TABLE "run" VALIDATE CONSTRAINT "c";'],
  ['a unique constraint over an index', 'ALTER TABLE "run" ADD CONSTRAINT "u" UNIQUE USING INDEX "i";'],
  ['storage', 'ALTER TABLE "run" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);'],
  ['a comment that talks of DROP TABLE', '-- DROP TABLE run;\n/* UPDATE run */ CREATE TABLE "b" ("id" INT);'],
])('%s is allowed', (_, sql) => {
  expect(problems(sql)).toEqual([]);
});

test.each<[string, string, RegExp]>([
  ['a table goes', 'DROP TABLE "run";', /CONTRACT/],
  ['a column goes', 'ALTER TABLE "run" DROP COLUMN "x";', /CONTRACT/],
  ['a column is renamed', 'ALTER TABLE "run" RENAME COLUMN "x" TO "y";', /CONTRACT/],
  ['a type changes', 'ALTER TABLE "run" ALTER COLUMN "x" TYPE BIGINT;', /CONTRACT/],
  ['a column becomes NOT NULL', 'ALTER TABLE "run" ALTER COLUMN "x" SET NOT NULL;', /CONTRACT/],
  ['one of several actions takes away', 'ALTER TABLE "run" ADD COLUMN "y" INT, DROP COLUMN "x";', /CONTRACT/],
  ['an index stops the writers', 'CREATE INDEX "i" ON "run"("x");', /CONCURRENTLY/],
  ['an index beside other statements', 'CREATE INDEX CONCURRENTLY "i" ON "run"("x"); ALTER TABLE "run" ADD COLUMN "y" INT;', /alone/],
  ['a constraint scans', 'ALTER TABLE "run" ADD CONSTRAINT "c" CHECK ("x" > 0);', /NOT VALID/],
  ['a foreign key scans', 'ALTER TABLE "run" ADD CONSTRAINT "c" FOREIGN KEY ("x") REFERENCES "a"("id");', /NOT VALID/],
  ['a unique constraint builds its index', 'ALTER TABLE "run" ADD CONSTRAINT "c" UNIQUE ("x");', /USING INDEX/],
  ['a constraint is validated at once', 'ALTER TABLE "run" ADD CONSTRAINT "c" CHECK ("x" > 0) NOT VALID; ALTER TABLE "run" VALIDATE CONSTRAINT "c";', /next migration/],
  ['a column the old release cannot fill', 'ALTER TABLE "run" ADD COLUMN "x" TEXT NOT NULL;', /constant DEFAULT/],
  ['a column that is computed', 'ALTER TABLE "run" ADD COLUMN "x" UUID DEFAULT gen_random_uuid();', /constant/],
  ['a column that is unique', 'ALTER TABLE "run" ADD COLUMN "x" TEXT UNIQUE;', /plain column/],
  ['a backfill', `UPDATE "run" SET "x" = 'y';`, /resumable batches/],
  ['rows of a table that exists', 'INSERT INTO "shard" VALUES (257);', /resumable batches/],
  ['its own lock timeout', `SET lock_timeout = '1h';`, /migrator sets/],
  ['code the lint cannot read', 'DO $$ BEGIN DROP TABLE run; END $$;', /does not know/],
])('%s is refused', (_, sql, way) => {
  const [first = '', ...more] = problems(sql);
  expect(first).toMatch(way);
  expect(first).toContain(`prisma/migrations/${NAME}`);
  expect(more).toEqual([]);
});

test.each<[string, RegExp | undefined]>([
  ['after 0.2.0: nothing writes this column since 0.3.0 any more', undefined],
  ['after none: no release has ever written this column', undefined],
  ['after 0.3.0: nothing writes this column from now on', /one release later/],
  ['after 0.2.0: because', /must say/],
  ['it is fine', /must say/],
])('a contract that says %j', (contract, problem) => {
  const found = problems('ALTER TABLE "run" DROP COLUMN "x";', contract);
  if (problem === undefined) expect(found).toEqual([]);
  else expect(found.join()).toMatch(problem);
});

test('a contract does not build indexes in the way of writers either', () => {
  expect(problems('CREATE INDEX "i" ON "run"("x");', 'after none: no release has ever written this column').join()).toMatch(/CONCURRENTLY/);
});

test('the migrations of this release keep the rules', () => {
  expect(migrationProblems(migrationsInFolder(), '0.1.0')).toEqual([]);
});

test('semicolons and commas in quotes and brackets do not cut', () => {
  expect(statementsOf(`SELECT ';', ";", $x$ ; $x$; -- ;\nSELECT 2;;`)).toEqual([`SELECT ';', ";", $x$ ; $x$`, 'SELECT 2']);
  expect(splitTop(`a (1, 2), 'b, c', d`, ',').map((part) => part.trim())).toEqual(['a (1, 2)', `'b, c'`, 'd']);
});
