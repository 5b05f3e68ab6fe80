import type { RunPhase } from '../../crds/workflow-run.ts';
import { ahead, doubtful, type RowSays, type StatusSays } from './ahead.ts';

test.each<[string, StatusSays, RowSays, RegExp | undefined]>([
  ['no status yet', {}, { phase: 'Running', done: 0 }, undefined],
  ['a status that is behind', { phase: 'Running', progress: '2/10' }, { phase: 'Running', done: 5 }, undefined],
  ['a status that is level', { phase: 'Running', progress: '5/10' }, { phase: 'Suspended', done: 5 }, undefined],
  ['more ended nodes than the rows know', { phase: 'Running', progress: '6/10' }, { phase: 'Running', done: 5 }, /6 ended nodes, the database 5/],
  ['an end the rows do not know', { phase: 'Succeeded', progress: '10/10' }, { phase: 'Running', done: 10 }, /says Succeeded, the database has it Running/],
  ['an end both know', { phase: 'Succeeded', progress: '10/10' }, { phase: 'Succeeded', done: 10 }, undefined],
  ['rows that have ended, whatever the status says', { phase: 'Running', progress: '11/10' }, { phase: 'Cancelled', done: 10 }, undefined],
  ['progress that is no number', { phase: 'Running', progress: 'many' }, { phase: 'Running', done: 0 }, undefined],
])('%s', (_, status, row, why) => {
  const said = ahead(status, row);
  if (why === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(why);
});

test.each<[string, { phase?: RunPhase; createdAt: number }, number | undefined, boolean]>([
  ['new, the database was never restored', { createdAt: 5 }, undefined, false],
  ['created after the restore', { createdAt: 6 }, 5, false],
  ['created before the restore', { createdAt: 5 }, 5, true],
  ['known as Running once, the database was never restored', { createdAt: 6, phase: 'Running' }, undefined, true],
])('an object without a row: %s', (_, cr, restoredAt, doubt) => {
  expect(doubtful(cr, restoredAt) !== undefined).toBe(doubt);
});
