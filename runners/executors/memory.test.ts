import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { oomKills, outOfMemory } from './memory.ts';

let dir = '';
beforeEach(() => { dir = mkdtempSync(path.join(tmpdir(), 'rambo-cgroup-')); });
afterEach(() => { rmSync(dir, { recursive: true, force: true }); });

test('the count of either version of cgroups, and nothing where there is none', () => {
  expect(oomKills(dir)).toBeUndefined();
  mkdirSync(path.join(dir, 'memory'));
  writeFileSync(path.join(dir, 'memory/memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n');
  expect(oomKills(dir)).toBe(2);
  writeFileSync(path.join(dir, 'memory.events'), 'low 0\nhigh 0\nmax 41\noom 3\noom_kill 3\noom_group_kill 0\n');
  expect(oomKills(dir)).toBe(3);
});

test.each([
  ['killed while the count rose', 137, 1, 2, 'OOMKilled'],
  ['killed by somebody else', 137, 1, 1, undefined],
  ['ended by itself although another was killed', 1, 1, 2, undefined],
  ['nobody counts', 137, undefined, 2, undefined],
] as const)('%s', (_, code, before, now, reason) => {
  const outcome = outOfMemory(code, before, now);
  expect(outcome?.ok === false ? outcome.error : undefined).toEqual(reason === undefined ? undefined : expect.objectContaining({ class: 'Infra', reason }));
});
