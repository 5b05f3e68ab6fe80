import pg from 'pg';
import type { Account } from './auth-accounts.ts';

/** Writes the users of demo accounts with their roles, so that nobody has to be made an administrator first. What is there stays. */
export async function seedUsers(databaseUrl: string, accounts: readonly Account[]): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const { uid, email, name, role } of accounts) {
      await client.query(`WITH made AS (
        INSERT INTO app_user (id, email, email_verified, firebase_uid, role, created_at, updated_at) VALUES (gen_random_uuid(), $1, true, $2, $3, now(), now()) ON CONFLICT DO NOTHING RETURNING id)
        INSERT INTO profile (user_id, display_name, updated_at) SELECT id, $4, now() FROM made`, [email, uid, role, name]);
    }
  } finally {
    await client.end();
  }
}
